//! The seeded simulation of transactions, groups and producers: one node over a disk that loses power, fills up and fails
//! syncs, over storage that fails and loses answers, which is killed and started again at any moment; clients that outlive
//! it, of all kinds, who break the rules at times; and a model of what must be true, in the manner of Jepsen's workload
//! for Kafka. The code under test is the code that ships; time is virtual, and all runs in one thread: a seed is a history.
//!
//! `CANDOR_SIM_SEED=n cargo test -p candor-streams sim` runs one seed and prints what it did; with
//! `CANDOR_SIM_MUTANT=name` the mutant of that name is planted. `CANDOR_SIM_SEEDS=n` runs so many instead of a thousand.

mod checks;
mod classic;
mod consumers;
mod model;
mod node;
mod producers;
mod readers;
mod shares;
mod transactions;
pub(crate) mod trouble;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};

use bytes::Bytes;
use candor_records::{BatchBuilder, Bounds, Codec, Headers, open};

use crate::mutant::{Mutant, plant};
use node::Fixtures;
use world::World;

const SEEDS: u64 = 1000;
const MUTANT_SEEDS: u64 = 100;
/// Seeds that are run twice.
const TWICE: u64 = 12;

static FIXTURES: LazyLock<Fixtures> = LazyLock::new(Fixtures::new);

/// What is broken on purpose.
fn mutants() -> Vec<Mutant> {
    use Mutant::*;
    vec![
        SkipProduceFence,
        SkipEndFence,
        SkipSequence,
        AnswerRetryAsNew,
        LoseMarker,
        CommitAtOnce,
        CompleteBeforeOffsets,
        SkipPrepare,
        CommitAborted,
        SkipInitAbort,
        SkipTimeout,
        SkipGeneration,
        SkipMemberEpoch,
        HandOverEarly,
        TakeOverLiving,
        KeepReplaced,
        SkipSessionTimeout,
        AcknowledgeUnstored,
        AcceptTwice,
        ForgetAcceptance,
    ]
}

/// A batch of a producer that is not one of a transaction, as if nobody had numbered it.
pub(crate) fn without_numbers(batch: Bytes) -> Bytes {
    let bounds = Bounds { bytes: 1 << 20, records: 1000 };
    let Ok(opened) = open(&batch, bounds) else { return batch };
    if opened.header().is_transactional() {
        return batch;
    }
    let mut builder = BatchBuilder::new(Codec::None);
    for record in opened.records().flatten() {
        let at = record.timestamp(opened.header());
        builder.push(at, record.key, record.value, Headers::default());
    }
    builder.finish().unwrap_or(batch)
}

/// What a run did.
type Seen = BTreeMap<&'static str, u64>;

/// Runs a seed; gives a hash of its history, or says what broke.
fn run(seed: u64, verbose: bool) -> Result<(u64, Seen), String> {
    let steps = std::panic::AssertUnwindSafe(|| {
        let world = World::new(seed, &FIXTURES, verbose);
        let history = world.run(seed)?;
        Ok((history, world.model.into_inner().seen))
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
fn every_seed_keeps_what_it_promised() {
    if let Ok(seed) = std::env::var("CANDOR_SIM_SEED") {
        let seed = seed.parse().expect("CANDOR_SIM_SEED is a number");
        if let Ok(wanted) = std::env::var("CANDOR_SIM_MUTANT") {
            let found = mutants().into_iter().find(|mutant| format!("{mutant:?}") == wanted);
            plant(Some(found.expect("a mutant's name")));
        }
        match run(seed, true) {
            Ok((_, seen)) => println!("{seen:?}"),
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
        return;
    }
    let seeds = std::env::var("CANDOR_SIM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let all = Mutex::new(Seen::new());
    std::thread::scope(|scope| {
        let work = || loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            match run(seed, false) {
                Err(broken) => panic!(
                    "seed {seed}: {broken}\nreplay: CANDOR_SIM_SEED={seed} cargo test -p candor-streams sim"
                ),
                Ok((_, seen)) => {
                    let mut all = all.lock().expect("nobody panics with it");
                    seen.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
                }
            }
        };
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let all = all.into_inner().expect("nobody panicked");
    println!("{seeds} seeds: {all:?}");
    for what in [
        "batches",
        "commits",
        "aborts",
        "inits",
        "read",
        "offsets",
        "assignments",
        "accepted",
        "compacted away",
    ] {
        let count = all.get(what).copied().unwrap_or(0);
        assert!(count >= seeds / 4, "{what}: {count} in {seeds} seeds, too little happens");
    }
}

#[test]
fn a_seed_is_a_history() {
    for seed in 0..TWICE {
        let (first, second) = (run(seed, false), run(seed, false));
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn every_mutant_is_caught() {
    // Panics of broken runs are expected here; their traces would hide the table.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (mut survived, mut table) = (Vec::new(), String::new());
    for mutant in mutants() {
        plant(Some(mutant));
        let caught = (0..MUTANT_SEEDS).find_map(|seed| run(seed, false).err().map(|why| (seed, why)));
        plant(None);
        match caught {
            Some((seed, why)) => table.push_str(&format!("{mutant:?}: caught by seed {seed}: {why}\n")),
            None => survived.push(mutant),
        }
    }
    std::panic::set_hook(hook);
    println!("{table}");
    assert!(survived.is_empty(), "not caught within {MUTANT_SEEDS} seeds: {survived:?}");
}
