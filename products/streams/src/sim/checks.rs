//! What is checked in the end, when nothing is under way any more.

use std::collections::BTreeMap;

use kafka_protocol::messages::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;

use super::model::{End, Fate, Model};
use super::node::{BRIEF, KEYED, Node, PLAIN, Place, TOPICS, places};
use super::readers::{Record, read};
use super::transactions::IDS;
use super::world::{Outcome, World};
use crate::testing::text;
use crate::txn::tests::bed::topic_name;

/// How often a record is given to sharers before it is given up.
const DELIVERIES_MAX: u16 = 5;

/// What lies in the partitions, all of it or what is committed.
type Found = BTreeMap<Place, Vec<Record>>;

pub async fn check_all(world: &World, node: &Node) -> Outcome {
    let (mut all, mut committed) = (Found::new(), Found::new());
    for place in places() {
        let mut left = 200;
        while node.ends(place).1 != node.ends(place).2 {
            let (_, stable, end) = node.ends(place);
            left -= 1;
            if left == 0 {
                return Err(format!(
                    "{place:?} is stable to {stable}, and ends at {end}: something is stuck"
                ));
            }
            world.think(20).await;
        }
        let (start, _, end) = node.ends(place);
        let (records, spans) = read_all(node, place, false).await?;
        let mut next = start;
        for (first, last) in spans {
            let is_dense = match place.0 {
                KEYED => first >= next,
                // It may begin within a batch.
                _ => first == next || next == start && first < start && last > start,
            };
            if !is_dense {
                return Err(format!("{place:?}: {first} to {last} comes behind {next}"));
            }
            next = last;
        }
        if next != end && start < end {
            return Err(format!("{place:?} ends at {next}, its high watermark is {end}"));
        }
        all.insert(place, records);
        committed.insert(place, read_all(node, place, true).await?.0);
    }
    check_records(world, node, &all, &committed)?;
    check_shared(world, &committed)?;
    let visible = |number: usize| {
        let model = world.model.borrow();
        let mut seen = committed.values().flatten();
        seen.any(|(_, value)| model.sent[*value as usize].transaction == Some(number))
    };
    for (id, (_, group)) in IDS.iter().enumerate() {
        let mut found = offset(node, group, 0).await;
        for _ in 0..200 {
            if found.is_ok() {
                break;
            }
            world.think(20).await;
            found = offset(node, group, 0).await;
        }
        let found = found.map_err(|code| format!("{group} has no offset: {code}"))?;
        let model = world.model.borrow();
        check_moved(&model, id, found, visible)?;
    }
    Ok(())
}

async fn read_all(
    node: &Node,
    place: Place,
    committed: bool,
) -> Result<(Vec<Record>, Vec<(u64, u64)>), String> {
    let (start, _, end) = node.ends(place);
    let (mut at, mut all, mut spans) = (start, Vec::new(), Vec::new());
    while at < end {
        let (next, records, more) = read(node, place, at, committed, 1 << 20).await?;
        if next == at {
            return Err(format!("nothing at {at} of {place:?}"));
        }
        all.extend(records);
        spans.extend(more);
        at = next;
    }
    Ok((all, spans))
}

fn check_records(world: &World, node: &Node, all: &Found, committed: &Found) -> Outcome {
    let model = &mut *world.model.borrow_mut();
    let mut place_of: BTreeMap<u64, (Place, u64)> = BTreeMap::new();
    for (place, records) in all {
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        for (offset, number) in records {
            if let Some(before) = place_of.insert(*number, (*place, *offset)) {
                return Err(format!("{number} is at {before:?} and at {place:?} {offset}"));
            }
            let sent = model.sent.get(*number as usize).ok_or_else(|| format!("nobody sent {number}"))?;
            if sent.fate == Fate::Refused || sent.place != *place {
                return Err(format!("{number}, {sent:?}, is at {place:?} {offset}"));
            }
            if let Some(before) = last.insert(sent.writer, *number).filter(|before| before > number) {
                return Err(format!("{place:?}: {number} comes behind {before} of the same writer"));
            }
        }
    }
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    for (place, records) in committed {
        for (offset, number) in records {
            model.check_visible(*number, *place, *offset)?;
            seen.insert(*number, *offset);
        }
    }
    let newest: BTreeMap<u64, u64> = committed[&(KEYED, 0)]
        .iter()
        .map(|(offset, number)| (model.sent[*number as usize].key, *offset))
        .collect();
    // Of each transaction: acknowledged records that can be seen, and those that can not.
    let mut parts: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    let mut superseded = 0;
    for (number, sent) in (0_u64..).zip(&model.sent) {
        let Fate::Acknowledged(offset) = sent.fate else { continue };
        if let Some((place, at)) = place_of.get(&number).filter(|(_, at)| *at != offset) {
            return Err(format!("{number} was acknowledged at {offset}, and is at {place:?} {at}"));
        }
        let is_seen = seen.contains_key(&number);
        let may_lack = match sent.place.0 {
            KEYED => newest.get(&sent.key).is_some_and(|newest| *newest > offset),
            BRIEF => offset < node.ends(sent.place).0,
            _ => false,
        };
        superseded += u64::from(sent.place.0 == KEYED && !place_of.contains_key(&number));
        if !is_seen && may_lack {
            continue;
        }
        match sent.transaction {
            None if !is_seen => return Err(format!("{number}, {sent:?}, is lost")),
            None => {}
            Some(of) => {
                let counts = parts.entry(of).or_default();
                *(if is_seen { &mut counts.0 } else { &mut counts.1 }) += 1;
            }
        }
    }
    for (of, (there, lacking)) in parts {
        let transaction = &model.transactions[of];
        if lacking > 0 && (there > 0 || transaction.end == End::Committed) {
            return Err(format!(
                "of transaction {of}, {transaction:?}, {there} are there and {lacking} are not"
            ));
        }
    }
    *model.seen.entry("compacted away").or_default() += superseded;
    *model.seen.entry("records").or_default() += seen.len() as u64;
    Ok(())
}

/// Whatever can be read was given to some sharer, unless the answers were lost.
fn check_shared(world: &World, committed: &Found) -> Outcome {
    let model = world.model.borrow();
    let lost = model.seen.get("share fetches without an answer").copied().unwrap_or(0);
    if !model.seen.contains_key("given") || lost >= u64::from(DELIVERIES_MAX) {
        return Ok(());
    }
    for (place, records) in committed.iter().filter(|(place, _)| place.0 == PLAIN) {
        for (offset, number) in records {
            if !model.given.contains_key(&(place.1, *offset as i64)) {
                return Err(format!("{number} at {place:?} {offset} was given to no sharer"));
            }
        }
    }
    Ok(())
}

/// The offset that transactions of an id moved is that of the last one that counts.
fn check_moved(model: &Model, id: usize, found: i64, visible: impl Fn(usize) -> bool) -> Outcome {
    let mut may_be = vec![-1];
    for (number, of) in model.transactions.iter().enumerate().filter(|(_, of)| of.id == id) {
        let Some(acknowledged) = of.offset else { continue };
        let counts = match of.end {
            End::Committed => Some(true),
            End::Open | End::Aborted => Some(false),
            End::Unknown if visible(number) => Some(true),
            // Records that are there to be seen are not: it did not count.
            End::Unknown if of.firsts.keys().any(|place| place.0 == PLAIN) => Some(false),
            End::Unknown => None,
        };
        match counts {
            Some(true) if acknowledged => may_be = vec![number as i64],
            Some(false) => {}
            _ => may_be.push(number as i64),
        }
    }
    match may_be.contains(&found) {
        true => Ok(()),
        false => Err(format!("{} moved to {found}, which is none of {may_be:?}", IDS[id].1)),
    }
}

/// What a group has committed of a partition of the plain topic, -1 for nothing; or the error.
pub async fn offset(node: &Node, group: &str, partition: u32) -> Result<i64, i16> {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(topic_name(TOPICS[PLAIN].0))
        .with_partition_indexes(vec![partition as i32]);
    let request = OffsetFetchRequest::default()
        .with_group_id(kafka_protocol::messages::GroupId(text(group)))
        .with_require_stable(true)
        .with_topics(Some(vec![topic]));
    let response = node.groups.offset_fetch(&node.caller, request, 7).await;
    let found = &response.topics[0].partitions[0];
    if found.error_code == 0 { Ok(found.committed_offset) } else { Err(found.error_code) }
}
