//! Streams as the program that composes them sees them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use candor_gate::Gate;
use candor_gate::admission::Admission;
use candor_keyring::Keyring;
use candor_log::Log;
use candor_meta::{Database, SqlError, Tenancy};
use candor_model::{Clock, ProjectId, Random};
use kafka_protocol::ResponseError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::admin::acl::Acls;
use crate::admin::resources::ResourceConfigs;
use crate::admin::{self, Admin, Quotas};
use crate::auth::credentials::{CredentialError, Credentials};
use crate::auth::{Door, TokenSettings, Tokens};
use crate::bridge::{self, Bridges, Egress};
use crate::broker::Broker;
use crate::broker::throttle::Throttle;
use crate::caller::{Caller, Peer};
use crate::data::fetch::Fetch;
use crate::data::offsets::Offsets;
use crate::data::produce::Produce;
use crate::data::producer_ids::ProducerIds;
use crate::data::signals::Signals;
use crate::directory::TopicDirectory;
use crate::groups::Groups;
use crate::node::{Advertised, Node};
use crate::parts::Parts;
use crate::reads::ReadCounts;
use crate::registry::{self, Registry};
use crate::rest::Client;
use crate::settings::Settings;
use crate::share::Shares;
use crate::topics::{TopicError, Topics};
use crate::txn::{self, Transactions, TransactionsOptions};
use crate::upkeep;
use crate::view::{self, View};
use crate::wire::{Connection, Limits, Room};

/// Large requests in the house, bytes.
const ROOM_BYTES: usize = 128 << 20;

/// How often is looked whether the projects of connected clients are still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What streams are opened with.
pub struct StreamsOptions {
    /// Metadata: topics, groups, users.
    pub database: Database,
    /// Projects.
    pub tenancy: Tenancy,
    /// Where records go.
    pub log: Log,
    /// What they pass before.
    pub gate: Arc<Gate>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// What seals the passwords of other clusters.
    pub keyring: Arc<Keyring>,
    /// How clients reach the broker.
    pub advertised: Advertised,
    /// The project of clients on loopback that prove nothing, by name: it may be made later.
    pub anonymous: Option<Arc<str>>,
    /// Where bridges may send records.
    pub egress: Egress,
    /// What the operator set.
    pub settings: Settings,
    /// Which tokens of an identity provider are taken; none where there is none.
    pub tokens: Option<TokenSettings>,
    /// Ends what goes on by itself.
    pub stop: CancellationToken,
}

/// Why streams could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Topics cannot be read.
    #[error("cannot open the topics")]
    Topics(#[from] TopicError),
    /// Users cannot be read.
    #[error("cannot open the users of Kafka clients")]
    Credentials(#[from] CredentialError),
    /// Groups, producers or transactions cannot be read.
    #[error("cannot open the groups and transactions")]
    Sql(#[from] SqlError),
    /// A deleted project's transactions are still there; it is to be tried again.
    #[error("the transactions of a deleted project cannot be removed now: {0}")]
    Transactions(ResponseError),
}

/// The Kafka side of the log. Cheap to clone.
#[derive(Clone)]
pub struct Streams {
    broker: Arc<Broker>,
    pub(crate) parts: Parts,
    view: View,
    room: Room,
    anonymous: Option<Arc<str>>,
    tokens: Option<Tokens>,
    registry: Registry,
    acls: Acls,
    bridges: Bridges,
}

impl Streams {
    /// Opens topics, groups and users.
    pub async fn open(options: StreamsOptions) -> Result<Streams, OpenError> {
        let StreamsOptions { database, tenancy, log, gate, clock, random, advertised, .. } = options;
        let StreamsOptions { anonymous, settings, tokens, stop, keyring, egress, .. } = options;
        let node = Node::open(&database, &*random, advertised).await?;
        let topics =
            Topics::open(database.clone(), Arc::clone(&clock), Arc::clone(&random), settings.topics.clone())
                .await?;
        let credentials =
            Credentials::open(database.clone(), Arc::clone(&clock), Arc::clone(&random)).await?;
        let directory: Arc<dyn TopicDirectory> = Arc::new(topics.clone());
        let resources = ResourceConfigs::open(database.clone()).await?;
        let groups = Groups::open(
            database.clone(),
            Arc::clone(&directory),
            Arc::clone(&clock),
            Arc::clone(&random),
            settings.groups.clone(),
            Arc::new(resources.clone()),
        )
        .await?;
        let transactions = Transactions::open(TransactionsOptions {
            database: database.clone(),
            tenancy: tenancy.clone(),
            log: log.clone(),
            gate: Arc::clone(&gate),
            groups: groups.clone(),
            directory: Arc::clone(&directory),
            producer_ids: ProducerIds::open(database.clone()).await?,
            clock: Arc::clone(&clock),
            settings: txn::Settings::default(),
        })
        .await?;
        let acls = Acls::open(database.clone(), credentials.clone()).await?;
        let shares =
            Shares::new(log.clone(), groups.clone(), Arc::clone(&directory), resources.clone(), acls.clone());
        let admin = Admin::new(admin::Parts {
            topics: topics.clone(),
            credentials: credentials.clone(),
            acls: acls.clone(),
            quotas: Quotas::open(database.clone()).await?,
            resources,
            log: Arc::new(upkeep::Kept(log.clone())),
            random: Arc::clone(&random),
            broker_configs: settings.told(tokens.is_some()),
        });
        let signals = Signals::new(log.clone());
        let registry = Registry::open(database.clone()).await?;
        gate.set_schemas(Arc::new(registry.clone()));
        upkeep::keep(topics.clone(), log.clone(), stop.clone());
        let tokens = tokens.map(|settings| Tokens::new(settings, tenancy.clone(), Arc::clone(&clock)));
        let parts = Parts {
            tenancy,
            throttle: Throttle::new(admin.quotas().clone()),
            admin: Arc::new(admin),
            credentials,
            groups,
            shares,
            fetch: Fetch::new(log.clone(), signals.clone(), Arc::clone(&directory), Arc::clone(&random)),
            produce: Produce::new(log.clone(), gate, topics.clone(), transactions.clone()),
            offsets: Offsets::new(log.clone(), signals.clone(), directory),
            signals,
            transactions,
            topics: topics.clone(),
            node,
        };
        let (ticking, dice) = (Arc::clone(&clock), Arc::clone(&random));
        let seen =
            view::Parts { parts: parts.clone(), topics, log, clock, random, registry: registry.clone() };
        let view = View::start(seen, stop.clone());
        let broker = Arc::new(Broker::new(parts.clone(), settings.log_in_ms, tokens.clone()));
        let looking = Arc::downgrade(&broker);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(broker) = looking.upgrade() else { return };
                broker.look_again().await;
            }
        });
        let room = Room::new(ROOM_BYTES);
        let bridges = Bridges::open(bridge::Parts {
            database,
            keyring,
            clock: ticking,
            random: dice,
            broker: Arc::clone(&broker),
            room: room.clone(),
            anonymous: anonymous.clone(),
            tenancy: parts.tenancy.clone(),
            egress,
            stop,
        })
        .await?;
        Ok(Streams { broker, parts, view, room, anonymous, tokens, registry, acls, bridges })
    }

    /// The users of clients.
    pub fn credentials(&self) -> &Credentials {
        &self.parts.credentials
    }

    /// What checks tokens, where some are taken: it wants keys.
    pub fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    /// Who read what, until it is taken.
    pub fn reads(&self) -> &ReadCounts {
        self.parts.fetch.reads()
    }

    /// The topics of all projects.
    pub fn topics(&self) -> &Topics {
        &self.parts.topics
    }

    /// What the screen asks.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The schemas of topics.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The bridges to other clusters.
    pub fn bridges(&self) -> &Bridges {
        &self.bridges
    }

    /// The paths of the schema registry, for the listener that serves HTTP. It gives requests the peer's address as
    /// [`axum::extract::ConnectInfo`] of a [`std::net::SocketAddr`].
    pub fn routes(&self, admission: Admission) -> axum::Router {
        registry::http::routes(registry::http::Parts {
            registry: self.registry.clone(),
            door: self.door(),
            acls: self.acls.clone(),
            tenancy: self.parts.tenancy.clone(),
            admission,
            room: self.room.clone(),
        })
    }

    /// Who asks over HTTP.
    pub(crate) fn door(&self) -> Door {
        let (credentials, tenancy) = (self.parts.credentials.clone(), self.parts.tenancy.clone());
        Door::new(credentials, tenancy, self.anonymous.clone())
    }

    /// Acts as a client that has proved who it is, without a connection; none where its project is gone.
    pub(crate) async fn client(&self, caller: Caller) -> Option<Client> {
        let scope = self.broker.scope(caller.project).await?;
        Some(Client::new(self.parts.clone(), scope, caller))
    }

    /// Room for large requests of all clients together.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// What clients are given as `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        let Advertised { host, port } = &self.parts.node.advertised;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Serves a connection until the client leaves, misbehaves, or `stop`.
    pub async fn serve<S>(&self, stream: S, peer: Peer, stop: CancellationToken) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let anonymous = match self.anonymous.as_deref().filter(|_| peer.address.ip().is_loopback()) {
            Some(name) => self.parts.tenancy.resolve(name).await.map_err(io::Error::other)?.map(|of| of.id),
            None => None,
        };
        let session = Arc::new(self.broker.session(peer, anonymous).await);
        let service = Arc::clone(&self.broker);
        let connection = Connection { service, session, limits: Limits::default(), room: self.room.clone() };
        connection.serve(stream, stop).await
    }

    /// Lets go of a deleted project: its clients are answered no more, its topics, groups and users go. Doing it again
    /// changes nothing.
    pub async fn forget(&self, project: ProjectId) -> Result<(), OpenError> {
        self.bridges.forget(project).await?;
        self.broker.forget(project);
        self.parts.signals.forget(project);
        self.parts.fetch.forget(project);
        self.parts.shares.forget_project(project);
        self.parts.transactions.forget_project(project).await.map_err(OpenError::Transactions)?;
        self.parts.groups.forget_project(project).await?;
        self.registry.forget(project).await?;
        self.parts.admin.forget(project).await?;
        Ok(())
    }
}
