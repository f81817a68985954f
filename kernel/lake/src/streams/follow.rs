//! Records from the log into a table's tail, when somebody asks for them or they are to be published.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use candor_log::{Committed, ReadError, Topic};
use candor_model::{Offset, Partition};

use super::Streams;
use super::columns::{StreamTypes, fields_of, observe, stream_schema};
use super::rows::{Decoded, Decoding};
use crate::LakeError;
use crate::catalog::{Change, ChangeKind};
use crate::columns::Columns;
use crate::inner::Inner;
use crate::publish::blocking;
use crate::table::{Table, TableKey};

/// Read from the log at once, bytes as stored.
const READ_BYTES: usize = 4 << 20;

/// Of each partition so much is looked at to learn what a topic's keys and values are, bytes as stored …
const FIRST_BYTES: usize = 64 << 10;

/// … until there are so many batches.
const FIRST_BATCHES: usize = 64;

impl Inner {
    /// Notes that a topic has something new. On the log's own thread: nothing is looked at.
    pub(crate) fn note_stream(&self, key: TableKey, batch: &Committed) {
        let table = self.tables.get_or_make(key, |key| Table::new(key, None, self.head(), Vec::new()));
        table.lag.note(batch.ingested_at, batch.batch.len());
    }

    /// Reads a table's partitions on, to what is stable now; more than a tail may hold is published on the way. With a
    /// bound, ends once so many bytes of rows were read; gives whether all were. Whoever calls holds the table's
    /// `filling`.
    pub(crate) async fn fill(
        self: &Arc<Inner>,
        table: &Arc<Table>,
        bytes_max: usize,
    ) -> Result<bool, LakeError> {
        let Some(streams) = self.streams() else { return Ok(true) };
        if self.has_ended(table) {
            return Ok(true);
        }
        // A topic that was deleted is no table any more.
        let name = table.name.topic();
        let Some(known) = streams.topics.in_log(table.project, &name) else { return Ok(true) };
        let decoding = Decoding {
            project: table.project,
            topic: name.clone(),
            values: known.values,
            decoder: streams.decoder.clone(),
        };
        let topic = Topic { project: table.project, name };
        let mut bytes = 0;
        for (partition, until) in self.source.stable_ends(&topic) {
            loop {
                let start = self.source.log_start(&topic, partition);
                let next = {
                    let mut state = table.state.lock();
                    let tail = state.partition(partition, start);
                    // What retention or a deletion let go of is not missed.
                    tail.skip_to(start.min(until));
                    tail.next
                };
                if next >= until {
                    break;
                }
                if bytes >= bytes_max {
                    return Ok(false);
                }
                bytes += self.read_on(table, &decoding, &topic, partition, (next, until)).await?;
                let is_full = table.tail_bytes.load(Ordering::Relaxed) >= self.config.table_bytes;
                if is_full || self.is_crowded_beside(table) {
                    self.publish(vec![Arc::clone(table)], None).await?;
                }
            }
        }
        Ok(true)
    }

    /// Reads a piece of a partition into its tail; gives how many bytes of rows.
    async fn read_on(
        self: &Arc<Inner>,
        table: &Arc<Table>,
        decoding: &Decoding,
        topic: &Topic,
        partition: Partition,
        (from, until): (Offset, Offset),
    ) -> Result<usize, LakeError> {
        let batches = match self.source.read(topic, partition, from, READ_BYTES).await {
            // Retention overtook us: from the new start on.
            Err(ReadError::OutOfRange { start, .. }) if start > from.0 => return Ok(0),
            read => read?,
        };
        if batches.is_empty() {
            return match self.source.log_start(topic, partition) > from {
                true => Ok(0),
                false => Err(LakeError::Inconsistent(format!("the log holds nothing at offset {from}"))),
            };
        }
        let types = self.types_of(table, decoding, topic).await?;
        let known = table.state.lock().seen.as_deref().map(fields_of).unwrap_or_default();
        let aborted = self.source.aborted_among(&batches);
        let decoding = decoding.clone();
        let Decoded { pieces, next } =
            blocking(move || Ok(decoding.decode((types, known), &batches, (from, until), aborted)?)).await?;
        if next <= from {
            return Err(LakeError::Inconsistent(format!("reading on from offset {from} came to {next}")));
        }
        let mut bytes = 0;
        let mut state = table.state.lock();
        let state = &mut *state;
        let Some(seen) = &mut state.seen else {
            return Err(LakeError::Inconsistent("rows of a table without columns".to_owned()));
        };
        for (rows, _) in &pieces {
            if rows.num_columns() > stream_schema(types).fields().len() {
                observe(Arc::make_mut(seen), rows.schema_ref());
            }
        }
        let seen = Arc::clone(seen);
        let tail = state.partition(partition, from);
        for (rows, since) in pieces {
            bytes += rows.get_array_memory_size();
            tail.push(rows, since, tail.next, Some(&seen))?;
        }
        tail.skip_to(next);
        self.tables.account(table, state);
        table.touched.store(true, Ordering::Relaxed);
        Ok(bytes)
    }

    /// What a table shows keys and values as. The first batches of its partitions decide when they are looked at first, and
    /// the table is made in the catalog with that, so that a restart does not decide anew.
    async fn types_of(
        self: &Arc<Inner>,
        table: &Arc<Table>,
        decoding: &Decoding,
        topic: &Topic,
    ) -> Result<StreamTypes, LakeError> {
        let (seen, id) = {
            let state = table.state.lock();
            (state.seen.clone(), state.table)
        };
        if let Some(seen) = seen {
            return Ok(StreamTypes::of(&seen.schema));
        }
        let columns = match id {
            Some(id) => self.catalog.columns(&table.name, id).await?,
            None => {
                let (decoding, batches) = (decoding.clone(), self.first_batches(topic).await?);
                let types = blocking(move || Ok(decoding.types(&batches))).await?;
                self.make_stream(table, types).await?
            }
        };
        let types = StreamTypes::of(&columns.schema);
        table.state.lock().seen = Some(Arc::new(columns));
        Ok(types)
    }

    /// The first batches of some of a topic's partitions.
    async fn first_batches(&self, topic: &Topic) -> Result<Vec<Committed>, LakeError> {
        let mut first = Vec::new();
        for (partition, until) in self.source.stable_ends(topic) {
            let start = self.source.log_start(topic, partition);
            if start >= until || first.len() >= FIRST_BATCHES {
                continue;
            }
            match self.source.read(topic, partition, start, FIRST_BYTES).await {
                Ok(batches) => first.extend(batches.into_iter().filter(|batch| batch.base < until)),
                Err(ReadError::OutOfRange { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(first)
    }

    /// Makes a table without rows in the catalog.
    async fn make_stream(&self, table: &Table, types: StreamTypes) -> Result<Columns, LakeError> {
        let mut columns = Columns::new(&table.name);
        columns.schema = stream_schema(types);
        let change = Change {
            project: table.project,
            name: table.name.clone(),
            table: None,
            new_columns: columns.assign_ids(),
            columns: columns.clone(),
            add: Vec::new(),
            remove: Vec::new(),
            positions: Vec::new(),
            kind: ChangeKind::Insert,
        };
        let committing = self.committing.lock().await;
        if self.has_ended(table) {
            return Err(LakeError::Inconsistent("the topic was deleted meanwhile".to_owned()));
        }
        let done = self.catalog.commit(&[change], self.clock.now(), &|| self.new_uuid()).await?;
        let mut state = table.state.lock();
        state.table = done.tables.first().map(|(id, _)| *id);
        state.snapshot = done.snapshot;
        state.generation += 1;
        state.listing = None;
        drop(state);
        self.advance_head(done.snapshot);
        drop(committing);
        Ok(columns)
    }

    /// True where all tails together are at their bound, although the rows of streams that nobody reads now were let go
    /// of.
    fn is_crowded_beside(&self, table: &Table) -> bool {
        if self.tables.bytes() < self.config.total_bytes {
            return false;
        }
        self.let_go(|other| !std::ptr::eq(other, table));
        self.tables.bytes() >= self.config.total_bytes
    }

    /// Lets go of rows of streams that nobody is reading: the log has them.
    pub(crate) fn let_go(&self, of: impl Fn(&Table) -> bool) {
        for table in self.tables.list(None) {
            let is_cached = table.name.is_stream() && table.tail_bytes.load(Ordering::Relaxed) > 0;
            if !is_cached || !of(&table) {
                continue;
            }
            if let Ok(_idle) = table.filling.try_lock() {
                let mut state = table.state.lock();
                state.partitions.iter_mut().for_each(|tail| tail.let_go());
                self.tables.account(&table, &state);
            };
        }
    }

    pub(crate) fn streams(&self) -> Option<&Streams> {
        self.streams.get()
    }
}
