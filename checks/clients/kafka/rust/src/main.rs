//! rskafka through what it can: administration, produce with every compression, fetch, deletion of records. It knows no
//! groups and no transactions. Arguments: bootstrap user password topic. Prints one line of JSON.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;

use chrono::Utc;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, OffsetAt, UnknownTopicHandling};
use rskafka::client::{Credentials, SaslConfig};
use rskafka::record::Record;

const PARTITIONS: i32 = 4;
const COUNT: usize = 300;
const TIMEOUT_MS: i32 = 10_000;
const BYTES_MAX: i32 = 1 << 20;
const DELETED: i64 = 10;

const COMPRESSIONS: [Compression; 5] =
    [Compression::NoCompression, Compression::Gzip, Compression::Lz4, Compression::Snappy, Compression::Zstd];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [bootstrap, user, password, topic] = env::args()
        .skip(1)
        .take(4)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "bootstrap user password topic")?;
    let login = SaslConfig::ScramSha512(Credentials::new(user, password));
    let client = ClientBuilder::new(vec![bootstrap]).sasl_config(login).build().await?;
    let controller = client.controller_client()?;
    controller.create_topic(&topic, PARTITIONS, 1, TIMEOUT_MS).await?;
    let twice = controller.create_topic(&topic, PARTITIONS, 1, TIMEOUT_MS).await.is_err();
    let listed = client
        .list_topics()
        .await?
        .iter()
        .find(|known| known.name == topic)
        .map_or(0, |known| known.partitions.len());

    let (mut produced, mut read, mut left) = (0, 0, 0);
    for partition in 0..PARTITIONS {
        let of = client.partition_client(topic.clone(), partition, UnknownTopicHandling::Error).await?;
        let sent: Vec<Record> = (0..COUNT / PARTITIONS as usize)
            .map(|n| Record {
                key: Some(format!("k{n}").into_bytes()),
                value: Some(format!("v{partition}-{n}").into_bytes()),
                headers: BTreeMap::from([("from".to_owned(), b"rskafka".to_vec())]),
                timestamp: Utc::now(),
            })
            .collect();
        for (some, compression) in sent.chunks(sent.len() / COMPRESSIONS.len()).zip(COMPRESSIONS) {
            produced += of.produce(some.to_vec(), compression).await?.len();
        }
        let end = of.get_offset(OffsetAt::Latest).await?;
        let mut at = of.get_offset(OffsetAt::Earliest).await?;
        while at < end {
            let (records, _) = of.fetch_records(at, 1..BYTES_MAX, TIMEOUT_MS).await?;
            for got in &records {
                let wanted = &sent[got.offset as usize];
                assert_eq!(
                    (&got.record.key, &got.record.value, &got.record.headers),
                    (&wanted.key, &wanted.value, &wanted.headers)
                );
            }
            read += records.len();
            at = records.last().ok_or("an empty answer before the end")?.offset + 1;
        }
        of.delete_records(DELETED, TIMEOUT_MS).await?;
        left += end - of.get_offset(OffsetAt::Earliest).await?;
    }
    controller.delete_topic(&topic, TIMEOUT_MS).await?;
    let deleted = client.list_topics().await?.iter().all(|known| known.name != topic);
    println!(
        "{{\"twice\":{twice},\"partitions\":{listed},\"produced\":{produced},\"read\":{read},\"left\":{left},\"deleted\":{deleted}}}"
    );
    Ok(())
}
