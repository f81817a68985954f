//! Prints what checking produced batches costs: `cargo run --release -p candor-records --example records_speed`.

use bytes::Bytes;
use candor_records::{
    BatchBuilder, Bounds, Codec, Headers, ProducedLimits, Rebuild, open, validate_produced,
};
use candor_testbed::speed::megabytes_a_second;

const BATCH_BYTES: usize = 1_000_000;
const BOUNDS: Bounds = Bounds { bytes: 64 << 20, records: 1_000_000 };
const LIMITS: ProducedLimits = ProducedLimits { batch_bytes: 64 << 20, records: 1_000_000 };

fn main() {
    for value_bytes in [1024, 100] {
        for codec in Codec::ALL {
            let batch = batch(codec, value_bytes);
            let plain = open(&batch, BOUNDS).map_or(0, |opened| opened.body().len());
            let header = megabytes_a_second(
                plain,
                || batch.clone(),
                |batch| validate_produced(&batch, LIMITS).is_ok(),
            );
            let whole = megabytes_a_second(plain, || batch.clone(), |batch| produced(&batch));
            let rebuilt = megabytes_a_second(plain, || batch.clone(), |batch| rebuilt(&batch));
            println!(
                "{value_bytes:>5} byte values, {:<6} {:>8} bytes: header and checksum {header:>8.0} MB/s, records too {whole:>8.0} MB/s, built anew {rebuilt:>6.0} MB/s",
                codec.name(),
                batch.len()
            );
        }
    }
}

fn batch(codec: Codec, value_bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    let mut n = 0u64;
    while builder.bytes() < BATCH_BYTES {
        let line = format!("{n:016x} GET /cart/items/{} answered {} ms; ", n * 7919 % 10_007, n % 97);
        let value: Vec<u8> = line.bytes().cycle().take(value_bytes).collect();
        builder.push(1_790_000_000_000 + n as i64, Some(&n.to_be_bytes()), Some(&value), Headers::default());
        n += 1;
    }
    builder.finish().unwrap_or_default()
}

fn produced(batch: &Bytes) -> bool {
    validate_produced(batch, LIMITS).is_ok()
        && open(batch, BOUNDS).is_ok_and(|opened| opened.check_produced().is_ok())
}

fn rebuilt(batch: &Bytes) -> Option<Bytes> {
    let opened = open(batch, BOUNDS).ok()?;
    let mut rebuild = Rebuild::new(opened.header()).ok()?;
    for record in opened.records() {
        rebuild.push(&record.ok()?);
    }
    rebuild.finish().ok()
}
