//! Frequent attributes become columns; the map stays whole.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use candor_model::Signal;

use crate::bed::{Bed, attributes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frequent_keys_get_a_column_of_one_type_in_files_and_tail_alike() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    bed.logs(0, 900);
    lake.flush(None).await.unwrap();
    let few = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert!(few.schema.field_with_name("a_region").is_err(), "a handful of rows says nothing");

    bed.logs(900, 2000);
    lake.flush(None).await.unwrap();
    // `mixed` looked like a number in the first sample's rows or not: either way its type is fixed from here on.
    bed.logs(2900, 200);
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    let kind = |name: &str| pinned.schema.field_with_name(name).map(|field| field.data_type().clone()).ok();
    assert_eq!(kind("a_http.status"), Some(DataType::Int64));
    assert_eq!(kind("a_region"), Some(DataType::Utf8));
    assert_eq!(kind("a_request.id"), None, "a copy of ids costs more than it saves");

    let rows = bed.rows(&lake, &pinned).await;
    let status = rows.column_by_name("a_http.status").unwrap().as_primitive::<Int64Type>().clone();
    let maps = rows.column_by_name("attributes").unwrap().as_map().clone();
    for n in 0..3100 {
        // The file from before the column reads as null; so does nothing else.
        let expected = (n >= 900).then(|| 200 + n as i64 % 4 * 100);
        assert_eq!(status.is_valid(n).then(|| status.value(n)), expected, "row {n}");
        let pairs = maps.value(n);
        let values = pairs.column(1).as_string::<i32>();
        let expected: Vec<String> = attributes(n).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values.iter().flatten().collect::<Vec<_>>(), expected);
    }

    // A merge fills the column in.
    lake.flush(None).await.unwrap();
    assert!(lake.compact(None).await.unwrap() >= 2);
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    let rows = bed.rows(&lake, &pinned).await;
    let regions = rows.column_by_name("a_region").unwrap().as_string::<i32>().clone();
    assert!((0..3100).all(|n| regions.value(n) == format!("eu-{}", n % 3)));

    // The type never changes, also after a start.
    drop(lake);
    let lake = bed.lake().await;
    bed.log.append(bed.project(), Signal::Logs, with_status("teapot", 3000), crate::bed::START);
    lake.flush(None).await.unwrap();
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert_eq!(pinned.schema.field_with_name("a_http.status").unwrap().data_type(), &DataType::Int64);
    let rows = bed.rows(&lake, &pinned).await;
    let status = rows.column_by_name("a_http.status").unwrap();
    assert_eq!(status.null_count(), 3000, "what is no number is null in the copy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_publishes_promote_when_they_are_merged() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    for n in 0..12 {
        bed.logs(n * 100, 100);
        lake.flush(None).await.unwrap();
    }
    assert!(lake.compact(None).await.unwrap() >= 12);
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert!(pinned.schema.field_with_name("a_region").is_ok());
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..1200).collect::<Vec<_>>());
}

fn with_status(status: &str, count: usize) -> arrow::record_batch::RecordBatch {
    let rows = crate::bed::logs(0, count);
    let at = rows.schema().index_of("attributes").unwrap();
    let schema = rows.schema();
    let DataType::Map(entries, _) = schema.field(at).data_type() else { panic!("attributes are no map") };
    let mut columns = rows.columns().to_vec();
    columns[at] = crate::bed::map(entries, (0..count).map(|_| vec![("http.status", status.to_owned())]));
    arrow::record_batch::RecordBatch::try_new(rows.schema(), columns).unwrap()
}
