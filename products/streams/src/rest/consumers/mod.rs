//! Consumers that live here for clients of HTTP (kafka-rest v2): each is a member of its group, or reads partitions that
//! it was told, and is asked for records by one request after the other.
//!
//! They are in memory alone: after a restart a client makes a new one, as after its time is over.

mod instance;
mod offsets;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use candor_model::{ProjectId, Random};
use http::StatusCode;
use parking_lot::Mutex;
use tokio::time::Instant;

pub(super) use instance::{Consumer, Options, Place, Wants};
pub(super) use offsets::Committed;

use super::client::Client;
use super::error::{Answer, RestError};

/// Consumers of one project, and of all.
const PROJECT_MAX: usize = 500;
const ALL_MAX: usize = 5_000;

/// How long one lives that nobody asks (`consumer.instance.timeout.ms`).
const IDLE_MAX: Duration = Duration::from_secs(300);

/// How often members say that they are there, and is looked for those whose time is over.
const BEAT_EVERY: Duration = Duration::from_secs(3);

/// Longest name of one, bytes.
const NAME_BYTES_MAX: usize = 255;

/// Which one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    project: ProjectId,
    group: String,
    name: String,
}

/// One, and when it was last asked.
pub(super) struct Slot {
    /// Who made it: nobody else may ask it.
    user: Arc<str>,
    used: Mutex<Instant>,
    pub consumer: tokio::sync::Mutex<Consumer>,
}

/// All of them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Consumers {
    inner: Arc<Inner>,
}

struct Inner {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    random: Arc<dyn Random>,
}

fn not_found() -> RestError {
    RestError::new(StatusCode::NOT_FOUND, 40403, "Consumer instance not found.")
}

impl Consumers {
    /// None yet. From now on members say that they are there.
    pub fn start(random: Arc<dyn Random>) -> Consumers {
        let inner = Arc::new(Inner { slots: Mutex::default(), random });
        tokio::spawn(beat(Arc::downgrade(&inner)));
        Consumers { inner }
    }

    /// Makes one; gives its name.
    pub fn make(
        &self,
        client: Client,
        group: &str,
        name: Option<String>,
        options: Options,
    ) -> Answer<String> {
        let fresh = || format!("rest-consumer-{}", self.fresh());
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(fresh);
        let is_name = name.len() <= NAME_BYTES_MAX && !name.chars().any(|c| c.is_control() || c == '/');
        if !is_name {
            let why = format!("the name of a consumer has at most {NAME_BYTES_MAX} bytes, and no / in it");
            return Err(RestError::payload(why));
        }
        let key = Key { project: client.project(), group: group.to_owned(), name: name.clone() };
        let mut slots = self.inner.slots.lock();
        if slots.contains_key(&key) {
            let message =
                "Consumer with specified consumer ID already exists in the specified consumer group.";
            return Err(RestError::new(StatusCode::CONFLICT, 40902, message));
        }
        let own = slots.keys().filter(|other| other.project == key.project).count();
        if own >= PROJECT_MAX || slots.len() >= ALL_MAX {
            let message = format!(
                "there are {own} consumers of the project already: delete some, or wait for their end"
            );
            return Err(RestError::plain(StatusCode::TOO_MANY_REQUESTS, message));
        }
        let member = self.fresh();
        let slot = Slot {
            user: client.user(),
            used: Mutex::new(Instant::now()),
            consumer: tokio::sync::Mutex::new(Consumer::new(client, group, member, options)),
        };
        slots.insert(key, Arc::new(slot));
        Ok(name)
    }

    fn fresh(&self) -> String {
        let mut bytes = [0; 16];
        self.inner.random.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// One that this client made.
    pub fn find(&self, client: &Client, group: &str, name: &str) -> Answer<Arc<Slot>> {
        let key = Key { project: client.project(), group: group.to_owned(), name: name.to_owned() };
        let slots = self.inner.slots.lock();
        let slot = slots.get(&key).filter(|slot| slot.user == client.user()).ok_or_else(not_found)?;
        *slot.used.lock() = Instant::now();
        Ok(Arc::clone(slot))
    }

    /// Ends one; it leaves its group.
    pub async fn end(&self, client: &Client, group: &str, name: &str) -> Answer<()> {
        let slot = self.find(client, group, name)?;
        let key = Key { project: client.project(), group: group.to_owned(), name: name.to_owned() };
        let mine = self.inner.slots.lock().remove(&key);
        // Somebody else was quicker.
        mine.ok_or_else(not_found)?;
        slot.consumer.lock().await.leave().await;
        Ok(())
    }
}

/// Says for members that they are there, and ends those that nobody asks any more.
async fn beat(all: Weak<Inner>) {
    loop {
        tokio::time::sleep(BEAT_EVERY).await;
        let Some(inner) = all.upgrade() else { return };
        let slots: Vec<(Key, Arc<Slot>)> =
            inner.slots.lock().iter().map(|(key, slot)| (key.clone(), Arc::clone(slot))).collect();
        for (key, slot) in slots {
            // One that is being asked says so by itself.
            let Ok(mut consumer) = slot.consumer.try_lock() else { continue };
            if slot.used.lock().elapsed() > IDLE_MAX {
                inner.slots.lock().remove(&key);
                consumer.leave().await;
            } else if consumer.is_member() {
                // What is wrong is said to the next request that asks.
                let _ = consumer.beat().await;
            }
        }
    }
}
