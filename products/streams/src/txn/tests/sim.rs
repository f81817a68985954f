//! Transactions over storage of the simulation: it keeps what is stored across lives, takes its time, and fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use candor_gate::{Gate, TransactionEnd};
use candor_log::Log;
use candor_meta::{SqlError, WriteScope};
use candor_model::{Clock, Partition, ProjectId, TopicName};
use kafka_protocol::ResponseError;
use parking_lot::Mutex;

use crate::data::producer_ids::ProducerIds;
use crate::directory::TopicDirectory;
use crate::groups::Groups;
use crate::sim::trouble::Trouble;
use crate::txn::coordinator::Transactions;
use crate::txn::outside::{Outside, write};
use crate::txn::settings::Settings;
use crate::txn::state::{Places, Transaction};
use crate::txn::storage::{Key, Step, Storage};

/// What transactions have stored: as rows, by table.
#[derive(Default)]
pub(crate) struct TransactionStore {
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    heads: BTreeMap<Key, Transaction>,
    places: BTreeMap<Key, Places>,
    groups: BTreeMap<Key, BTreeSet<Arc<str>>>,
}

impl Rows {
    fn apply(&mut self, step: &Step) {
        match step.clone() {
            Step::Head { key, head } => {
                self.heads.insert(key, *head);
            }
            Step::Grow { key, places, groups } => {
                let of = self.places.entry(key.clone()).or_default();
                for (topic, parts) in places {
                    match of.get_mut(&topic) {
                        Some(held) => held.partitions.extend(parts.partitions),
                        None => drop(of.insert(topic, parts)),
                    }
                }
                self.groups.entry(key).or_default().extend(groups);
            }
            Step::Clear { key } => {
                self.places.remove(&key);
                self.groups.remove(&key);
            }
            Step::Drop { key } => {
                self.heads.remove(&key);
                self.places.remove(&key);
                self.groups.remove(&key);
            }
            Step::DropProject(_) => *self = Rows::default(),
        }
    }
}

struct Troubled {
    store: Arc<TransactionStore>,
    trouble: Arc<Trouble>,
}

#[async_trait]
impl Storage for Troubled {
    async fn apply(&self, steps: &[Step]) -> Result<(), SqlError> {
        let applied = async {
            let mut rows = self.store.rows.lock();
            steps.iter().for_each(|step| rows.apply(step));
            Ok(())
        };
        self.trouble.storing(applied).await
    }

    async fn load(&self) -> Result<Vec<(Key, Transaction)>, SqlError> {
        let rows = self.store.rows.lock();
        let whole = rows.heads.iter().map(|(key, head)| {
            let mut whole = head.clone();
            whole.places = rows.places.get(key).cloned().unwrap_or_default();
            whole.groups = rows.groups.get(key).cloned().unwrap_or_default();
            (key.clone(), whole)
        });
        Ok(whole.collect())
    }
}

/// The log and the groups, of the one project that there is.
struct Ends {
    gate: Arc<Gate>,
    log: Log,
    groups: Groups,
    scope: WriteScope,
}

#[async_trait]
impl Outside for Ends {
    async fn mark(
        &self,
        _project: ProjectId,
        places: Vec<(TopicName, Partition)>,
        end: TransactionEnd,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        Ok(write(&self.gate, &self.log, &self.scope, &places, end).await)
    }

    async fn end_offsets(
        &self,
        project: ProjectId,
        group: &str,
        producer: i64,
        commit: bool,
    ) -> Result<(), ResponseError> {
        self.groups.end_txn(project, group, producer, commit).await
    }
}

/// What transactions stand on.
pub(crate) struct Ground {
    pub gate: Arc<Gate>,
    pub log: Log,
    pub groups: Groups,
    pub scope: WriteScope,
    pub directory: Arc<dyn TopicDirectory>,
    pub producer_ids: ProducerIds,
    pub clock: Arc<dyn Clock>,
}

/// Opens transactions on what is stored.
pub(crate) async fn open(
    store: &Arc<TransactionStore>,
    trouble: &Arc<Trouble>,
    ground: Ground,
    settings: Settings,
) -> Transactions {
    let Ground { gate, log, groups, scope, directory, producer_ids, clock } = ground;
    let storage = Arc::new(Troubled { store: Arc::clone(store), trouble: Arc::clone(trouble) });
    let loaded = storage.load().await.expect("memory is there");
    let outside = Arc::new(Ends { gate, log: log.clone(), groups: groups.clone(), scope });
    let transactions =
        Transactions::new(storage, loaded, outside, groups, log, directory, producer_ids, clock, settings);
    transactions.keep();
    transactions
}
