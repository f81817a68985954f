//! How far a consumer is: what it committed, and where it is told to go on.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest};
use kafka_protocol::protocol::StrBytes;

use super::super::error::{Answer, RestError, check};
use super::super::read::{EARLIEST, LATEST, offset};
use super::super::send::topic_name;
use super::instance::{Consumer, Place};

/// An offset with what its client keeps with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rest) struct Committed {
    pub offset: i64,
    pub metadata: String,
}

fn by_topic<T>(places: impl IntoIterator<Item = (Place, T)>) -> BTreeMap<String, Vec<(i32, T)>> {
    let mut topics: BTreeMap<String, Vec<(i32, T)>> = BTreeMap::new();
    for ((topic, partition), of) in places {
        topics.entry(topic).or_default().push((partition, of));
    }
    topics
}

impl Consumer {
    /// Where it begins where it has no offset.
    pub(super) async fn begin(&self, (topic, partition): &Place) -> Answer<i64> {
        let time = if self.options.from_oldest { EARLIEST } else { LATEST };
        offset(&self.client, topic, *partition, time).await
    }

    /// Looks up the positions of what it was given and has not read from yet.
    pub(super) async fn find_positions(&mut self) -> Answer<()> {
        let unknown = self.owned.iter().filter(|(_, at)| at.is_none()).map(|(place, _)| place.clone());
        let unknown: Vec<Place> = unknown.collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let committed = self.committed(&unknown).await?;
        for place in unknown {
            let at = match committed.get(&place) {
                Some(committed) => committed.offset,
                None => self.begin(&place).await?,
            };
            self.owned.insert(place, Some(at));
        }
        Ok(())
    }

    /// What its group committed of these.
    pub(in crate::rest) async fn committed(&self, places: &[Place]) -> Answer<BTreeMap<Place, Committed>> {
        let topics = by_topic(places.iter().map(|place| (place.clone(), ())));
        let topics = topics.into_iter().map(|(topic, partitions)| {
            OffsetFetchRequestTopics::default()
                .with_name(topic_name(&topic))
                .with_partition_indexes(partitions.into_iter().map(|(index, ())| index).collect())
        });
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(self.group.clone()))
            .with_topics(Some(topics.collect()));
        let found = self.client.committed(OffsetFetchRequest::default().with_groups(vec![asked])).await;
        let mut out = BTreeMap::new();
        for group in found.groups {
            check(group.error_code, None)?;
            for topic in group.topics {
                for found in topic.partitions {
                    check(found.error_code, None)?;
                    if found.committed_offset >= 0 {
                        let metadata = found.metadata.map(|text| text.to_string()).unwrap_or_default();
                        let committed = Committed { offset: found.committed_offset, metadata };
                        out.insert((topic.name.to_string(), found.partition_index), committed);
                    }
                }
            }
        }
        Ok(out)
    }

    /// Commits these, or with none given all that was given out.
    pub(in crate::rest) async fn commit(&mut self, given: Option<Vec<(Place, Committed)>>) -> Answer<()> {
        let is_all = given.is_none();
        let own = || {
            let known = self.owned.iter().filter_map(|(place, at)| Some((place.clone(), (*at)?)));
            known.map(|(place, offset)| (place, Committed { offset, metadata: String::new() })).collect()
        };
        let offsets: Vec<(Place, Committed)> = given.unwrap_or_else(own);
        if offsets.is_empty() {
            return Ok(());
        }
        let topics = by_topic(offsets).into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(index, committed)| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(index)
                    .with_committed_offset(committed.offset)
                    .with_committed_metadata(Some(StrBytes::from_string(committed.metadata)))
            });
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(&topic))
                .with_partitions(partitions.collect())
        });
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(self.group.clone()))
            .with_generation_id_or_member_epoch(self.epoch.unwrap_or(-1))
            .with_member_id(if self.is_member() { self.member.clone() } else { StrBytes::default() })
            .with_topics(topics.collect());
        let answer = self.client.commit(request).await;
        let failed = answer.topics.iter().flat_map(|topic| &topic.partitions).find(|one| one.error_code != 0);
        check(failed.map_or(0, |one| one.error_code), None)?;
        if is_all {
            self.moved = false;
        }
        Ok(())
    }

    /// Commits what was given out, where it does so by itself. What cannot be committed is read again by whoever comes.
    pub(super) async fn commit_by_itself(&mut self) {
        if self.options.commits && self.moved {
            let _ = self.commit(None).await;
        }
    }

    /// Goes on elsewhere.
    pub(in crate::rest) fn seek(&mut self, place: Place, to: i64) -> Answer<()> {
        match self.owned.get_mut(&place) {
            Some(at) if to >= 0 => {
                *at = Some(to);
                self.moved = true;
                Ok(())
            }
            Some(_) => Err(RestError::payload("an offset is 0 or more")),
            None => {
                let message = format!("No current assignment for partition {}-{}", place.0, place.1);
                Err(RestError::new(http::StatusCode::CONFLICT, 40903, message))
            }
        }
    }

    /// Goes on at the beginning or the end of a partition.
    pub(in crate::rest) async fn seek_to(&mut self, place: Place, time: i64) -> Answer<()> {
        let at = match self.owned.contains_key(&place) {
            true => offset(&self.client, &place.0, place.1, time).await?,
            false => 0,
        };
        self.seek(place, at)
    }
}
