//! Groups over storage of the simulation: it keeps what is stored across lives, takes its time, and fails.

use std::sync::Arc;

use async_trait::async_trait;
use candor_meta::SqlError;
use candor_model::{Clock, Random};

use super::bed::{Memory, Set};
use crate::directory::TopicDirectory;
use crate::groups::storage::{Committed, GroupKey, Place, Step, Storage, StoredGroup};
use crate::groups::{Groups, Settings};
use crate::sim::trouble::Trouble;

/// What groups have stored.
#[derive(Default)]
pub(crate) struct GroupStore(Memory);

struct Troubled {
    store: Arc<GroupStore>,
    trouble: Arc<Trouble>,
}

#[async_trait]
impl Storage for Troubled {
    async fn apply(&self, steps: &[Step]) -> Result<(), SqlError> {
        self.trouble.storing(self.store.0.apply(steps)).await
    }

    async fn load(&self) -> Result<Vec<(GroupKey, StoredGroup)>, SqlError> {
        self.store.0.load().await
    }

    async fn offsets(&self, key: &GroupKey) -> Result<Vec<(Place, Committed)>, SqlError> {
        self.trouble.storing(self.store.0.offsets(key)).await
    }
}

/// Opens groups on what is stored.
pub(crate) async fn open(
    store: &Arc<GroupStore>,
    trouble: &Arc<Trouble>,
    directory: Arc<dyn TopicDirectory>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
) -> Groups {
    let loaded = store.0.load().await.expect("memory is there");
    let storage = Arc::new(Troubled { store: Arc::clone(store), trouble: Arc::clone(trouble) });
    Groups::start(storage, loaded, directory, clock, random, settings, Arc::new(Set::default()))
}
