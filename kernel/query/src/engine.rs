//! The query engine: a place to run, limits, and the way from SQL to an answer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use candor_meta::ReadScope;
use candor_model::{Clock, IssueMap, Signal};
use datafusion::arrow::datatypes::Schema;
use datafusion::execution::session_state::SessionState;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::{Progress, StopOnDrop};
use crate::encode::types;
use crate::memory::{QueryMemory, SharedMemory};
use crate::meter::{self, Metered};
use crate::run::{Head, run_sql};
use crate::session::Template;
use crate::source::{LedgerRows, OfScope, Scoped};
use crate::tables::cache::{FileCache, IDLE_MAX};
use crate::tables::catalog::{Named, Project};
use crate::tables::ledger::{self, LEDGER};
use crate::{Answer, Limits, QueryError, Tables};

/// Stack of a thread that plans queries. Only what is touched is resident; [`crate::statement::OPERATORS_MAX`] nested
/// operators fit with room to spare in a build without optimisation.
pub(crate) const STACK_BYTES: usize = 64 << 20;

/// Batches that wait between a query and its reader.
const BATCHES_AHEAD: usize = 2;

/// How long a query keeps its place while its reader takes no rows. Then another may run in it, and this one takes a
/// place again when its reader goes on: whoever reads slowly costs the others nothing.
const UNREAD_MAX: Duration = Duration::from_millis(100);

/// Longest wait for a place, where the query itself may take longer. Whoever waits should know soon.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(60);

/// How large the engine is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that queries run on. They start with the first query.
    pub threads: usize,
    /// Queries that run at once; others wait.
    pub running_max: usize,
    /// Queries that wait at most; beyond they are refused.
    pub waiting_max: usize,
    /// Answers without a bound at once, which are held as long as their readers take: each holds up to some MiB of
    /// rows, and together half of the memory at most. Others wait.
    pub streams_max: usize,
    /// Memory of all queries together, bytes.
    pub memory_bytes: usize,
    /// Memory for the metadata of files, bytes.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            running_max: 16,
            waiting_max: 256,
            streams_max: 64,
            memory_bytes: 1 << 30,
            cache_bytes: 32 << 20,
        }
    }
}

/// A table of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Its name, as it is written in a query.
    pub name: String,
    /// Its columns.
    pub columns: Vec<ColumnInfo>,
}

impl TableInfo {
    fn of(table: &Named, schema: &Schema) -> TableInfo {
        let columns = schema
            .fields()
            .iter()
            .map(|field| ColumnInfo { name: field.name().clone(), r#type: types::name(field.data_type()) });
        TableInfo { name: table.written(), columns: columns.collect() }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type in SQL's words.
    pub r#type: String,
}

/// A function of SQL, for completion.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// `scalar`, `aggregate`, `window` or `table`.
    pub kind: &'static str,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Query {
    inner: Arc<Inner>,
}

struct Inner {
    tables: Arc<dyn Tables>,
    ledger: Arc<dyn LedgerRows>,
    engine: Arc<Engine>,
}

impl Query {
    /// An engine over tables and the ledger. Starts nothing until the first query.
    pub fn new(
        tables: Arc<dyn Tables>,
        ledger: Arc<dyn LedgerRows>,
        issues: Arc<dyn IssueMap>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Query {
        Query { inner: Arc::new(Inner { tables, ledger, engine: Engine::new(issues, clock, options) }) }
    }

    /// Runs one SELECT (or WITH, EXPLAIN, DESCRIBE, SHOW TABLES, SHOW COLUMNS) over the tables of the scope's
    /// project. Returns with the first rows, so that nearly every error is an error of this call.
    pub async fn sql(&self, scope: &ReadScope, sql: &str, limits: Limits) -> Result<Answer, QueryError> {
        self.inner.engine.sql(self.scoped(scope), sql, limits).await
    }

    /// Searches a table: newest rows, their number over time, and the commonest values.
    pub async fn search(
        &self,
        scope: &ReadScope,
        request: crate::SearchRequest,
        limits: Limits,
    ) -> Result<crate::SearchPage, QueryError> {
        self.inner.engine.search(self.scoped(scope), request, limits).await
    }

    /// The tables that a query of this scope sees.
    pub async fn schema(&self, scope: &ReadScope) -> Result<Vec<TableInfo>, QueryError> {
        self.inner.engine.schema(self.scoped(scope)).await
    }

    /// The functions of SQL, sorted by name.
    pub fn functions(&self) -> Vec<FunctionInfo> {
        self.inner.engine.functions()
    }

    fn scoped(&self, scope: &ReadScope) -> Arc<dyn Scoped> {
        let (tables, ledger) = (Arc::clone(&self.inner.tables), Arc::clone(&self.inner.ledger));
        Arc::new(OfScope::new(tables, ledger, scope.clone()))
    }
}

/// What all queries share.
pub(crate) struct Engine {
    options: Options,
    issues: Arc<dyn IssueMap>,
    clock: Arc<dyn Clock>,
    template: OnceLock<Template>,
    runtime: OnceLock<Runtime>,
    places: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    waiting: AtomicUsize,
    pub(crate) memory: Arc<SharedMemory>,
    streams_memory: Arc<SharedMemory>,
    pub(crate) cache: Arc<FileCache>,
    tidying: Arc<AtomicBool>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A runtime must not be waited for on a thread of another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One query as its task needs it.
pub(crate) struct Run {
    pub(crate) state: SessionState,
    pub(crate) project: Arc<Project>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) limits: Limits,
    pub(crate) place: Place,
}

/// A place to run in.
pub(crate) struct Place {
    places: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// Waits until `work` is done, without the place where that takes long.
    pub(crate) async fn lent<T>(&mut self, work: impl Future<Output = T>) -> Result<T, QueryError> {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(UNREAD_MAX, work.as_mut()).await {
            return Ok(done);
        }
        self.held = None;
        let done = work.await;
        let place = Arc::clone(&self.places).acquire_owned().await;
        self.held = Some(place.map_err(|_| QueryError::Cancelled)?);
        Ok(done)
    }
}

impl Engine {
    pub(crate) fn new(issues: Arc<dyn IssueMap>, clock: Arc<dyn Clock>, options: Options) -> Arc<Engine> {
        let memory = SharedMemory::new(options.memory_bytes);
        Arc::new(Engine {
            issues,
            clock,
            template: OnceLock::new(),
            runtime: OnceLock::new(),
            places: Arc::new(Semaphore::new(options.running_max.max(1))),
            streams: Arc::new(Semaphore::new(options.streams_max.max(1))),
            waiting: AtomicUsize::new(0),
            streams_memory: SharedMemory::part_of(&memory, options.memory_bytes / 2),
            memory,
            cache: Arc::new(FileCache::new(options.cache_bytes)),
            tidying: Arc::default(),
            options,
        })
    }

    pub(crate) fn template(&self) -> &Template {
        self.template.get_or_init(|| Template::new(self.options.threads.max(1)))
    }

    fn runtime(&self) -> Result<&Runtime, QueryError> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        meter::install();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.options.threads.max(1))
            .thread_stack_size(STACK_BYTES)
            .thread_name("query")
            // A query's task may compute for a good part of a second between two looks around, and there may be as many
            // as threads: clocks and callers that went are looked after between few of them. Not between any two:
            // each look wakes the task that gave way ahead of those that wait.
            .event_interval(2)
            .global_queue_interval(3)
            .enable_all()
            .build()
            .map_err(|e| QueryError::Internal(Box::new(e)))?;
        // Of two that race, one is dropped again, off this thread's own runtime.
        if let Err(second) = self.runtime.set(runtime) {
            second.shutdown_background();
        }
        self.runtime.get().ok_or(QueryError::Cancelled)
    }

    /// Waits for a place to run in, then runs `work` on the query threads under the limits. The work sees a state
    /// over the scope's tables and nothing else.
    pub(crate) async fn run<T, F>(
        self: &Arc<Self>,
        tables: Arc<dyn Scoped>,
        limits: Limits,
        work: impl FnOnce(Run) -> F + Send + 'static,
    ) -> Result<Started<T>, QueryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QueryError>> + Send,
    {
        let deadline = Instant::now() + limits.time;
        let progress = Arc::new(Progress::new());
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.options.waiting_max + self.options.running_max
        {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(QueryError::Overloaded);
        }
        let leave = Leave(Arc::clone(self));
        let paced = limits.answer_bytes.is_none();
        let stream = if paced { Some(self.turn(&self.streams, &limits, deadline).await?) } else { None };
        let place = self.turn(&self.places, &limits, deadline).await?;
        let place = Place { places: Arc::clone(&self.places), held: Some(place) };

        let project = Project::new(
            tables,
            Arc::clone(&self.issues),
            Arc::clone(&self.cache),
            Arc::clone(&progress.counts),
            limits.snapshot,
        );
        let shared_memory = if paced { &self.streams_memory } else { &self.memory };
        let memory = QueryMemory::new(Arc::clone(shared_memory), limits.memory_bytes);
        let engine = Arc::clone(self);
        let (sender, result) = oneshot::channel();
        let meter = Arc::clone(&progress.meter);
        let shared = Arc::clone(&progress);
        let task = async move {
            let _counted = (stream, leave);
            let state = engine.template().state_for(Arc::clone(&project), memory, engine.clock.now());
            let outcome = match state.map_err(QueryError::from_datafusion) {
                Ok(state) => {
                    let run = Run { state, project, progress: Arc::clone(&shared), limits, place };
                    match timeout_at(deadline, work(run)).await {
                        Ok(outcome) => outcome,
                        Err(_) => Err(QueryError::Timeout(limits.time)),
                    }
                }
                Err(e) => Err(e),
            };
            shared.end();
            engine.tidy_later();
            // The reader may have gone.
            let _ = sender.send(outcome.map_err(|e| e.with_memory_limit(limits.memory_bytes)));
        };
        let handle = self.runtime()?.spawn(Metered::new(meter, task));
        Ok(Started { result, progress, stop: StopOnDrop(handle.abort_handle()) })
    }

    /// Waits for one of `permits`.
    async fn turn(
        &self,
        permits: &Arc<Semaphore>,
        limits: &Limits,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, QueryError> {
        let patience = Instant::now() + PLACE_WAIT_MAX;
        match timeout_at(deadline.min(patience), Arc::clone(permits).acquire_owned()).await {
            Ok(permit) => permit.map_err(|_| QueryError::Cancelled),
            Err(_) if patience < deadline => Err(QueryError::Overloaded),
            Err(_) => Err(QueryError::Timeout(limits.time)),
        }
    }

    pub(crate) async fn sql(
        self: &Arc<Self>,
        tables: Arc<dyn Scoped>,
        sql: &str,
        limits: Limits,
    ) -> Result<Answer, QueryError> {
        let sql = sql.to_owned();
        let (head, head_receiver) = oneshot::channel();
        let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
        let started = self
            .run(tables, limits, move |run| async move { run_sql(run, &sql, head, sender).await })
            .await?;
        let Started { mut result, progress, stop } = started;
        // Either the head comes, or the task ends with an error before it.
        let Ok(Head { columns, schema }) = head_receiver.await else {
            return Err(end_of(&mut result).await.err().unwrap_or(QueryError::Cancelled));
        };
        let first = batches.recv().await;
        let end = match first {
            Some(_) => Some(result),
            None => {
                end_of(&mut result).await?;
                None
            }
        };
        Ok(Answer {
            columns,
            schema,
            first,
            batches,
            end,
            progress,
            answer_bytes: limits.answer_bytes,
            _stop: stop,
        })
    }

    pub(crate) async fn schema(
        self: &Arc<Self>,
        tables: Arc<dyn Scoped>,
    ) -> Result<Vec<TableInfo>, QueryError> {
        let limits = Limits::default();
        let started = self
            .run(tables, limits, |run| async move {
                let run = run;
                let mut infos = Vec::new();
                for signal in Signal::ALL {
                    let schema = run.project.schema(signal).await?;
                    infos.push(TableInfo::of(&Named::Main(signal.name().to_owned()), &schema));
                }
                infos.push(TableInfo::of(&Named::Main(LEDGER.to_owned()), &ledger::schema()));
                for (name, schema) in run.project.stream_schemas().await? {
                    infos.push(TableInfo::of(&Named::Stream(name.to_string()), &schema));
                }
                Ok(infos)
            })
            .await?;
        started.wait().await
    }

    /// Queries that run or wait.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn functions(&self) -> Vec<FunctionInfo> {
        let state = self.template().state();
        let of = |names: Vec<&String>, kind: &'static str| {
            names.into_iter().map(move |name| FunctionInfo { name: name.clone(), kind }).collect::<Vec<_>>()
        };
        let mut all = of(state.scalar_functions().keys().collect(), "scalar");
        all.extend(of(state.aggregate_functions().keys().collect(), "aggregate"));
        all.extend(of(state.window_functions().keys().collect(), "window"));
        all.extend(of(state.table_functions().keys().collect(), "table"));
        all.sort();
        all
    }

    /// Lets go of idle files' metadata in a while, as long as there are any.
    fn tidy_later(&self) {
        let Some(runtime) = self.runtime.get() else { return };
        if self.tidying.swap(true, Ordering::Relaxed) {
            return;
        }
        let (cache, tidying) = (Arc::clone(&self.cache), Arc::clone(&self.tidying));
        runtime.spawn(async move {
            while cache.forget_idle() > 0 {
                tokio::time::sleep(IDLE_MAX / 4).await;
            }
            tidying.store(false, Ordering::Relaxed);
        });
    }
}

/// Counts a query out.
struct Leave(Arc<Engine>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Work that was started on the query threads.
pub(crate) struct Started<T> {
    result: oneshot::Receiver<Result<T, QueryError>>,
    pub(crate) progress: Arc<Progress>,
    stop: StopOnDrop,
}

impl<T> Started<T> {
    /// Waits for the end.
    pub(crate) async fn wait(mut self) -> Result<T, QueryError> {
        let outcome = end_of(&mut self.result).await;
        drop(self.stop);
        outcome
    }
}

/// The end of a task. One that panicked sends nothing.
pub(crate) async fn end_of<T>(
    result: &mut oneshot::Receiver<Result<T, QueryError>>,
) -> Result<T, QueryError> {
    match result.await {
        Ok(outcome) => outcome,
        Err(_) => Err(QueryError::Internal("the query's task ended without a result".into())),
    }
}
