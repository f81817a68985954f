//! Parquet over stored files: ranges are decrypted as they are read, metadata comes from the cache.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use candor_lake::DataFile;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::parquet::DecodeResult;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::cache::{FileCache, Kept};
use super::scan::shown_name;
use crate::source::{Content, Scoped};

/// Ranges closer together than this are read as one: a frame of the store is as long, and is decrypted whole.
const COALESCE_BYTES: u64 = 64 << 10;

/// Longest coalesced read. Longer runs are cut so that memory stays bounded while a row group is fetched.
const READ_BYTES_MAX: u64 = 8 << 20;

/// What a query read from files.
#[derive(Debug, Default)]
pub(crate) struct ReadCounts {
    bytes: AtomicU64,
    opened: Mutex<std::collections::HashSet<String>>,
}

impl ReadCounts {
    /// Bytes of data and footers.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Files of which data were read.
    pub(crate) fn files(&self) -> u64 {
        self.opened.lock().len() as u64
    }
}

/// Makes readers for the files of one pinned table.
pub(crate) struct StoredFiles {
    tables: Arc<dyn Scoped>,
    /// By the names that the engine knows them under.
    files: HashMap<String, DataFile>,
    cache: Arc<FileCache>,
    counts: Arc<ReadCounts>,
}

impl StoredFiles {
    /// For these files.
    pub(crate) fn new<'a>(
        tables: Arc<dyn Scoped>,
        files: impl Iterator<Item = &'a DataFile>,
        cache: Arc<FileCache>,
        counts: Arc<ReadCounts>,
    ) -> StoredFiles {
        let files = files.map(|file| (shown_name(file), file.clone())).collect();
        StoredFiles { tables, files, cache, counts }
    }
}

impl fmt::Debug for StoredFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredFiles").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl ParquetFileReaderFactory for StoredFiles {
    fn create_reader(
        &self,
        _partition: usize,
        partitioned: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let name = partitioned.object_meta.location.as_ref();
        let file =
            self.files.get(name).ok_or_else(|| internal_datafusion_err!("no pinned file of that name"))?;
        Ok(Box::new(Reader {
            tables: Arc::clone(&self.tables),
            file: file.clone(),
            content: None,
            cache: Arc::clone(&self.cache),
            counts: Arc::clone(&self.counts),
            counted: false,
        }))
    }
}

struct Reader {
    tables: Arc<dyn Scoped>,
    file: DataFile,
    content: Option<Arc<dyn Content>>,
    cache: Arc<FileCache>,
    counts: Arc<ReadCounts>,
    counted: bool,
}

impl Reader {
    async fn content(&mut self) -> Result<Arc<dyn Content>, ParquetError> {
        if let Some(content) = &self.content {
            return Ok(Arc::clone(content));
        }
        let content = match self.cache.get(&self.file.key) {
            Some(kept) => kept.content,
            None => {
                let content = self.tables.open(&self.file).await.map_err(external)?;
                self.cache.put(&self.file.key, Kept { content: Arc::clone(&content), metadata: None });
                content
            }
        };
        self.content = Some(Arc::clone(&content));
        Ok(content)
    }

    async fn read(&mut self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        let content = self.content().await?;
        self.counts.bytes.fetch_add(range.end.saturating_sub(range.start), Ordering::Relaxed);
        let wanted = range.end.saturating_sub(range.start);
        let bytes = content.read(range).await.map_err(|e| ParquetError::External(Box::new(e)))?;
        if bytes.len() as u64 != wanted {
            return Err(ParquetError::EOF("a table file ends too soon".to_owned()));
        }
        Ok(bytes)
    }

    async fn read_all(&mut self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ParquetError> {
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        order.sort_unstable_by_key(|at| ranges[*at].start);
        let mut parts = vec![Bytes::new(); ranges.len()];
        let mut next = 0;
        while let Some(first) = order.get(next) {
            let mut run = ranges[*first].clone();
            let mut members = vec![*first];
            next += 1;
            while let Some(at) = order.get(next) {
                let range = &ranges[*at];
                let end = run.end.max(range.end);
                if range.start > run.end.saturating_add(COALESCE_BYTES) || end - run.start > READ_BYTES_MAX {
                    break;
                }
                run.end = end;
                members.push(*at);
                next += 1;
            }
            let bytes = self.read(run.clone()).await?;
            for at in members {
                let start = (ranges[at].start - run.start) as usize;
                let end = (ranges[at].end - run.start) as usize;
                parts[at] = bytes.slice(start..end);
            }
        }
        Ok(parts)
    }

    async fn load_metadata(&mut self, page_index: PageIndexPolicy) -> Result<ParquetMetaData, ParquetError> {
        // The footer's length is known from the catalog: one read fetches it whole.
        let length = self.file.length;
        let tail = self.file.footer.saturating_add(8).min(length);
        let mut decoder = ParquetMetaDataPushDecoder::try_new(length)?.with_page_index_policy(page_index);
        let bytes = self.read(length - tail..length).await?;
        let footer = length - tail..length;
        decoder.push_ranges(std::iter::once(footer).collect(), vec![bytes])?;
        loop {
            match decoder.try_decode()? {
                DecodeResult::Data(metadata) => return Ok(metadata),
                DecodeResult::NeedsData(ranges) => {
                    let parts = self.read_all(&ranges).await?;
                    decoder.push_ranges(ranges, parts)?;
                }
                DecodeResult::Finished => {
                    return Err(ParquetError::General("the metadata were taken already".to_owned()));
                }
            }
        }
    }

    fn count(&mut self) {
        if !self.counted {
            self.counted = true;
            self.counts.opened.lock().insert(self.file.key.clone());
        }
    }
}

fn external(error: candor_lake::LakeError) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.count();
        self.read(range).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        self.count();
        async move { self.read_all(&ranges).await }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let page_index = options.map_or(PageIndexPolicy::Skip, ArrowReaderOptions::column_index_policy);
        async move {
            if let Some(Kept { metadata: Some(metadata), .. }) = self.cache.get(&self.file.key)
                && (page_index == PageIndexPolicy::Skip || metadata.column_index().is_some())
            {
                return Ok(metadata);
            }
            let metadata = Arc::new(self.load_metadata(page_index).await?);
            // Pair assertion: the catalog and the file speak of the same rows.
            let rows = metadata.file_metadata().num_rows();
            if u64::try_from(rows).ok() != Some(self.file.rows) {
                return Err(ParquetError::General(format!(
                    "the catalog counts {} rows and the file {rows}",
                    self.file.rows
                )));
            }
            let content = self.content().await?;
            self.cache.put(&self.file.key, Kept { content, metadata: Some(Arc::clone(&metadata)) });
            Ok(metadata)
        }
        .boxed()
    }
}
