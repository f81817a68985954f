//! Deadlines of all groups in one queue: sessions that end, rebalances that take too long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::registry::{Group, Groups, Inner};

/// Which groups have something to do, and when.
#[derive(Default)]
pub(super) struct Timers {
    queue: Mutex<Alarms>,
    wake: Notify,
}

#[derive(Default)]
struct Alarms {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    groups: std::collections::HashMap<u64, Weak<Group>>,
    next: u64,
}

impl Timers {
    /// Wakes a group then. One that is woken too early looks for itself.
    pub fn set(&self, group: &Arc<Group>, at: Instant) {
        let mut queue = self.queue.lock();
        let number = queue.next;
        queue.next += 1;
        let first = queue.heap.peek().is_none_or(|Reverse((first, _))| at < *first);
        queue.heap.push(Reverse((at, number)));
        queue.groups.insert(number, Arc::downgrade(group));
        drop(queue);
        if first {
            self.wake.notify_one();
        }
    }

    fn first(&self) -> Option<Instant> {
        self.queue.lock().heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The groups whose time has come, each with the time it was set for.
    fn due(&self, now: Instant) -> Vec<(Instant, Arc<Group>)> {
        let mut queue = self.queue.lock();
        let mut due = Vec::new();
        while let Some(Reverse((at, number))) = queue.heap.peek().copied() {
            if at > now {
                break;
            }
            queue.heap.pop();
            let group = queue.groups.remove(&number);
            due.extend(group.and_then(|group| group.upgrade()).map(|group| (at, group)));
        }
        due
    }
}

/// Wakes groups until it is told to end.
pub(super) async fn run(timers: Arc<Timers>, inner: Weak<Inner>, closed: CancellationToken) {
    loop {
        let first = timers.first();
        let until = async {
            match first {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = closed.cancelled() => return,
            () = timers.wake.notified() => {}
            () = until => {}
        }
        let Some(inner) = inner.upgrade() else { return };
        let groups = Groups { inner };
        for (at, group) in timers.due(Instant::now()) {
            groups.wake(&group, at);
        }
    }
}

/// Looks for what is kept no longer, until it is told to end.
pub(super) async fn sweep(inner: Weak<Inner>, every: std::time::Duration, closed: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = closed.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        let Some(inner) = inner.upgrade() else { return };
        Groups { inner }.expire().await;
    }
}
