//! Seeded lives of a lake over storage that fails: whatever happens at any step, each committed row is there exactly
//! once, and in the end nothing lies about that no file list names. A seed that fails is a test of one line.
//!
//! A life runs on a runtime of its own. A crash stops that at whatever await its tasks stand at, as a kill stops a
//! process; what a database had begun to commit it may commit, as the real one may.

use std::sync::Arc;
use std::time::Duration;

use candor_lake::{Lake, LakeConfig, LakeError, LakeParts};
use candor_model::random::{Random, Seeded};
use candor_model::{Clock, Signal};
use candor_store::sim::SimObjects;
use candor_store::{Files, Objects};
use tokio::runtime::{Builder, Runtime};

use crate::bed::{Bed, logs};

/// Makes every commit of the catalog fail.
const REFUSE: &str = "CREATE TRIGGER refuse BEFORE INSERT ON ducklake_snapshot
    BEGIN SELECT RAISE(ABORT, 'refused'); END";

struct World {
    bed: Bed,
    objects: SimObjects,
    files: Arc<Files>,
    dice: Seeded,
    rows: usize,
    story: Vec<String>,
}

/// A process: its runtime and its lake.
struct Life {
    runtime: Runtime,
    lake: Lake,
}

impl Life {
    /// Starts as a process would that is started again until it stays up.
    fn begin(world: &World) -> Life {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let config = LakeConfig { table_bytes: 512 << 10, ..world.bed.config() };
        loop {
            let random = Arc::new(Seeded::new(world.dice.next_u64()));
            let parts = LakeParts { files: Arc::clone(&world.files), random, ..world.bed.parts() };
            match runtime.block_on(Lake::start(parts, config.clone())) {
                Ok(lake) => return Life { runtime, lake },
                Err(error) => assert!(matches!(error, LakeError::Store(_)), "{error}"),
            }
        }
    }

    fn kill(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

impl World {
    fn new(runtime: &Runtime, seed: u64) -> World {
        let bed = runtime.block_on(Bed::new());
        let objects = SimObjects::new(seed);
        let store: Arc<dyn Objects> = Arc::new(objects.clone());
        let files = Arc::new(Files::new(store, None, Arc::new(Seeded::new(seed))));
        World { bed, objects, files, dice: Seeded::new(seed), rows: 0, story: Vec::new() }
    }

    fn below(&self, sides: u64) -> u64 {
        self.dice.next_u64() % sides
    }

    fn step(&mut self, base: &Runtime, life: Life) -> Life {
        let faulty = self.below(3) == 0;
        let refusing = self.below(8) == 0;
        let sql = |sql: &'static str| base.block_on(self.bed.catalog.execute(sql, &[])).unwrap();
        if faulty {
            self.objects.set_faults(6, 6);
        }
        if refusing {
            sql(REFUSE);
        }
        let mut life = life;
        let lake = life.lake.clone();
        let done = match self.below(9) {
            0..4 => {
                let count = 1 + self.below(400) as usize;
                self.bed.logs(self.rows, count);
                self.rows += count;
                format!("append {count}")
            }
            4 => format!("flush {}", life.runtime.block_on(lake.flush(None)).is_ok()),
            5 => format!("compact {}", life.runtime.block_on(lake.compact(None)).is_ok()),
            6 => {
                self.bed.advance_seconds(self.below(5000) as i64);
                format!("upkeep {}", life.runtime.block_on(lake.upkeep()).is_ok())
            }
            7 => {
                life.kill();
                life = Life::begin(self);
                "crash".to_owned()
            }
            _ => {
                let pause = Duration::from_micros(self.below(30_000));
                life.runtime.spawn(async move {
                    let _ = lake.flush(None).await;
                    let _ = lake.compact(None).await;
                    let _ = lake.upkeep().await;
                });
                std::thread::sleep(pause);
                life.kill();
                life = Life::begin(self);
                format!("crash at work, after {pause:?}")
            }
        };
        if refusing {
            base.block_on(self.bed.catalog.execute("DROP TRIGGER refuse", &[])).unwrap();
        }
        self.objects.set_faults(0, 0);
        let faults = if faulty { ", storage fails" } else { "" };
        self.story.push(format!("{done}{faults}{}", if refusing { ", commits fail" } else { "" }));
        let pinned = life.runtime.block_on(life.lake.pin(&self.bed.shop, Signal::Logs)).unwrap();
        assert_eq!(pinned.rows(), self.rows as u64, "after {:#?}", self.story);
        life
    }

    /// Everything is there once, and when time has passed nothing else is.
    fn end(mut self, life: Life) {
        life.runtime.block_on(life.lake.flush(None)).unwrap();
        life.kill();
        let Life { runtime, lake } = Life::begin(&self);
        runtime.block_on(async {
            let offsets = self.bed.offsets(&lake, Signal::Logs).await;
            assert_eq!(offsets, (0..self.rows as i64).collect::<Vec<_>>(), "after {:#?}", self.story);
            for n in 0..4 {
                self.bed.advance_seconds(4000);
                // A snapshot younger than history must follow for older ones to end.
                let other = self.bed.other.project();
                self.bed.log.append(other, Signal::Logs, logs(n, 1), self.bed.clock.now());
                lake.flush(None).await.unwrap();
                lake.upkeep().await.unwrap();
            }
            let mut named = Vec::new();
            for scope in [&self.bed.shop, &self.bed.other] {
                let pinned = lake.pin(scope, Signal::Logs).await.unwrap();
                named.extend(pinned.files.iter().map(|file| file.key.clone()));
            }
            named.sort();
            assert_eq!(self.objects.list("lake/").await.unwrap(), named, "after {:#?}", self.story);
        });
        self.story.clear();
    }
}

fn live(seed: u64) {
    eprintln!("seed {seed}");
    let base = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut world = World::new(&base, seed);
    let mut life = Life::begin(&world);
    for _ in 0..40 {
        life = world.step(&base, life);
    }
    world.end(life);
}

#[test]
fn every_row_is_there_once_whatever_fails() {
    let seeds = std::env::var("CANDOR_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    (0..seeds).for_each(live);
}
