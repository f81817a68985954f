//! Promoted columns: copies of frequent attributes in a type of their own, so that grouping by one reads one column
//! and not the map. The map stays complete: what does not fit a copy's type is null there and whole here.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, MapArray, StringArray,
    StringBuilder, new_null_array,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use candor_model::limits::PROMOTED_COLUMNS_MAX;

use crate::columns::{ATTRIBUTES, Columns, Promoted, PromotedType};
use crate::streams::columns::fit;

/// Rows that must be seen before anything is promoted: a handful says nothing of what is frequent.
const ROWS_MIN: usize = 1000;

/// Rows looked at in one sample.
const SAMPLE_ROWS_MAX: usize = 4096;

/// Keys counted in one sample: a sender that makes keys of ids must not grow the count without end.
const SAMPLE_KEYS_MAX: usize = 4096;

/// A key is frequent that at least one row in this many has.
const FREQUENT_ONE_IN: usize = 10;

/// Text with more values than one in this many rows costs more as a copy than it saves: ids are found through the
/// map.
const DISTINCT_ONE_IN: usize = 4;

/// Longest key that is promoted, bytes: it becomes a column's name in a catalog that is in the clear.
const KEY_BYTES_MAX: usize = 64;

/// The keys worth a column in these rows, most frequent first, as far as the table has room.
pub(crate) fn candidates(columns: &Columns, batches: &[&RecordBatch]) -> Vec<Promoted> {
    let room = PROMOTED_COLUMNS_MAX.saturating_sub(columns.promoted.len());
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    if room == 0 || rows < ROWS_MIN {
        return Vec::new();
    }
    // Every n-th row over all batches, so that no stretch of time is missed.
    let stride = rows.div_ceil(SAMPLE_ROWS_MAX);
    let mut sampled = 0;
    let mut seen: HashMap<&str, Seen<'_>> = HashMap::new();
    for batch in batches {
        let Some(map) = Attributes::of(batch) else { return Vec::new() };
        for row in (0..batch.num_rows()).step_by(stride) {
            sampled += 1;
            for (key, value) in map.row(row) {
                if seen.len() < SAMPLE_KEYS_MAX || seen.contains_key(key) {
                    seen.entry(key).or_default().add(value);
                }
            }
        }
    }
    let mut found: Vec<(usize, Promoted)> = seen
        .into_iter()
        .filter(|(key, seen)| seen.count * FREQUENT_ONE_IN >= sampled && is_promotable(key))
        .filter_map(|(key, seen)| Some((seen.count, Promoted { key: key.to_owned(), kind: seen.kind()? })))
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.key.cmp(&b.1.key)));

    // SQL engines compare column names without case: of two keys that differ in it alone, the first has the column.
    let mut taken: Vec<String> =
        columns.schema.fields().iter().map(|field| field.name().to_lowercase()).collect();
    let mut chosen = Vec::new();
    for (_, promoted) in found {
        let name = promoted.column().to_lowercase();
        if chosen.len() < room && !taken.contains(&name) {
            taken.push(name);
            chosen.push(promoted);
        }
    }
    chosen
}

fn is_promotable(key: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b':'))
}

/// What a sample shows of a key's values.
#[derive(Default)]
struct Seen<'a> {
    count: usize,
    ints: usize,
    floats: usize,
    bools: usize,
    values: std::collections::HashSet<&'a str>,
}

impl<'a> Seen<'a> {
    fn add(&mut self, value: &'a str) {
        self.count += 1;
        if parse_int(value).is_some() {
            self.ints += 1;
        } else if parse_float(value).is_some() {
            self.floats += 1;
        } else if parse_bool(value).is_some() {
            self.bools += 1;
        }
        self.values.insert(value);
    }

    /// The type that fits every value of the sample; none where a copy is not worth its bytes.
    fn kind(&self) -> Option<PromotedType> {
        if self.ints == self.count {
            Some(PromotedType::Int)
        } else if self.ints + self.floats == self.count {
            Some(PromotedType::Float)
        } else if self.bools == self.count {
            Some(PromotedType::Bool)
        } else {
            (self.values.len() * DISTINCT_ONE_IN <= self.count).then_some(PromotedType::Text)
        }
    }
}

/// An integer whose text is exactly its decimal form: `007` is no number but a name.
fn parse_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = match digits.as_bytes() {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', ..] => true,
        _ => false,
    };
    if canonical { text.parse().ok() } else { None }
}

/// A decimal number; no words such as `inf`.
fn parse_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.as_bytes() {
        [b'0', b'0'..=b'9', ..] => None,
        [b'0'..=b'9', ..] => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The attributes of a batch, row by row.
struct Attributes<'a> {
    map: &'a MapArray,
    keys: &'a StringArray,
    values: &'a StringArray,
}

impl<'a> Attributes<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Attributes<'a>> {
        let map = batch.column_by_name(ATTRIBUTES)?.as_map_opt()?;
        let (keys, values) = (map.keys().as_string_opt::<i32>()?, map.values().as_string_opt::<i32>()?);
        Some(Attributes { map, keys, values })
    }

    fn row(&self, row: usize) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let range = match self.map.is_valid(row) {
            true => self.map.value_offsets().get(row..row + 2).map_or(0..0, |ends| match ends {
                &[from, to] => from as usize..to as usize,
                _ => 0..0,
            }),
            false => 0..0,
        };
        let (keys, values) = (self.keys, self.values);
        range.filter(move |at| values.is_valid(*at)).map(move |at| (keys.value(at), values.value(at)))
    }
}

/// The member of a Parquet file's metadata that names the promoted columns of numbers and truth values which say all
/// that the map says in that file, one a line: where such a copy is null, the attribute is missing. Text always does.
pub const EXACT_COPIES: &str = "candor.exact_copies";

/// Finds out which copies say all that the map says, batch by batch.
pub(crate) struct Exact {
    /// By the places of `promoted`; false for text, of which nobody asks.
    exact: Vec<bool>,
}

impl Exact {
    pub(crate) fn new(promoted: &[Promoted]) -> Exact {
        Exact { exact: promoted.iter().map(|promoted| promoted.kind != PromotedType::Text).collect() }
    }

    /// Looks at a batch with its copies.
    pub(crate) fn add(&mut self, promoted: &[Promoted], batch: &RecordBatch) {
        let mut open: HashMap<&str, (usize, &ArrayRef)> = HashMap::new();
        for (at, (promoted, exact)) in promoted.iter().zip(&mut self.exact).enumerate() {
            match batch.column_by_name(&promoted.column()) {
                Some(copy) if *exact && copy.null_count() > 0 => {
                    open.insert(&promoted.key, (at, copy));
                }
                Some(_) => {}
                None => *exact = false,
            }
        }
        if open.is_empty() {
            return;
        }
        let Some(map) = Attributes::of(batch) else { return };
        for row in 0..batch.num_rows() {
            for (key, _) in map.row(row) {
                if let Some((at, _)) = open.get(key).filter(|(_, copy)| copy.is_null(row)) {
                    if let Some(exact) = self.exact.get_mut(*at) {
                        *exact = false;
                    }
                    open.remove(key);
                }
            }
            if open.is_empty() {
                return;
            }
        }
    }

    /// The columns that held, for the file's metadata.
    pub(crate) fn columns(&self, promoted: &[Promoted]) -> String {
        let exact = promoted.iter().zip(&self.exact).filter(|(_, exact)| **exact);
        exact.map(|(promoted, _)| promoted.column()).collect::<Vec<_>>().join("\n")
    }
}

enum Builder {
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
}

impl Builder {
    fn new(kind: PromotedType, rows: usize) -> Builder {
        match kind {
            PromotedType::Int => Builder::Int(Int64Builder::with_capacity(rows)),
            PromotedType::Float => Builder::Float(Float64Builder::with_capacity(rows)),
            PromotedType::Bool => Builder::Bool(BooleanBuilder::with_capacity(rows)),
            PromotedType::Text => Builder::Text(StringBuilder::with_capacity(rows, 0)),
        }
    }

    fn append(&mut self, value: Option<&str>) {
        match self {
            Builder::Int(builder) => builder.append_option(value.and_then(parse_int)),
            Builder::Float(builder) => builder.append_option(value.and_then(parse_float)),
            Builder::Bool(builder) => builder.append_option(value.and_then(parse_bool)),
            Builder::Text(builder) => builder.append_option(value),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Int(mut builder) => Arc::new(builder.finish()),
            Builder::Float(mut builder) => Arc::new(builder.finish()),
            Builder::Bool(mut builder) => Arc::new(builder.finish()),
            Builder::Text(mut builder) => Arc::new(builder.finish()),
        }
    }
}

/// Brings a batch into the table's columns: what it lacks is null, and the promoted copies are made of its map.
pub(crate) fn adapt(columns: &Columns, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if columns.is_stream {
        return fit(columns, batch);
    }
    if batch.schema_ref().fields() == columns.schema.fields() && columns.promoted.is_empty() {
        return Ok(batch.clone());
    }
    let rows = batch.num_rows();
    let mut copies = copies(&columns.promoted, batch).into_iter();
    let base = columns.schema.fields().len() - columns.promoted.len();
    let arrays = columns
        .schema
        .fields()
        .iter()
        .enumerate()
        .map(|(n, field)| {
            let copy = if n < base { None } else { copies.next() };
            match copy.or_else(|| batch.column_by_name(field.name()).map(Arc::clone)) {
                Some(array) => array,
                None => new_null_array(field.data_type(), rows),
            }
        })
        .collect();
    RecordBatch::try_new(Arc::clone(&columns.schema), arrays)
}

fn copies(promoted: &[Promoted], batch: &RecordBatch) -> Vec<ArrayRef> {
    let rows = batch.num_rows();
    let Some(map) = Attributes::of(batch) else {
        return promoted.iter().map(|p| new_null_array(&p.kind.arrow(), rows)).collect();
    };
    let slots: HashMap<&str, usize> =
        promoted.iter().enumerate().map(|(n, promoted)| (promoted.key.as_str(), n)).collect();
    let mut builders: Vec<Builder> =
        promoted.iter().map(|promoted| Builder::new(promoted.kind, rows)).collect();
    let mut found: Vec<Option<&str>> = vec![None; promoted.len()];
    for row in 0..rows {
        found.fill(None);
        for (key, value) in map.row(row) {
            if let Some(slot) = slots.get(key).and_then(|n| found.get_mut(*n)) {
                *slot = Some(value);
            }
        }
        for (builder, value) in builders.iter_mut().zip(&found) {
            builder.append(*value);
        }
    }
    builders.into_iter().map(Builder::finish).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_only_what_is_written_as_numbers() {
        assert_eq!(parse_int("42"), Some(42));
        assert_eq!(parse_int("-7"), Some(-7));
        assert_eq!(parse_int("007"), None);
        assert_eq!(parse_int("+7"), None);
        assert_eq!(parse_int("-0"), None);
        assert_eq!(parse_int("99999999999999999999"), None);
        assert_eq!(parse_float("1.5e3"), Some(1500.0));
        assert_eq!(parse_float("00.5"), None);
        assert_eq!(parse_float("inf"), None);
        assert_eq!(parse_float("1e999"), None);
    }

    #[test]
    fn a_copy_is_exact_where_every_attribute_fits_it() {
        use arrow::array::{MapBuilder, MapFieldNames};
        let promoted = |key: &str, kind| Promoted { key: key.to_owned(), kind };
        let all = [
            promoted("status", PromotedType::Int),
            promoted("ratio", PromotedType::Float),
            promoted("path", PromotedType::Text),
        ];
        let batch = |rows: &[&[(&str, &str)]]| {
            let names = MapFieldNames { entry: "e".into(), key: "k".into(), value: "v".into() };
            let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
            for row in rows {
                for (key, value) in *row {
                    map.keys().append_value(key);
                    map.values().append_value(value);
                }
                map.append(true).expect("a row");
            }
            let mut columns: Vec<(String, ArrayRef)> =
                vec![(ATTRIBUTES.to_owned(), Arc::new(map.finish()) as ArrayRef)];
            let bare = RecordBatch::try_from_iter(columns.clone()).expect("a batch");
            columns.extend(all.iter().map(Promoted::column).zip(copies(&all, &bare)));
            RecordBatch::try_from_iter_with_nullable(
                columns.into_iter().map(|(name, array)| (name, array, true)),
            )
            .expect("a batch")
        };
        let of = |batches: &[RecordBatch]| {
            let mut exact = Exact::new(&all);
            batches.iter().for_each(|batch| exact.add(&all, batch));
            exact.columns(&all)
        };
        let plain = batch(&[&[("status", "200"), ("path", "/")], &[("ratio", "0.5")], &[]]);
        assert_eq!(of(std::slice::from_ref(&plain)), "a_status\na_ratio");
        let odd = batch(&[&[("status", "200")], &[("status", "007"), ("ratio", "1")]]);
        assert_eq!(of(&[plain.clone(), odd, plain.clone()]), "a_ratio");
        assert_eq!(of(&[batch(&[&[("ratio", "none"), ("status", "")]])]), "");
        assert_eq!(of(&[plain.project(&[0]).expect("the map alone")]), "");
    }
}
