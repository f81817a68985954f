//! Readers of what is committed: they follow each partition, and are never given what may not be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;

use candor_model::{Offset, Partition};
use candor_records::{Bounds, Header, open};

use super::node::{Node, Place, places};
use super::world::{Client, World};

/// What a batch may unfold to.
const BOUNDS: Bounds = Bounds { bytes: 1 << 20, records: 1000 };

/// A record that was read: its offset and its value.
pub type Record = (u64, u64);

/// Reads on from an offset, all or what is committed, as a client works it out of what a Fetch answers; gives where to go
/// on, and the batches' places.
pub async fn read(
    node: &Node,
    place: Place,
    from: u64,
    committed: bool,
    bytes: usize,
) -> Result<(u64, Vec<Record>, Vec<(u64, u64)>), String> {
    let (start, stable, end) = node.ends(place);
    let until = if committed { stable } else { end };
    let from = from.max(start);
    let (topic, partition) = (&node.topics[place.0], Partition(place.1));
    if from >= until {
        return Ok((from, Vec::new(), Vec::new()));
    }
    let batches = node.log.read(topic, partition, Offset(from), bytes).await;
    let mut batches = match batches {
        Ok(batches) => batches,
        // The disk may be off, or the log has begun elsewhere meanwhile.
        Err(error) => return Err(format!("{place:?} cannot be read at {from}: {error:?}")),
    };
    batches.retain(|batch| batch.base.0 < until);
    let mut coming = node.log.aborted_among(&batches).into_iter().peekable();
    let mut left_out = BTreeSet::new();
    let (mut records, mut spans, mut next) = (Vec::new(), Vec::new(), from);
    for batch in &batches {
        next = batch.base.0 + u64::from(batch.count);
        spans.push((batch.base.0, next));
        while let Some(begun) = coming.next_if(|one| one.first_offset <= batch.base) {
            left_out.insert(begun.producer_id);
        }
        let header = Header::parse(&batch.batch).map_err(|error| error.to_string())?;
        if header.is_control() {
            left_out.remove(&header.producer_id);
            continue;
        }
        if committed && header.is_transactional() && left_out.contains(&header.producer_id) {
            continue;
        }
        let opened = open(&batch.batch, BOUNDS).map_err(|error| error.to_string())?;
        for record in opened.records() {
            let record = record.map_err(|error| error.to_string())?;
            let offset = batch.base.0 + record.offset_delta as u64;
            let value = record.value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
            if offset >= from {
                records.push((offset, value.ok_or_else(|| format!("{place:?} {offset} is none of ours"))?));
            }
        }
    }
    Ok((next, records, spans))
}

pub struct Reader {
    at: BTreeMap<Place, u64>,
}

impl Reader {
    pub fn new(_name: u64) -> Reader {
        Reader { at: BTreeMap::new() }
    }
}

impl Client for Reader {
    fn live<'a>(&'a mut self, world: &'a World, node: &'a Node) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            while !world.calm.get() {
                world.think(25).await;
                let all: Vec<Place> = places().collect();
                let place = all[world.below(all.len() as u64) as usize];
                let looked = {
                    let mut model = world.model.borrow_mut();
                    model.check_ends(node).and_then(|()| model.check_open(node, world.now()))
                };
                looked.unwrap_or_else(|wrong| world.broken(wrong));
                let from = self.at.get(&place).copied().unwrap_or(0);
                let bytes = 1 + world.below(3000) as usize;
                let (next, records) = match read(node, place, from, true, bytes).await {
                    Ok((next, records, _)) => (next, records),
                    Err(_) if world.kept.disk.is_off() => continue,
                    Err(wrong) => return world.broken(wrong),
                };
                world.say(|| format!("read of {place:?} from {from} to {next}: {records:?}"));
                for (offset, number) in records {
                    let may = world.model.borrow().check_visible(number, place, offset);
                    may.unwrap_or_else(|wrong| world.broken(wrong));
                    world.model.borrow_mut().count("read");
                }
                self.at.insert(place, next);
            }
        })
    }
}
