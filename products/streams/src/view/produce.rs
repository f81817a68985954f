//! A message written by hand: through the gate, as everything else.

use bytes::Bytes;
use candor_gate::STREAM_BOUNDS;
use candor_meta::WriteScope;
use candor_records::{BatchBuilder, HeadersBuf};
use data_encoding::BASE64;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use serde::{Deserialize, Serialize};

use super::pages::{Ask, Begin};
use super::partitioner::partition_of;
use super::{Inner, Message, View, ViewError, write};

/// The latest version of Produce that names topics by name.
const PRODUCE: i16 = 12;

/// Headers that one message may be given here.
const HEADERS_MAX: usize = 100;

/// A message to be written.
#[derive(Debug, Clone, Deserialize)]
pub struct NewMessage {
    /// Its key.
    pub key: Option<String>,
    /// Its value; none for a tombstone.
    pub value: Option<String>,
    /// Its headers.
    #[serde(default)]
    pub headers: Vec<NewHeader>,
    /// Its partition; none for that of its key, or any.
    pub partition: Option<u32>,
    /// Key, value and headers are base64 rather than text.
    #[serde(default)]
    pub base64: bool,
}

/// A header to be written.
#[derive(Debug, Clone, Deserialize)]
pub struct NewHeader {
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: Option<String>,
}

/// A message that was written.
#[derive(Debug, Clone, Serialize)]
pub struct Produced {
    /// Where it went.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// The message as it is stored: what the gate changed is changed in it.
    pub message: Option<Message>,
}

fn bytes_of(text: Option<&str>, is_base64: bool) -> Result<Option<Vec<u8>>, ViewError> {
    let Some(text) = text else { return Ok(None) };
    if !is_base64 {
        return Ok(Some(text.as_bytes().to_vec()));
    }
    let refused = |_| ViewError::Refused("a part of the message is not base64".to_owned());
    BASE64.decode(text.trim().as_bytes()).map(Some).map_err(refused)
}

impl View {
    /// Writes a message. It is on stable storage when this returns.
    pub async fn produce(
        &self,
        scope: &WriteScope,
        name: &str,
        new: NewMessage,
    ) -> Result<Produced, ViewError> {
        let (project, inner) = (write(scope), &self.inner);
        let topic = inner.stream(project, name)?;
        let partitions = topic.view.partitions;
        if new.partition.is_some_and(|partition| partition >= partitions) {
            return Err(ViewError::Missing(format!(
                "{name} has {partitions} partitions, numbered from 0 on"
            )));
        }
        if new.headers.len() > HEADERS_MAX {
            return Err(ViewError::Refused(format!("a message is given at most {HEADERS_MAX} headers here")));
        }
        let key = bytes_of(new.key.as_deref(), new.base64)?;
        let value = bytes_of(new.value.as_deref(), new.base64)?;
        let partition = match (new.partition, &key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, partitions),
            (None, None) => (inner.random.next_u64() % u64::from(partitions.max(1))) as u32,
        };
        let mut headers = HeadersBuf::new();
        for header in &new.headers {
            let value = bytes_of(header.value.as_deref(), new.base64)?;
            headers.push(header.name.as_bytes(), value.as_deref());
        }
        let mut batch = BatchBuilder::new(candor_records::Codec::None);
        let now_ms = inner.clock.now().0.div_euclid(1000);
        batch.push(now_ms, key.as_deref(), value.as_deref(), headers.headers());
        if batch.bytes() > STREAM_BOUNDS.bytes {
            return Err(ViewError::Refused("the message is too large".to_owned()));
        }
        let batch = batch.finish().map_err(|error| ViewError::Refused(error.to_string()))?;
        let offset = inner.append(scope, name, partition, batch).await?;
        let ask =
            Ask { partition: Some(partition), from: Begin::Offset(offset), key: None, text: None, limit: 1 };
        // It may have been trimmed or compacted away already.
        let page = inner.page(project, name, ask).await.ok();
        let message = page.and_then(|page| page.messages.into_iter().next());
        Ok(Produced { partition, offset, message: message.filter(|message| message.offset == offset) })
    }
}

impl Inner {
    async fn append(
        &self,
        scope: &WriteScope,
        name: &str,
        partition: u32,
        batch: Bytes,
    ) -> Result<u64, ViewError> {
        let data =
            PartitionProduceData::default().with_index(partition.cast_signed()).with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(name.to_owned())))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
        let rights = self.parts.rights(&self.caller(scope.project()));
        let answer = self.parts.produce.take(scope, &rights, request, PRODUCE).answer.await;
        let answer = answer.and_then(|answer| answer.responses.into_iter().next());
        let answer = answer.and_then(|topic| topic.partition_responses.into_iter().next());
        let lost =
            || ViewError::Later("the message may not have been stored: look before trying again".into());
        let answer = answer.ok_or_else(lost)?;
        if answer.error_code == 0 {
            return u64::try_from(answer.base_offset).map_err(|_| lost());
        }
        let of_record = answer.record_errors.first().and_then(|one| one.batch_index_error_message.clone());
        match of_record.or(answer.error_message) {
            Some(why) => Err(ViewError::Refused(format!("the message was not taken: {why}"))),
            None => Err(ViewError::Later(format!(
                "the message was not stored (Kafka's error {}): try again",
                answer.error_code
            ))),
        }
    }
}
