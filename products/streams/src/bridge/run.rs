//! One bridge, from when it is begun until it is ended: whenever anything fails it begins anew, a little later each time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use candor_model::Random;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Cluster, Side};
use super::copying::Copying;
use super::groups::Groups;
use super::progress::{BridgeState, Progress};
use super::source::Reader;
use super::spec::Spec;
use super::target::Writer;
use super::trouble::Trouble;
use crate::wire::Room;

/// Pauses after failures: they double.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long a topic stands back that the target refused: somebody may have made room for it.
const STAND_BACK: Duration = Duration::from_secs(60);

/// A bridge with all that it needs.
pub(crate) struct Job {
    pub spec: Spec,
    /// Of its group and its transactions.
    pub id: String,
    /// When it was made, microseconds since 1970.
    pub since: i64,
    pub source: Side,
    pub target: Side,
    pub progress: Arc<Progress>,
    /// What all bridges read ahead together.
    pub room: Room,
    pub random: Arc<dyn Random>,
}

/// Pieces that batches are cut into which are too large for the target, bytes before they are compressed: smaller and
/// smaller, and in the end each record alone.
const CUT_BYTES_MAX: usize = 256 << 10;
const CUT_BYTES_MIN: usize = 1;

/// What is remembered from one try to the next.
#[derive(Default)]
pub(super) struct Memory {
    /// Topics that stand back, until when, and why.
    pub stopped: HashMap<String, (Instant, String)>,
    /// Topics whose batches are cut, to so many bytes, for the target does not take them as large as they are.
    pub cut: HashMap<String, usize>,
    /// Topics of the target that were mirrored, with their ids there.
    pub known: HashMap<String, String>,
    /// Topics were looked at: those that come from now on are new.
    pub is_settled: bool,
}

impl Memory {
    /// Has a topic's batches cut smaller from now on; false where each record is alone already.
    fn cuts_smaller(&mut self, topic: &str) -> bool {
        let cut = match self.cut.get(topic) {
            None => CUT_BYTES_MAX,
            Some(&CUT_BYTES_MIN) => return false,
            Some(bytes) => (bytes / 8).max(CUT_BYTES_MIN),
        };
        self.cut.insert(topic.to_owned(), cut);
        true
    }
}

impl Job {
    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let memory = Mutex::new(Memory::default());
        let mut pause = PAUSE_MIN;
        loop {
            self.progress.is_now(BridgeState::Starting);
            let began = Instant::now();
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.once(&memory) => outcome,
            };
            let trouble = match outcome {
                Ok(never) => match never {},
                Err(trouble) => trouble,
            };
            if began.elapsed() > PAUSE_MAX {
                pause = PAUSE_MIN;
            }
            if let Trouble::Topic { topic, why, is_size } = trouble {
                let mut memory = memory.lock();
                if !is_size || !memory.cuts_smaller(&topic) {
                    memory.stopped.insert(topic, (Instant::now() + STAND_BACK, why));
                }
                continue;
            }
            // Between half of it and all: bridges that lost the same broker do not come back at once.
            let part = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            let wait = pause.mul_f64(0.5 + part / 2.0);
            tracing::warn!(bridge = self.spec.name, error = %trouble, "a bridge stands still");
            self.progress.failed(trouble.to_string(), Some(wait));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Mirrors until something fails.
    async fn once(&self, memory: &Mutex<Memory>) -> Result<std::convert::Infallible, Trouble> {
        let mut source = Cluster::new(&self.source);
        let mut target = Cluster::new(&self.target);
        source.metadata(Some(Vec::new())).await?;
        target.metadata(Some(Vec::new())).await?;
        let reader = Reader::new(&self.source, &self.room);
        let writer = Writer::open(&self.target, &self.id).await?;
        let mut copying = Copying::new(self, memory, source, target, reader, writer).await?;
        copying.settle(true).await?;
        self.progress.is_now(BridgeState::Running);
        let groups = async {
            if !self.spec.groups {
                return std::future::pending().await;
            }
            Groups::new(&self.source, &self.target, &self.progress).run().await
        };
        tokio::select! {
            outcome = copying.run() => outcome,
            never = groups => match never {},
        }
    }
}
