//! CPU time of a query over every thread that worked for it.
//!
//! DataFusion's own `elapsed_compute` is wall time of some operators. Here every poll of every task of a query reads
//! its thread's CPU clock before and after; tasks that the engine spawns inherit the meter of the task that spawned
//! them, through DataFusion's hook for tracing its join sets.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use datafusion::common::runtime::{JoinSetTracer, set_join_set_tracer};
use futures::future::BoxFuture;
use rustix::time::{ClockId, clock_gettime};

/// CPU nanoseconds spent.
#[derive(Debug, Default)]
pub(crate) struct Meter(AtomicU64);

thread_local! {
    /// The meter of the task that this thread polls.
    static CURRENT: RefCell<Option<Arc<Meter>>> = const { RefCell::new(None) };
}

impl Meter {
    /// CPU time so far, ms.
    pub(crate) fn cpu_ms(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e6
    }

    /// Runs `work` on this meter.
    fn run<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let before = CURRENT.with(|current| current.replace(Some(Arc::clone(self))));
        // A task polled inside another one's poll belongs to it already.
        let outermost = before.is_none();
        let start = outermost.then(thread_cpu_nanos);
        let guard = Restore(before);
        let result = work();
        drop(guard);
        if let Some(start) = start {
            self.0.fetch_add(thread_cpu_nanos().saturating_sub(start), Ordering::Relaxed);
        }
        result
    }
}

/// Puts the former meter back, also when the work panics.
struct Restore(Option<Arc<Meter>>);

impl Drop for Restore {
    fn drop(&mut self) {
        let before = self.0.take();
        CURRENT.with(|current| current.replace(before));
    }
}

fn thread_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// A future whose polls are metered.
pub(crate) struct Metered<F> {
    meter: Arc<Meter>,
    inner: Pin<Box<F>>,
}

impl<F: Future> Metered<F> {
    /// Meters `inner`.
    pub(crate) fn new(meter: Arc<Meter>, inner: F) -> Metered<F> {
        Metered { meter, inner: Box::pin(inner) }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let meter = Arc::clone(&self.meter);
        meter.run(|| self.inner.as_mut().poll(cx))
    }
}

struct Inherit;

static INHERIT: Inherit = Inherit;

/// Makes tasks that DataFusion spawns inherit the meter. Once a process; a second call does nothing.
pub(crate) fn install() {
    // Fails where it is set already, which is what is wanted.
    let _ = set_join_set_tracer(&INHERIT);
}

impl JoinSetTracer for Inherit {
    fn trace_future(
        &self,
        future: BoxFuture<'static, Box<dyn Any + Send>>,
    ) -> BoxFuture<'static, Box<dyn Any + Send>> {
        match CURRENT.with(|current| current.borrow().clone()) {
            Some(meter) => Box::pin(Metered { meter, inner: Box::pin(future) }),
            None => future,
        }
    }

    fn trace_block(
        &self,
        block: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>,
    ) -> Box<dyn FnOnce() -> Box<dyn Any + Send> + Send> {
        match CURRENT.with(|current| current.borrow().clone()) {
            Some(meter) => Box::new(move || meter.run(block)),
            None => block,
        }
    }
}
