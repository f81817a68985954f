//! The seeded simulation of the local log: random appends, reads, retention and compaction on a disk that loses
//! power at any call, tears writes, forgets what was not synced, fails syncs and fills up. The code under test is
//! the code that ships; only its threads are left out.
//!
//! `CANDOR_SIM_SEED=n cargo test -p candor-log sim` runs one seed and prints what it did; with
//! `CANDOR_SIM_MUTANT=name` the mutant of that name is planted.

mod checks;
mod keyed;
mod model;
mod policies;
mod producers;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use candor_store::sim::SimOperation;

use crate::mutant::{Mutant, plant};
use world::World;

const SEEDS: u64 = 1000;
const MUTANT_SEEDS: u64 = 100;

/// A lie of the disk: this sync is left out.
type Lie = fn(SimOperation, &str) -> bool;

fn lie_about(operation: SimOperation, path: &str, of: SimOperation, fits: impl Fn(&str) -> bool) -> bool {
    operation == of && fits(path)
}

/// What is broken on purpose, and how.
fn mutants() -> Vec<(&'static str, Option<Mutant>, Option<Lie>)> {
    use SimOperation::{Sync, SyncDir};
    vec![
        (
            "skip the journal's fdatasync",
            None,
            Some(|o, p| lie_about(o, p, Sync, |p| p.ends_with(".journal"))),
        ),
        (
            "skip the sync of a new journal file",
            None,
            Some(|o, p| lie_about(o, p, Sync, |p| p.ends_with(".new") && p.contains("journal/"))),
        ),
        (
            "skip the journal folder's sync",
            None,
            Some(|o, p| lie_about(o, p, SyncDir, |p| p == "log/journal")),
        ),
        (
            "skip the checkpoint's sync",
            None,
            Some(|o, p| lie_about(o, p, Sync, |p| p.contains("checkpoint"))),
        ),
        ("skip the checkpoint folder's sync", None, Some(|o, p| lie_about(o, p, SyncDir, |p| p == "log"))),
        (
            "skip a segment's sync before its rename",
            None,
            Some(|o, p| lie_about(o, p, Sync, |p| p.starts_with("objects/"))),
        ),
        (
            "skip the segment folder's sync after a rename",
            None,
            Some(|o, p| lie_about(o, p, SyncDir, |p| p.starts_with("objects/"))),
        ),
        ("acknowledge before the sync", Some(Mutant::AckBeforeSync), None),
        ("skip the sync of what a restart found", Some(Mutant::SkipRecoverySync), None),
        ("trust names that a restart found", Some(Mutant::TrustFoundNames), None),
        ("skip writing again what a restart found", Some(Mutant::SkipRecommit), None),
        ("remove files before the checkpoint", Some(Mutant::RemoveBeforeCheckpoint), None),
        ("leave the request ids out of the checkpoint", Some(Mutant::ForgetRequests), None),
        ("do not compare request ids in a group", Some(Mutant::SkipGroupRequests), None),
        ("leave producers out of the checkpoint", Some(Mutant::ForgetProducers), None),
        ("do not compare sequences in a group", Some(Mutant::SkipGroupProducers), None),
        ("trim what consumers have not consumed", Some(Mutant::IgnoreConsumers), None),
        ("compact past the last stable offset", Some(Mutant::CompactPastStable), None),
        ("count what was aborted as a key's last", Some(Mutant::CountAborted), None),
        ("drop tombstones before their time", Some(Mutant::DropTombstonesEarly), None),
        ("compact a producer's last batch away", Some(Mutant::DropLastOfProducer), None),
        ("forget producers when compacting", Some(Mutant::LoseProducers), None),
        ("swap in a segment that was not written", Some(Mutant::SwapUnwritten), None),
        ("keep what a failed write left", Some(Mutant::KeepFailedWrite), None),
        ("take what was cleared under an old policy", Some(Mutant::TakeOutdated), None),
    ]
}

/// Runs a seed; the error says what broke.
fn run(seed: u64, lie: Option<Lie>, verbose: bool) -> Result<(), String> {
    let steps = std::panic::AssertUnwindSafe(|| {
        let mut world = World::new(seed, verbose);
        if let Some(lie) = lie {
            world.disk().lie_when(lie);
        }
        world.run()
    });
    match std::panic::catch_unwind(steps) {
        Ok(done) => done,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        }
    }
}

#[test]
fn every_seed_keeps_what_was_acknowledged() {
    if let Ok(seed) = std::env::var("CANDOR_SIM_SEED") {
        let seed = seed.parse().expect("CANDOR_SIM_SEED is a number");
        let planted = std::env::var("CANDOR_SIM_MUTANT").ok();
        let planted = planted.map(|wanted| mutants().into_iter().find(|(name, ..)| *name == wanted));
        let (_, mutant, lie) = planted.map_or(("", None, None), |found| found.expect("a mutant's name"));
        plant(mutant);
        if let Err(broken) = run(seed, lie, true) {
            panic!("seed {seed}: {broken}");
        }
        return;
    }
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    if let Err(broken) = run(seed, None, false) {
                        panic!("seed {seed}: {broken}\nreplay: CANDOR_SIM_SEED={seed} cargo test -p candor-log sim");
                    }
                })
            })
            .collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn every_mutant_is_caught() {
    // Panics of broken runs are expected here; their traces would hide the table.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut survived = Vec::new();
    let mut table = String::new();
    for (name, mutant, lie) in mutants() {
        plant(mutant);
        let caught = (0..MUTANT_SEEDS).find_map(|seed| run(seed, lie, false).err().map(|why| (seed, why)));
        plant(None);
        match caught {
            Some((seed, why)) => table.push_str(&format!("{name}: caught by seed {seed}: {why}\n")),
            None => survived.push(name),
        }
    }
    std::panic::set_hook(hook);
    println!("{table}");
    assert!(survived.is_empty(), "not caught within {MUTANT_SEEDS} seeds: {survived:?}");
}
