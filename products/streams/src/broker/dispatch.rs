//! Which part answers what.

use std::collections::HashMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use candor_meta::WriteScope;
use candor_model::ProjectId;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use kafka_protocol::messages::{ApiKey, SaslAuthenticateRequest, SaslHandshakeRequest, ShareFetchResponse};
use kafka_protocol::protocol::{Decodable, Encodable};
use parking_lot::RwLock;

use super::session::Session;
use super::throttle::{Flow, Throttle, told};
use super::{outdated, versions};
use crate::auth::Tokens;
use crate::auth::credentials::ANONYMOUS;
use crate::auth::sasl::{Sasl, Terms};
use crate::caller::{Caller, Peer};
use crate::data::fetch::message::FetchRequest;
use crate::data::produce;
use crate::parts::Parts;
use crate::rights::{by_id, groups, offsets, transactions};
use crate::share;
use crate::wire::{Answer, Call, Request, Service};

/// How long a failed log in waits for its answer: who guesses is to be slow (`connection.failed.authentication.delay.ms`).
const FAILED_LOG_IN_DELAY: Duration = Duration::from_millis(100);

/// Answers requests of all connections.
pub struct Broker {
    parts: Parts,
    /// Counts what clients with quotas move.
    throttle: Throttle,
    /// How long a log in holds on a connection (KIP-368), milliseconds; none for as long as the connection.
    log_in_ms: Option<u32>,
    /// Checks tokens, where some are taken.
    tokens: Option<Tokens>,
    /// The rights of the projects whose clients are connected.
    scopes: RwLock<HashMap<ProjectId, WriteScope>>,
}

impl Broker {
    /// Over its parts.
    pub(crate) fn new(parts: Parts, log_in_ms: Option<u32>, tokens: Option<Tokens>) -> Broker {
        let throttle = parts.throttle.clone();
        Broker { parts, throttle, log_in_ms, tokens, scopes: RwLock::default() }
    }

    /// A connection of this client. `anonymous` is who a client is that proves nothing.
    pub async fn session(&self, peer: Peer, anonymous: Option<ProjectId>) -> Session {
        let Peer { address, is_private } = peer;
        let terms = Terms { is_private, lifetime_ms: self.log_in_ms, tokens: self.tokens.clone() };
        let session = Session::new(address.ip(), Sasl::new(self.parts.credentials.clone(), terms));
        if let Some(project) = anonymous
            && self.admit(project).await
        {
            session.take_for(project, ANONYMOUS);
        }
        session
    }

    /// The session of a part of the house that acts for a project as its owner does; none where there is no such project.
    pub(crate) async fn insider(&self, project: ProjectId) -> Option<Session> {
        let users = self.parts.credentials.list(project);
        let owner = users.into_iter().find(|(_, user)| user.is_owner).map(|(name, _)| name);
        let peer = Peer { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), is_private: true };
        let session = self.session(peer, None).await;
        self.scope(project).await?;
        session.take_for(project, owner.as_deref().unwrap_or(ANONYMOUS));
        Some(session)
    }

    /// Looks up the right to write into a project; false where there is no such project.
    async fn admit(&self, project: ProjectId) -> bool {
        match self.parts.tenancy.user_write(project).await {
            Ok(Some(scope)) => {
                self.scopes.write().insert(project, scope);
                true
            }
            Ok(None) => {
                self.scopes.write().remove(&project);
                false
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a project could not be looked up");
                self.scopes.read().contains_key(&project)
            }
        }
    }

    /// The right to write into a project; none where there is no such project.
    pub(crate) async fn scope(&self, project: ProjectId) -> Option<WriteScope> {
        let known = self.scopes.read().get(&project).cloned();
        if known.is_some() {
            return known;
        }
        self.admit(project).await;
        self.scopes.read().get(&project).cloned()
    }

    /// Looks again whether the projects of connected clients are still there. To be called every second or so.
    pub async fn look_again(&self) {
        let known: Vec<ProjectId> = self.scopes.read().keys().copied().collect();
        for project in known {
            self.admit(project).await;
        }
    }

    /// The clients of a deleted project are answered no more.
    pub fn forget(&self, project: ProjectId) {
        self.scopes.write().remove(&project);
    }

    fn log_in(self: &Arc<Self>, session: &Arc<Session>, request: Request) -> BoxFuture<'static, Answer> {
        let (broker, session) = (Arc::clone(self), Arc::clone(session));
        async move {
            let mut sasl = session.sasl.lock().await;
            let answer = if request.key == Some(ApiKey::SaslHandshake) {
                match request.decode::<SaslHandshakeRequest>() {
                    Ok(message) => request.answer(&sasl.handshake(&message, request.version)),
                    Err(why) => Answer::Close(why),
                }
            } else {
                match request.decode::<SaslAuthenticateRequest>() {
                    Ok(message) => request.answer(&sasl.authenticate(&message).await),
                    Err(why) => Answer::Close(why),
                }
            };
            broker.settle(&session, &sasl).await;
            if !sasl.is_over() {
                return answer;
            }
            tokio::time::sleep(FAILED_LOG_IN_DELAY).await;
            answer.and_close()
        }
        .boxed()
    }

    /// Takes over what a step of logging in came to.
    async fn settle(&self, session: &Session, sasl: &Sasl) {
        session.expects_raw.store(sasl.expects_raw(), Ordering::Relaxed);
        match sasl.identity() {
            Some(identity) if !sasl.is_over() && self.admit(identity.project).await => {
                session.prove(identity, sasl);
            }
            _ => session.forget(),
        }
    }

    fn served(self: &Arc<Self>, caller: Caller, scope: WriteScope, request: Request) -> Call {
        let Some(key) = request.key else { return at_once(Answer::Close("its API is not known")) };
        let version = request.version;
        let parts = self.parts.clone();
        match key {
            ApiKey::Produce => {
                let message = match produce::message::read(&request) {
                    Ok(message) => message,
                    Err(why) => return at_once(Answer::Close(why)),
                };
                let taken = parts.produce.take(&scope, &parts.rights(&caller), message, version);
                let wait = self.throttle.count(&caller, Flow::Produced, request.body.len());
                let answer = taken.answer;
                let answer = answer.map(move |answer| match answer {
                    Some(answer) => request.answer(&answer.with_throttle_time_ms(told(wait))).and_mute(wait),
                    None => Answer::None(wait),
                });
                Call { answer: answer.boxed(), lets_others_in: taken.has_its_turn }
            }
            ApiKey::Fetch => {
                let throttle = self.throttle.clone();
                let answer = async move {
                    let message = match FetchRequest::read(&request) {
                        Ok(message) => message,
                        Err(why) => return Answer::Close(why),
                    };
                    let answer = parts.fetch.answer(&parts.rights(&caller), message).await;
                    let wait = throttle.count(&caller, Flow::Consumed, answer.records_bytes());
                    request.written(answer.write(told(wait), version)).and_mute(wait)
                };
                Call { answer: answer.boxed(), lets_others_in: false }
            }
            ApiKey::ListOffsets => {
                // Version 11 has another time to ask for, and no other field (KIP-1023).
                let request = request.of_version(version.min(10));
                then(request, async move |m| parts.offsets.list(&parts.rights(&caller), m, version).await)
            }
            ApiKey::OffsetForLeaderEpoch => {
                then(request, async move |m| parts.offsets.for_leader_epoch(&parts.rights(&caller), m))
            }
            ApiKey::DeleteRecords => {
                then(request, async move |m| parts.offsets.delete(&parts.rights(&caller), m).await)
            }
            ApiKey::InitProducerId => then(request, async move |m| {
                transactions::init_producer_id(&parts, &caller, m, version).await
            }),
            ApiKey::AddPartitionsToTxn => {
                then(request, async move |m| transactions::add_partitions(&parts, &caller, m, version).await)
            }
            ApiKey::AddOffsetsToTxn => {
                then(request, async move |m| transactions::add_offsets(&parts, &caller, m, version).await)
            }
            ApiKey::EndTxn => {
                then(request, async move |m| transactions::end(&parts, &caller, m, version).await)
            }
            ApiKey::TxnOffsetCommit => then(request, async move |m| {
                offsets::commit_in_transaction(&parts, &caller, m, version).await
            }),
            ApiKey::WriteTxnMarkers => {
                then(request, async move |m| transactions::write_markers(&parts, &caller, m, version).await)
            }
            ApiKey::DescribeProducers => then(request, async move |m| {
                transactions::describe_producers(&parts, &caller, m, version).await
            }),
            ApiKey::DescribeTransactions => {
                then(request, async move |m| transactions::describe(&parts, &caller, m, version).await)
            }
            ApiKey::ListTransactions => {
                then(request, async move |m| transactions::list(&parts, &caller, m, version).await)
            }
            ApiKey::FindCoordinator => {
                then(request, async move |m| groups::find_coordinator(&parts, &caller, m, version).await)
            }
            ApiKey::JoinGroup => {
                then(request, async move |m| groups::join(&parts, &caller, m, version).await)
            }
            ApiKey::SyncGroup => {
                then(request, async move |m| groups::sync(&parts, &caller, m, version).await)
            }
            ApiKey::Heartbeat => {
                then(request, async move |m| groups::heartbeat(&parts, &caller, m, version).await)
            }
            ApiKey::LeaveGroup => {
                then(request, async move |m| groups::leave(&parts, &caller, m, version).await)
            }
            ApiKey::OffsetCommit if version >= by_id::FROM => {
                with(async move { by_id::commit(&parts, &caller, &request).await })
            }
            ApiKey::OffsetFetch if version >= by_id::FROM => {
                with(async move { by_id::fetch(&parts, &caller, &request).await })
            }
            ApiKey::OffsetCommit => {
                then(request, async move |m| offsets::commit(&parts, &caller, m, version).await)
            }
            ApiKey::OffsetFetch => {
                then(request, async move |m| offsets::fetch(&parts, &caller, m, version).await)
            }
            ApiKey::OffsetDelete => {
                then(request, async move |m| offsets::delete(&parts, &caller, m, version).await)
            }
            ApiKey::ListGroups => {
                then(request, async move |m| groups::list(&parts, &caller, m, version).await)
            }
            ApiKey::DescribeGroups => {
                then(request, async move |m| groups::describe(&parts, &caller, m, version).await)
            }
            ApiKey::DeleteGroups => {
                then(request, async move |m| groups::delete(&parts, &caller, m, version).await)
            }
            ApiKey::ConsumerGroupHeartbeat => {
                then(request, async move |m| groups::consumer_heartbeat(&parts, &caller, m, version).await)
            }
            ApiKey::ConsumerGroupDescribe => {
                then(request, async move |m| groups::consumer_describe(&parts, &caller, m, version).await)
            }
            _ => self.shared(caller, key, request),
        }
    }

    /// What members of share groups ask, and who looks after them (KIP-932).
    fn shared(&self, caller: Caller, key: ApiKey, request: Request) -> Call {
        let shares = self.parts.shares.clone();
        match key {
            ApiKey::ShareGroupHeartbeat => then(request, async move |m| shares.heartbeat(&caller, m).await),
            ApiKey::ShareGroupDescribe => then(request, async move |m| shares.describe(&caller, m).await),
            ApiKey::ShareFetch => {
                let throttle = self.throttle.clone();
                with(async move {
                    let (message, newer) = share::wire::fetch(&request)?;
                    let (answer, room) = shares.fetch(&caller, message, newer).await;
                    let wait = throttle.count(&caller, Flow::Consumed, shared_bytes(&answer));
                    let answer = answer.with_throttle_time_ms(told(wait));
                    Ok(share::wire::fetched(&request, &answer).holding(room).and_mute(wait))
                })
            }
            ApiKey::ShareAcknowledge => with(async move {
                let (message, may_renew) = share::wire::acknowledge(&request)?;
                let (answer, lock_ms) = shares.acknowledge(&caller, message, may_renew).await;
                Ok(share::wire::acknowledged(&request, &answer, lock_ms))
            }),
            ApiKey::DescribeShareGroupOffsets => with(async move {
                let (answer, lags) = shares.describe_offsets(&caller, request.of_version(0).decode()?).await;
                Ok(share::wire::offsets_described(&request, &answer, &lags))
            }),
            ApiKey::AlterShareGroupOffsets => {
                then(request, async move |m| shares.alter_offsets(&caller, m).await)
            }
            ApiKey::DeleteShareGroupOffsets => {
                then(request, async move |m| shares.delete_offsets(&caller, m).await)
            }
            _ => self.administered(caller, key, request),
        }
    }

    /// What is asked about the cluster, its topics, users and rules.
    fn administered(&self, caller: Caller, key: ApiKey, request: Request) -> Call {
        let (admin, node) = (Arc::clone(&self.parts.admin), self.parts.node.broker());
        let version = request.version;
        match key {
            ApiKey::Metadata => {
                then(request, async move |m| admin.metadata(&caller, &node, m, version).await)
            }
            ApiKey::DescribeTopicPartitions => then(request, async move |m| {
                admin.describe_topic_partitions(&caller, &node, m, version).await
            }),
            ApiKey::DescribeCluster => {
                then(request, async move |m| admin.describe_cluster(&caller, &node, m, version).await)
            }
            ApiKey::CreateTopics => {
                then(request, async move |m| admin.create_topics(&caller, &node, m, version).await)
            }
            ApiKey::DeleteTopics => {
                then(request, async move |m| admin.delete_topics(&caller, m, version).await)
            }
            ApiKey::CreatePartitions => {
                then(request, async move |m| admin.create_partitions(&caller, &node, m, version).await)
            }
            ApiKey::DescribeConfigs => {
                then(request, async move |m| admin.describe_configs(&caller, &node, m, version).await)
            }
            ApiKey::AlterConfigs => {
                then(request, async move |m| admin.alter_configs(&caller, &node, m, version).await)
            }
            ApiKey::IncrementalAlterConfigs => then(request, async move |m| {
                admin.incremental_alter_configs(&caller, &node, m, version).await
            }),
            ApiKey::ListConfigResources => {
                then(request, async move |m| admin.list_config_resources(&caller, &node, m, version).await)
            }
            ApiKey::ElectLeaders => {
                then(request, async move |m| admin.elect_leaders(&caller, m, version).await)
            }
            ApiKey::AlterPartitionReassignments => then(request, async move |m| {
                admin.alter_partition_reassignments(&caller, &node, m, version).await
            }),
            ApiKey::ListPartitionReassignments => {
                then(request, async move |m| admin.list_partition_reassignments(&caller, m, version).await)
            }
            ApiKey::DescribeLogDirs => {
                then(request, async move |m| admin.describe_log_dirs(&caller, m, version).await)
            }
            ApiKey::GetTelemetrySubscriptions => {
                then(request, async move |m| admin.get_telemetry_subscriptions(&caller, m, version).await)
            }
            ApiKey::PushTelemetry => {
                then(request, async move |m| admin.push_telemetry(&caller, m, version).await)
            }
            ApiKey::DescribeUserScramCredentials => {
                then(request, async move |m| admin.describe_user_scram_credentials(&caller, m, version).await)
            }
            ApiKey::AlterUserScramCredentials => {
                then(request, async move |m| admin.alter_user_scram_credentials(&caller, m, version).await)
            }
            ApiKey::DescribeClientQuotas => {
                then(request, async move |m| admin.describe_client_quotas(&caller, m, version).await)
            }
            ApiKey::AlterClientQuotas => {
                then(request, async move |m| admin.alter_client_quotas(&caller, m, version).await)
            }
            ApiKey::CreateAcls => then(request, async move |m| admin.create_acls(&caller, m, version).await),
            ApiKey::DescribeAcls => {
                then(request, async move |m| admin.describe_acls(&caller, m, version).await)
            }
            ApiKey::DeleteAcls => then(request, async move |m| admin.delete_acls(&caller, m, version).await),
            _ => at_once(Answer::Close("its API is not served")),
        }
    }
}

impl Service for Broker {
    type Session = Session;

    fn call(self: &Arc<Self>, session: &Arc<Session>, request: Request) -> Call {
        match request.key {
            Some(ApiKey::ApiVersions) => return at_once(versions::answer(&request)),
            Some(ApiKey::SaslHandshake | ApiKey::SaslAuthenticate) => {
                return Call { answer: self.log_in(session, request), lets_others_in: false };
            }
            _ => {}
        }
        let Some(caller) = session.caller(&request) else {
            return at_once(Answer::Close("it comes before a log in"));
        };
        if session.has_run_out(self.parts.credentials.now()) {
            return at_once(Answer::Close("its log in has run out"));
        }
        if session.is_by_user() && self.parts.credentials.get(caller.project, &caller.user).is_none() {
            return at_once(Answer::Close("its user was deleted"));
        }
        let Some(scope) = self.scopes.read().get(&caller.project).cloned() else {
            return at_once(Answer::Close("its project was deleted"));
        };
        if let Some(answer) = outdated::answer(&request) {
            return at_once(answer);
        }
        if !request.key.is_some_and(|key| versions::is_served(key, request.version)) {
            return at_once(Answer::Close("its version is not served"));
        }
        self.served(caller, scope, request)
    }

    fn takes_raw(&self, session: &Session) -> bool {
        session.takes_raw()
    }

    fn knows(&self, session: &Session) -> bool {
        session.is_proven()
    }

    fn raw(self: &Arc<Self>, session: &Arc<Session>, token: Bytes) -> BoxFuture<'static, Answer> {
        let (broker, session) = (Arc::clone(self), Arc::clone(session));
        async move {
            let mut sasl = session.sasl.lock().await;
            let answer = sasl.raw(&token).await;
            broker.settle(&session, &sasl).await;
            answer.map_or(Answer::Close("the log in failed"), Answer::Raw)
        }
        .boxed()
    }
}

/// Bytes of the records that members of a share group are given.
fn shared_bytes(answer: &ShareFetchResponse) -> usize {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.filter_map(|partition| partition.records.as_ref()).map(Bytes::len).sum()
}

fn at_once(answer: Answer) -> Call {
    Call { answer: ready(answer).boxed(), lets_others_in: false }
}

/// Answers with what comes of this; a request that cannot be read ends the connection.
fn with(answer: impl Future<Output = Result<Answer, &'static str>> + Send + 'static) -> Call {
    Call { answer: answer.map(|answer| answer.unwrap_or_else(Answer::Close)).boxed(), lets_others_in: false }
}

/// Decodes a request and encodes what becomes of it.
fn then<T, R, F>(request: Request, answer: impl FnOnce(T) -> F + Send + 'static) -> Call
where
    T: Decodable + Send + 'static,
    R: Encodable,
    F: Future<Output = R> + Send,
{
    let answer = async move {
        match request.decode::<T>() {
            Ok(message) => request.answer(&answer(message).await),
            Err(why) => Answer::Close(why),
        }
    };
    Call { answer: answer.boxed(), lets_others_in: false }
}
