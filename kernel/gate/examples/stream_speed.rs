//! Prints what clearing batches of streams costs: `cargo run --release -p candor-gate --example stream_speed`.

use std::sync::Arc;

use bytes::Bytes;
use candor_gate::{Gate, StreamBatch, ValuesMode};
use candor_keyring::{Keyring, RootKey};
use candor_meta::{Database, KeyKind, Tenancy, WriteScope};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Partition, Timestamp, TopicName};
use candor_records::{BatchBuilder, Codec, Headers};
use candor_testbed::speed::megabytes_a_second;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
const BATCH_BYTES: usize = 1_000_000;

fn main() {
    let keyring = Arc::new(Keyring::new(&RootKey::generate(&Seeded::new(1)), Arc::new(Seeded::new(2))));
    let gate = Gate::new(keyring, Arc::new(ManualClock::new(NOW)), Arc::new(Seeded::new(3)));
    let scope = scope();
    let text: fn(u64) -> String = |n| {
        format!("{n:016x} INFO GET /cart/items/{} answered 200 in {} ms; ", n * 7919 % 10_007, n % 97)
            .repeat(15)
    };
    let order: fn(u64) -> String = |n| {
        format!(
            r#"{{"order_id":"o-{n:012}","customer":{{"name":"customer {n}","city":"Delft","vip":false}},"lines":[{{"sku":"SKU-{}","quantity":{},"price":{}.50,"note":"leave at the door, ring twice"}},{{"sku":"SKU-{}","quantity":1,"price":19.99,"note":""}}],"currency":"EUR","state":"paid","created_at":"2026-09-21T14:13:20.{:03}Z","warehouse":{{"id":{},"zone":"B"}},"tags":["web","returning","newsletter"]}}"#,
            n % 1000,
            n % 7,
            n % 400,
            n % 777,
            n % 1000,
            n % 12
        )
    };
    let dirty: fn(u64) -> String =
        |n| format!(r#"{{"order_id":"o-{n:012}","note":"card 4111 1111 1111 1111, please","n":{}}}"#, n % 10);
    let binary: fn(u64) -> String = |n| format!("\u{0}\u{0}{n:016x} as a serialiser writes it; ").repeat(20);
    let kinds = [("binary", binary), ("text", text), ("JSON", order), ("JSON, dirty", dirty)];
    for (name, make) in kinds {
        for codec in [Codec::None, Codec::Lz4] {
            let (batch, plain, records) = batch(codec, make);
            for values in [ValuesMode::Opaque, ValuesMode::Auto] {
                let send = || StreamBatch {
                    values,
                    ..StreamBatch::new(TopicName("t".into()), Partition(0), batch.clone())
                };
                let speed = megabytes_a_second(plain, send, |batch| {
                    gate.clear_stream(&scope, batch).map(|cleared| cleared.header)
                });
                let each = plain as f64 / records as f64;
                println!(
                    "{name:<12} {each:>5.0} bytes a value, {:<4} {:<6} {speed:>8.0} MB/s, {:>6.2} million records/s",
                    codec.name(),
                    values.name(),
                    speed / each
                );
            }
        }
    }
}

fn batch(codec: Codec, make: fn(u64) -> String) -> (Bytes, usize, u64) {
    let mut builder = BatchBuilder::new(codec);
    let mut n = 0;
    while builder.bytes() < BATCH_BYTES {
        builder.push(NOW.0 / 1000, None, Some(make(n).as_bytes()), Headers::default());
        n += 1;
    }
    let plain = builder.bytes();
    (builder.finish().unwrap_or_default(), plain, n)
}

#[allow(clippy::unwrap_used, reason = "an example is no part of the product")]
fn scope() -> WriteScope {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
        let tenancy =
            Tenancy::open(database, Arc::new(ManualClock::new(NOW)), Arc::new(Seeded::new(4))).await.unwrap();
        let (_, keys) = tenancy.create_project("shop").await.unwrap();
        tenancy.authorize_write(KeyKind::Dsn, &keys.dsn_key).await.unwrap().unwrap()
    })
}
