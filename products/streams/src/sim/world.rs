//! One run: a node that is started, crashes and is started again, and clients that outlive it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use candor_model::random::Seeded;
use candor_model::{Clock, Random};
use candor_store::sim::{SimCrash, SimOperation};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::classic::ClassicMember;
use super::consumers::ConsumerMember;
use super::model::Model;
use super::node::{Fixtures, Kept, Node};
use super::producers::Idempotent;
use super::readers::Reader;
use super::shares::Sharer;
use super::transactions::Mover;

pub type Outcome = Result<(), String>;

/// Lives before the last one, at most.
const LIVES: u64 = 4;
/// A life at most, milliseconds.
const LIFE_MS: u64 = 350;
/// What the last life is given to bring everything to its end, milliseconds.
const CALM_MS: u64 = 6_000;

/// A client: it goes on where it was when the node is there again.
pub trait Client {
    /// Does what it does until this is dropped; in the calm it ends once it has nothing more to do.
    fn live<'a>(&'a mut self, world: &'a World, node: &'a Node) -> Pin<Box<dyn Future<Output = ()> + 'a>>;
}

pub struct World {
    dice: Seeded,
    pub fixtures: &'static Fixtures,
    pub kept: Kept,
    pub model: RefCell<Model>,
    /// Nothing fails any more, and all come to an end.
    pub calm: Cell<bool>,
    pub lives: Cell<u64>,
    stamp: Cell<u64>,
    over: Notify,
    /// Until when all are silent, microseconds.
    silent_until: Cell<i64>,
    history: Cell<u64>,
    verbose: bool,
}

impl World {
    pub fn new(seed: u64, fixtures: &'static Fixtures, verbose: bool) -> World {
        World {
            dice: Seeded::new(seed.wrapping_mul(0x1234_5677).wrapping_add(7)),
            fixtures,
            kept: Kept::new(seed),
            model: RefCell::default(),
            calm: Cell::new(false),
            lives: Cell::new(0),
            stamp: Cell::new(0),
            over: Notify::new(),
            silent_until: Cell::new(0),
            history: Cell::new(0xcbf2_9ce4_8422_2325),
            verbose,
        }
    }

    pub fn below(&self, n: u64) -> u64 {
        self.dice.next_u64() % n.max(1)
    }

    /// True for one in so many; never in the calm.
    pub fn happens(&self, one_in: u64) -> bool {
        !self.calm.get() && self.below(one_in) == 0
    }

    /// Milliseconds.
    pub fn now(&self) -> i64 {
        self.kept.clock.now().0 / 1000
    }

    /// Rises with every call: what comes before what.
    pub fn stamp(&self) -> u64 {
        self.stamp.set(self.stamp.get() + 1);
        self.stamp.get()
    }

    /// Something that happened, for who looks, and for the comparison of two runs of a seed.
    pub fn say(&self, what: impl FnOnce() -> String) {
        let line = format!("{} {}", self.kept.clock.now().0 % 1_000_000_000_000, what());
        let hash = line
            .bytes()
            .fold(self.history.get(), |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.history.set(hash);
        if self.verbose {
            println!("{line}");
        }
    }

    /// What must not be.
    pub fn broken(&self, what: String) {
        self.say(|| format!("BROKEN: {what}"));
        self.model.borrow_mut().broken.get_or_insert(what);
        self.over.notify_one();
    }

    pub fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(what());
        }
    }

    /// Waits between two acts; longer where all are silent.
    pub async fn think(&self, ms: u64) {
        let silent = (self.silent_until.get() - self.kept.clock.now().0) / 1000;
        let silent = u64::try_from(silent).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(silent + 1 + self.below(ms))).await;
    }

    /// Asks the node; none where the connection breaks before the answer is there.
    pub async fn ask<T>(&self, asking: impl Future<Output = T>) -> Option<T> {
        let breaks = self.happens(25);
        let after = Duration::from_millis(self.below(12));
        tokio::select! {
            biased;
            answer = asking => (!breaks || self.below(2) == 0).then_some(answer),
            () = tokio::time::sleep(after), if breaks => None,
        }
    }

    /// Faults of the disk and of storage.
    async fn trouble(&self) {
        loop {
            self.think(60).await;
            let disk = &self.kept.disk;
            match self.below(8) {
                0 => {
                    let calls = 1 + self.below(40);
                    self.say(|| format!("the power goes in {calls} calls"));
                    disk.cut_power_after(calls);
                }
                1 => {
                    self.say(|| "the disk is full".to_owned());
                    disk.set_capacity(disk.used());
                    self.think(30).await;
                    disk.set_capacity(u64::MAX);
                }
                2 => {
                    let mut left = self.below(4);
                    self.say(|| format!("a sync fails after {left}"));
                    disk.fail_when(move |operation, path| {
                        let fits = operation == SimOperation::Sync && path.starts_with("log/");
                        let now = fits && left == 0;
                        left = left.saturating_sub(u64::from(fits));
                        now
                    });
                }
                3..6 => {
                    self.say(|| "storage fails".to_owned());
                    self.kept.trouble.fails.store(true, Ordering::Relaxed);
                    self.think(40).await;
                    self.kept.trouble.fails.store(false, Ordering::Relaxed);
                }
                6 => {
                    let ms = self.below(500) as i64;
                    self.say(|| format!("silence for {ms} ms"));
                    self.silent_until.set(self.kept.clock.now().0 + ms * 1000);
                }
                _ => {}
            }
        }
    }

    /// Runs it all; gives a hash of the history.
    pub fn run(&self, seed: u64) -> Result<u64, String> {
        let mut clients = clients(seed);
        let lives = 1 + self.below(LIVES);
        for life in 0..=lives {
            self.lives.set(life);
            self.calm.set(life == lives);
            self.kept.trouble.fails.store(false, Ordering::Relaxed);
            self.silent_until.set(0);
            if self.calm.get() {
                self.kept.disk.set_capacity(u64::MAX);
            }
            let mut tries = 0;
            while !self.live(&mut clients, life * 100 + tries)? {
                tries += 1;
                if tries > 50 {
                    return Err("the node never starts".to_owned());
                }
            }
        }
        Ok(self.history.get())
    }

    /// One process; false where it could not start.
    fn live(&self, clients: &mut [Box<dyn Client>], number: u64) -> Result<bool, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let lived = runtime.block_on(async {
            self.kept.clock.begin();
            let lived = self.live_within(clients, number).await;
            self.kept.clock.end();
            lived
        });
        drop(runtime);
        self.model.borrow_mut().died(self.stamp());
        let crash = if self.below(3) == 0 { SimCrash::PowerCut } else { SimCrash::Killed };
        self.say(|| format!("the node is gone: {crash:?}"));
        self.kept.disk.restart(crash);
        lived
    }

    async fn live_within(&self, clients: &mut [Box<dyn Client>], number: u64) -> Result<bool, String> {
        let Some(node) = Node::start(self.fixtures, &self.kept, number).await? else { return Ok(false) };
        self.say(|| format!("the node is there: life {number}"));
        self.model.borrow_mut().check_ends(&node)?;
        let calm = self.calm.get();
        let life = Duration::from_millis(if calm { CALM_MS } else { 10 + self.below(LIFE_MS) });
        let ended = {
            let mut living: FuturesUnordered<_> =
                clients.iter_mut().map(|client| client.live(self, &node)).collect();
            let all = async { while living.next().await.is_some() {} };
            tokio::select! {
                biased;
                () = self.over.notified() => true,
                () = node.died() => true,
                () = self.trouble(), if !calm => true,
                () = all => true,
                () = tokio::time::sleep(life) => !calm,
            }
        };
        if let Some(broken) = self.model.borrow_mut().broken.take() {
            return Err(broken);
        }
        if calm {
            if !ended {
                return Err(format!("not everything has come to an end: {}", self.model.borrow().stuck()));
            }
            super::checks::check_all(self, &node).await?;
        }
        Ok(true)
    }
}

/// Who takes part: each seed is about something.
fn clients(seed: u64) -> Vec<Box<dyn Client>> {
    let mut clients: Vec<Box<dyn Client>> = Vec::new();
    let about = seed % 4;
    if about != 1 {
        clients.push(Box::new(Idempotent::new(0)));
        for number in 0..if about == 0 { 4 } else { 2 } {
            // Two of each transactional id: one fences the other.
            clients.push(Box::new(Mover::new(number)));
        }
        clients.push(Box::new(Reader::new(0)));
    }
    if about == 0 {
        clients.push(Box::new(Idempotent::new(1)));
    }
    if about == 1 || about == 3 {
        clients.extend((0..4).map(|number| Box::new(ClassicMember::new(number)) as Box<dyn Client>));
        clients.extend((0..4).map(|number| Box::new(ConsumerMember::new(number)) as Box<dyn Client>));
    }
    if about == 2 {
        clients.extend((0..3).map(|number| Box::new(Sharer::new(number)) as Box<dyn Client>));
    }
    clients
}
