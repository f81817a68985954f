//! ShareAcknowledge: what members say of the records that they were given.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::share_acknowledge_request as asked;
use kafka_protocol::messages::share_acknowledge_response as told;
use kafka_protocol::messages::share_fetch_request as fetched;
use kafka_protocol::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};

use super::session::{CLOSING, OPENING};
use super::{Asking, Place, Shares, by_topic};
use crate::caller::Caller;
use crate::groups::{Acknowledgement, Verdict};
use crate::mutant::{Mutant, planted};

/// What is said of the records of one partition, or why it cannot be taken.
pub(super) type Said = Result<Vec<Acknowledgement>, ResponseError>;

/// What came of it.
pub(super) type Taken = BTreeMap<Place, Result<(), ResponseError>>;

/// The same part of both requests.
pub(super) struct Batch<'a> {
    first: i64,
    last: i64,
    types: &'a [i8],
}

impl<'a> From<&'a asked::AcknowledgementBatch> for Batch<'a> {
    fn from(batch: &'a asked::AcknowledgementBatch) -> Batch<'a> {
        Batch { first: batch.first_offset, last: batch.last_offset, types: &batch.acknowledge_types }
    }
}

impl<'a> From<&'a fetched::AcknowledgementBatch> for Batch<'a> {
    fn from(batch: &'a fetched::AcknowledgementBatch) -> Batch<'a> {
        Batch { first: batch.first_offset, last: batch.last_offset, types: &batch.acknowledge_types }
    }
}

/// Reads what is said of a partition: batches in order, each with one verdict or one for each offset.
pub(super) fn read<'a>(batches: impl Iterator<Item = Batch<'a>>, may_renew: bool) -> Said {
    let mut next = i64::MIN;
    let mut all = Vec::new();
    for Batch { first, last, types } in batches {
        let in_order = first >= next && first <= last && first >= 0 && last < i64::MAX;
        let count = i64::try_from(types.len()).unwrap_or(i64::MAX);
        if !in_order || count != 1 && count != last - first + 1 {
            return Err(ResponseError::InvalidRequest);
        }
        let verdict = |number: &i8| {
            let verdict = Verdict::from_number(*number);
            verdict
                .filter(|verdict| may_renew || *verdict != Verdict::Renew)
                .ok_or(ResponseError::InvalidRequest)
        };
        let verdicts = types.iter().map(verdict).collect::<Result<_, _>>()?;
        all.push(Acknowledgement { first, last, verdicts });
        next = last + 1;
    }
    Ok(all)
}

impl Shares {
    /// ShareAcknowledge, 1 and 2; `may_renew` says that renewals are among what is said. Gives how long records are
    /// locked, in milliseconds, too.
    pub async fn acknowledge(
        &self,
        caller: &Caller,
        request: ShareAcknowledgeRequest,
        may_renew: bool,
    ) -> (ShareAcknowledgeResponse, i32) {
        let refused =
            |error: ResponseError| ShareAcknowledgeResponse::default().with_error_code(error.code());
        let asking = match self.asking(caller, request.group_id.as_ref(), request.member_id.as_ref()) {
            Ok(asking) => asking,
            Err(error) => return (refused(error), 0),
        };
        let lock_ms = asking.terms.lock_ms();
        let sessions = &self.inner.sessions;
        let (project, group, member) = (asking.project, asking.group, &asking.member);
        let begun = match request.share_session_epoch {
            OPENING => Err(ResponseError::InvalidShareSessionEpoch),
            CLOSING => sessions.close(project, group, member),
            epoch => {
                let nothing = Default::default();
                sessions.go_on(project, group, member, epoch, Default::default(), &nothing).map(|_| ())
            }
        };
        if let Err(error) = begun {
            return (refused(error), lock_ms);
        }
        let mut said = Vec::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let batches = partition.acknowledgement_batches.iter().map(Batch::from);
                let place = (topic.topic_id.into_bytes(), partition.partition_index);
                said.push((place, read(batches, may_renew)));
            }
        }
        let taken = self.take(&asking, said).await;
        if request.share_session_epoch == CLOSING {
            self.give_back(&asking).await;
        }
        let responses = by_topic(taken).into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(index, taken)| {
                let nobody = told::LeaderIdAndEpoch::default().with_leader_id(-1).with_leader_epoch(-1);
                told::PartitionData::default()
                    .with_partition_index(index)
                    .with_error_code(taken.err().map_or(0, |error| error.code()))
                    .with_error_message(None)
                    .with_current_leader(nobody)
            });
            told::ShareAcknowledgeTopicResponse::default()
                .with_topic_id(uuid::Uuid::from_bytes(topic))
                .with_partitions(partitions.collect())
        });
        let response =
            ShareAcknowledgeResponse::default().with_error_message(None).with_responses(responses.collect());
        (response, lock_ms)
    }

    /// Takes what a member says, and waits until it is stored.
    pub(super) async fn take(&self, asking: &Asking<'_>, said: Vec<(Place, Said)>) -> Taken {
        if said.is_empty() {
            return Taken::new();
        }
        let Asking { project, group, member, terms, .. } = asking;
        let known: Vec<Result<(), ResponseError>> =
            said.iter().map(|((topic, _), _)| self.topic(asking, *topic).map(|_| ())).collect();
        let judged = self.inner.groups.with_share(*project, group, |share, now| {
            let mut taken = Taken::new();
            let mut wakes = false;
            let renewed = now + terms.lock;
            for ((place, said), known) in said.iter().zip(&known) {
                let outcome = known.and(said.as_ref().map_err(|error| *error)).and_then(|said| {
                    let judged = share.part(*place, |part| part.acknowledge(member, said, renewed, now));
                    wakes |= judged.unwrap_or(Err(ResponseError::InvalidRecordState))?;
                    Ok(())
                });
                taken.insert(*place, outcome);
            }
            if wakes {
                share.tell_freed();
            }
            taken
        });
        let mut taken = match judged {
            Ok(taken) => taken,
            Err(error) => said.iter().map(|(place, _)| (*place, Err(error))).collect(),
        };
        if taken.values().any(Result::is_ok)
            && !planted(Mutant::ForgetAcceptance)
            && !self.inner.groups.save_share(*project, group).await
        {
            taken.values_mut().filter(|taken| taken.is_ok()).for_each(|taken| {
                *taken = Err(ResponseError::KafkaStorageError);
            });
        }
        taken
    }

    /// A member's session is over: what it has of records is free again.
    pub(super) async fn give_back(&self, asking: &Asking<'_>) {
        let Asking { project, group, member, .. } = asking;
        let any = self.inner.groups.with_share(*project, group, |share, _| share.give_back(member));
        if any == Ok(true) {
            // That it was given counts no longer; where that cannot be stored, it counts all the same.
            self.inner.groups.save_share(*project, group).await;
        }
    }
}
