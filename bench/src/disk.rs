//! The disk alone: what an acknowledged append cannot beat.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// Appends 4 KiB and fdatasyncs, `count` times.
pub fn bare(dir: &Path, count: usize) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let path = dir.join("bare-append");
    let file = fs::File::create(&path)?;
    let block = [0x5a_u8; 4096];
    let mut millis = Vec::with_capacity(count);
    for index in 0..count {
        let began = Instant::now();
        file.write_all_at(&block, index as u64 * 4096)?;
        rustix::fs::fdatasync(&file)?;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(&path)?;
    println!("{}", serde_json::json!({ "appends": count, "latency": crate::latencies(millis) }));
    Ok(())
}
