//! A cluster as one part of a bridge uses it: its brokers, and who leads and coordinates what.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, MetadataRequest, MetadataResponse, metadata_request::MetadataRequestTopic,
};
use kafka_protocol::protocol::{Request, StrBytes};

use super::dial::Side;
use super::link::{Bounds, Link, Told};
use crate::bridge::trouble::Trouble;
use crate::wire::Room;

/// Answers that are no records, bytes: a list of all topics of a large cluster has some.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// A broker's number.
pub(crate) type Node = i32;

/// In the place of a number: whichever answers.
const ANY: Node = -1;

/// Kinds of what is coordinated.
const OF_GROUPS: i8 = 0;
const OF_TRANSACTIONS: i8 = 1;

/// A cluster.
pub(crate) struct Cluster {
    side: Side,
    bounds: Bounds,
    links: HashMap<Node, Link>,
    addresses: HashMap<Node, (String, u16)>,
    coordinators: HashMap<(i8, String), Node>,
}

impl Cluster {
    /// To be asked anything but for records.
    pub fn new(side: &Side) -> Cluster {
        let bounds = Bounds { answer_bytes: ANSWER_BYTES_MAX, room: Room::new(ANSWER_BYTES_MAX) };
        Cluster::with(side, bounds)
    }

    /// To be asked for answers within bounds.
    pub fn with(side: &Side, bounds: Bounds) -> Cluster {
        Cluster {
            side: side.clone(),
            bounds,
            links: HashMap::new(),
            addresses: HashMap::new(),
            coordinators: HashMap::new(),
        }
    }

    /// What the side is called in messages.
    pub fn name(&self) -> &'static str {
        self.side.name()
    }

    /// Topics and who leads their partitions: of all, or of those named. Nothing is created by asking.
    pub async fn metadata(&mut self, topics: Option<Vec<String>>) -> Result<MetadataResponse, Trouble> {
        let named = |name: String| {
            let name = StrBytes::from_string(name);
            MetadataRequestTopic::default().with_name(Some(name.into()))
        };
        let topics = topics.map(|names| names.into_iter().map(named).collect());
        let request = MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false);
        let told = self.ask(ANY, &request).await?;
        let known: Vec<Node> = told.brokers.iter().map(|broker| broker.node_id.0).collect();
        self.addresses.retain(|node, _| known.contains(node));
        for broker in &told.brokers {
            let Ok(port) = u16::try_from(broker.port) else { continue };
            let address = (broker.host.to_string(), port);
            let node = broker.node_id.0;
            if self.addresses.insert(node, address.clone()).is_some_and(|known| known != address) {
                self.links.remove(&node);
            }
        }
        Ok(told)
    }

    /// The brokers that are known.
    pub fn nodes(&self) -> Vec<Node> {
        self.addresses.keys().copied().collect()
    }

    /// Asks a broker.
    pub async fn ask<R: Request>(&mut self, node: Node, request: &R) -> Result<R::Response, Trouble> {
        let mut link = self.take(node).await?;
        let told = link.ask(request, Duration::ZERO).await;
        self.put(node, link);
        Ok(told?.message)
    }

    /// Asks whichever broker answers.
    pub async fn ask_any<R: Request>(&mut self, request: &R) -> Result<R::Response, Trouble> {
        self.ask(ANY, request).await
    }

    /// Asks several at once, each something of its own, and gives what each answered. `wait` is how long the requests
    /// may wait by themselves.
    pub async fn ask_each<R: Request>(
        &mut self,
        requests: Vec<(Node, R)>,
        wait: Duration,
    ) -> Vec<(Node, Result<Told<R::Response>, Trouble>)> {
        let mut asked = Vec::with_capacity(requests.len());
        let mut failed = Vec::new();
        for (node, request) in requests {
            match self.take(node).await {
                Ok(link) => asked.push((node, link, request)),
                Err(trouble) => failed.push((node, Err(trouble))),
            }
        }
        let asking = asked.into_iter().map(async |(node, mut link, request)| {
            let told = link.ask(&request, wait).await;
            (node, link, told)
        });
        let mut told = failed;
        for (node, link, answer) in join_all(asking).await {
            self.put(node, link);
            told.push((node, answer));
        }
        told
    }

    /// Asks who coordinates a group.
    pub async fn ask_group<R: Request>(&mut self, group: &str, request: &R) -> Result<R::Response, Trouble> {
        self.ask_coordinator(OF_GROUPS, group, request).await
    }

    /// Asks who coordinates the transactions of an id.
    pub async fn ask_transaction<R: Request>(
        &mut self,
        id: &str,
        request: &R,
    ) -> Result<R::Response, Trouble> {
        self.ask_coordinator(OF_TRANSACTIONS, id, request).await
    }

    /// Forgets who coordinates what: it moved.
    pub fn forget_coordinators(&mut self) {
        self.coordinators.clear();
    }

    async fn ask_coordinator<R: Request>(
        &mut self,
        kind: i8,
        key: &str,
        request: &R,
    ) -> Result<R::Response, Trouble> {
        let known = self.coordinators.get(&(kind, key.to_owned())).copied();
        let node = match known {
            Some(node) => node,
            None => {
                let find = FindCoordinatorRequest::default()
                    .with_key(StrBytes::from_string(key.to_owned()))
                    .with_key_type(kind);
                let told = self.ask(ANY, &find).await?;
                let at = || format!("{} ({key})", self.side.name());
                Trouble::check(at, ApiKey::FindCoordinator, told.error_code)?;
                let node = told.node_id.0;
                if let Ok(port) = u16::try_from(told.port) {
                    self.addresses.insert(node, (told.host.to_string(), port));
                }
                self.coordinators.insert((kind, key.to_owned()), node);
                node
            }
        };
        let told = self.ask(node, request).await;
        if told.is_err() {
            self.coordinators.remove(&(kind, key.to_owned()));
        }
        told
    }

    /// A link to the broker, made where there is none.
    async fn take(&mut self, node: Node) -> Result<Link, Trouble> {
        if let Some(link) = self.links.remove(&node)
            && link.is_usable()
        {
            return Ok(link);
        }
        if let Some((host, port)) = self.addresses.get(&node) {
            return self.side.dial(host, *port, self.bounds.clone()).await;
        }
        let mut last = Trouble::Other(format!("{} has no broker {node} any more", self.side.name()));
        if node != ANY {
            return Err(last);
        }
        for (host, port) in self.side.bootstrap() {
            match self.side.dial(&host, port, self.bounds.clone()).await {
                Ok(link) => return Ok(link),
                // Another server would refuse it as well, and each refusal is noted there.
                Err(trouble @ Trouble::LogIn { .. }) => return Err(trouble),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    fn put(&mut self, node: Node, link: Link) {
        if link.is_usable() {
            self.links.insert(node, link);
        }
    }
}
