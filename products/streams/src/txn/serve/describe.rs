//! DescribeTransactions and ListTransactions (KIP-664, KIP-994).

use std::sync::Arc;

use candor_model::Timestamp;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::list_transactions_response::TransactionState as Listed;
use kafka_protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ListTransactionsRequest,
    ListTransactionsResponse, TopicName, TransactionalId,
};
use regex::{Regex, RegexBuilder};

use super::wire;
use crate::caller::Caller;
use crate::txn::coordinator::Transactions;
use crate::txn::state::{Phase, Transaction};

/// A compiled pattern, bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// When no transaction has begun.
const NO_TIME: i64 = -1;

impl Transactions {
    /// DescribeTransactions, 0.
    pub async fn describe_transactions(
        &self,
        caller: &Caller,
        request: DescribeTransactionsRequest,
        _version: i16,
    ) -> DescribeTransactionsResponse {
        let described = request.transactional_ids.into_iter().map(|id| {
            let entry = self.find(caller.project, &id);
            match entry.and_then(|entry| entry.transaction()) {
                Some(transaction) => describe(&transaction).with_transactional_id(id),
                None => {
                    let unknown = match id.is_empty() {
                        true => ResponseError::InvalidRequest,
                        false => ResponseError::TransactionalIdNotFound,
                    };
                    TransactionState::default().with_error_code(unknown.code()).with_transactional_id(id)
                }
            }
        });
        DescribeTransactionsResponse::default().with_transaction_states(described.collect())
    }

    /// ListTransactions, 0 to 2.
    pub async fn list_transactions(
        &self,
        caller: &Caller,
        request: ListTransactionsRequest,
        version: i16,
    ) -> ListTransactionsResponse {
        let answer = ListTransactionsResponse::default();
        let pattern = request.transactional_id_pattern.as_deref().filter(|_| version >= 2);
        let pattern = match pattern.filter(|pattern| !pattern.is_empty()).map(whole).transpose() {
            Ok(pattern) => pattern,
            Err(_) => return answer.with_error_code(ResponseError::InvalidRegularExpression.code()),
        };
        let (known, unknown): (Vec<_>, Vec<_>) =
            request.state_filters.iter().partition(|name| Phase::from_name(name).is_some());
        let running_ms = if version >= 1 { request.duration_filter } else { -1 };
        let now = self.inner.clock.now();
        let is_asked = |id: &str, of: &Transaction| {
            let running = began_at(of).map(|began| (now.0 - began.0) / 1000);
            (request.state_filters.is_empty() || known.iter().any(|name| ***name == *of.phase.name()))
                && (request.producer_id_filters.is_empty()
                    || request.producer_id_filters.iter().any(|producer| producer.0 == of.producer))
                && (running_ms < 0 || running.is_some_and(|running| running > running_ms))
                && pattern.as_ref().is_none_or(|pattern| pattern.is_match(id))
        };
        let listed = self.of_project(caller.project).into_iter().filter_map(|entry| {
            let of: Arc<Transaction> = entry.transaction()?;
            let id = &*entry.key.id;
            is_asked(id, &of).then(|| {
                Listed::default()
                    .with_transactional_id(TransactionalId(wire(id)))
                    .with_producer_id(of.producer.into())
                    .with_transaction_state(wire(of.phase.name()))
            })
        });
        answer
            .with_transaction_states(listed.collect())
            .with_unknown_state_filters(unknown.into_iter().cloned().collect())
    }
}

/// A pattern that a whole id has to match.
fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_BYTES_MAX).build()
}

/// When the transaction that is not over began.
fn began_at(of: &Transaction) -> Option<Timestamp> {
    (of.phase == Phase::Ongoing || of.phase.is_ending()).then_some(of.started_at)
}

fn describe(of: &Transaction) -> TransactionState {
    let topics = of.places.values().map(|parts| {
        let partitions = parts.partitions.iter().filter_map(|partition| i32::try_from(partition.0).ok());
        TopicData::default().with_topic(TopicName(wire(&parts.name))).with_partitions(partitions.collect())
    });
    TransactionState::default()
        .with_transaction_state(wire(of.phase.name()))
        .with_transaction_timeout_ms(of.timeout_ms)
        .with_transaction_start_time_ms(began_at(of).map_or(NO_TIME, |began| began.0.div_euclid(1000)))
        .with_producer_id(of.producer.into())
        .with_producer_epoch(of.epoch)
        .with_topics(topics.collect())
}
