//! The object store alone: what an acknowledged append on S3 cannot beat.

use std::time::{Duration, Instant};

use bytes::Bytes;
use candor_store::{Objects, S3Objects};

/// Puts 4 KiB under a new key, `count` times with a pause before each. Endpoint and keys as the AWS SDKs read them.
pub fn bare(url: &str, count: usize, pause: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let objects = S3Objects::from_url(url)?;
        let block = Bytes::from(vec![0x5a_u8; 4096]);
        let mut millis = Vec::with_capacity(count);
        for index in 0..count {
            tokio::time::sleep(pause).await;
            let key = format!("bare/{}-{index}", std::process::id());
            let began = Instant::now();
            objects.put(&key, block.clone()).await?;
            millis.push(began.elapsed().as_secs_f64() * 1e3);
        }
        println!("{}", serde_json::json!({ "puts": count, "latency": crate::latencies(millis) }));
        Ok(())
    })
}
