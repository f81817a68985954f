//! Mirroring: reads the source and writes the target at the same time, and looks at topics now and then.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::batches::ready;
use super::client::{Cluster, Node};
use super::echo;
use super::position::{Claim, Origin, Runs};
use super::run::{Job, Memory};
use super::source::{Piece, Reader, Want};
use super::spec::Start;
use super::target::{Work, Writer};
use super::topics::{self, Look};
use super::trouble::Trouble;

/// How often topics are looked at: the more topics the source has, the dearer a look is to it.
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY_TOPIC: Duration = Duration::from_millis(10);

/// How often settings of topics are.
const CONFIGS_EVERY: Duration = Duration::from_secs(60);

/// A position is committed again after so long: a cluster forgets those that nobody renews (`offsets.retention.minutes`,
/// a week).
const RENEW_EVERY: Duration = Duration::from_secs(1_800);

/// Before a partition is asked for again that the source refused: the pauses double.
const PAUSE_REFUSED_MIN: Duration = Duration::from_millis(200);
const PAUSE_REFUSED_MAX: Duration = Duration::from_secs(30);

/// A mirrored partition.
struct Track {
    target: Arc<str>,
    source_leader: Node,
    target_leader: Node,
    /// What is read next.
    next: i64,
    /// Number of the next record for the producer.
    sequence: i32,
    claim: Claim,
    /// What is committed, and when it was.
    committed: i64,
    committed_at: Instant,
    /// What stands beside the committed offset is to be written anew.
    is_stale: bool,
    /// Left out until then, after a pause so long, for the source refused it.
    refused: Option<(Instant, Duration)>,
}

type Key = (Arc<str>, i32);

/// A bridge that mirrors.
pub(super) struct Copying<'a> {
    job: &'a Job,
    memory: &'a Mutex<Memory>,
    source: Cluster,
    target: Cluster,
    reader: Reader,
    writer: Writer,
    tracks: BTreeMap<Key, Track>,
    look_every: Duration,
}

impl<'a> Copying<'a> {
    /// Over both sides.
    pub async fn new(
        job: &'a Job,
        memory: &'a Mutex<Memory>,
        source: Cluster,
        target: Cluster,
        mut reader: Reader,
        writer: Writer,
    ) -> Result<Copying<'a>, Trouble> {
        reader.connect().await?;
        let (tracks, look_every) = (BTreeMap::new(), LOOK_EVERY_MIN);
        Ok(Copying { job, memory, source, target, reader, writer, tracks, look_every })
    }

    /// Mirrors until something fails.
    pub async fn run(&mut self) -> Result<std::convert::Infallible, Trouble> {
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut looked, mut configured) = (Instant::now(), Instant::now());
        loop {
            if looked.elapsed() > self.look_every {
                let configs = configured.elapsed() > CONFIGS_EVERY;
                self.settle(configs).await?;
                looked = Instant::now();
                if configs {
                    configured = looked;
                }
            }
            let work = self.prepare(std::mem::take(&mut pieces)).await?;
            let wants = self.wants();
            let (fetched, written) = tokio::join!(self.reader.fetch(&wants), async {
                if work.is_empty() { Ok(Vec::new()) } else { self.writer.write(work).await }
            });
            self.note(written?);
            let fetched = fetched?;
            if !fetched.refused.is_empty() {
                self.refused(fetched.refused).await?;
                looked = looked.checked_sub(self.look_every).unwrap_or(looked);
            }
            for piece in &fetched.pieces {
                if let Some(track) = self.tracks.get_mut(&(Arc::clone(&piece.topic), piece.partition)) {
                    track.next = piece.read.next;
                    track.refused = None;
                }
                self.job.progress.end(&piece.topic, piece.partition, piece.end);
            }
            pieces = fetched.pieces;
        }
    }

    fn wants(&self) -> Vec<Want> {
        let now = Instant::now();
        let asked =
            self.tracks.iter().filter(|(_, track)| track.refused.is_none_or(|(until, _)| until <= now));
        let wants = asked.map(|((topic, partition), track)| Want {
            topic: Arc::clone(topic),
            partition: *partition,
            leader: track.source_leader,
            offset: track.next,
        });
        wants.collect()
    }

    /// What is to be written of what was read, and positions that are to be renewed.
    async fn prepare(&mut self, pieces: Vec<Piece>) -> Result<Vec<Work>, Trouble> {
        let mut work = Vec::new();
        for piece in pieces {
            let key = (Arc::clone(&piece.topic), piece.partition);
            let Some(track) = self.tracks.get_mut(&key) else { continue };
            if piece.read.batches.is_empty() && piece.read.next <= track.committed {
                continue;
            }
            let cut = self.memory.lock().cut.get(&*piece.topic).copied();
            let producer = self.writer.producer();
            let batches = ready(&piece.read.batches, piece.from, producer, track.sequence, cut);
            let batches = batches.map_err(|why| Trouble::Topic {
                topic: piece.topic.to_string(),
                why: format!("partition {} from offset {} on: {why}", piece.partition, piece.from),
                is_size: false,
            })?;
            for batch in &batches {
                track.sequence = track.sequence.wrapping_add(batch.records) & i32::MAX;
            }
            let mut one = track.work(&key, batches, piece.read.next);
            one.room = piece.room;
            work.push(one);
            // Compressed records may be opened and packed again: others have their turn between partitions.
            tokio::task::yield_now().await;
        }
        let due: Vec<Work> = self
            .tracks
            .iter()
            .filter(|(key, track)| {
                let is_due = track.is_stale || track.committed_at.elapsed() > RENEW_EVERY;
                is_due && !work.iter().any(|one| one.source == key.0 && one.partition == key.1)
            })
            .map(|(key, track)| track.work(key, Vec::new(), track.committed))
            .collect();
        work.extend(due);
        Ok(work)
    }

    /// What was written is committed.
    fn note(&mut self, written: Vec<Work>) {
        for one in written {
            let Some(track) = self.tracks.get_mut(&(Arc::clone(&one.source), one.partition)) else {
                continue;
            };
            track.committed = one.next;
            track.committed_at = Instant::now();
            track.is_stale = false;
            track.claim = one.claim;
            self.job.progress.position(&one.source, one.partition, one.next, &track.claim.runs);
            let (records, bytes) = one.written;
            self.job.progress.mirrored(records, bytes);
        }
    }

    /// Partitions of which the source gave nothing.
    async fn refused(&mut self, refused: Vec<(Arc<str>, i32, ResponseError)>) -> Result<(), Trouble> {
        for (topic, partition, error) in refused {
            let key = (Arc::clone(&topic), partition);
            let Some(track) = self.tracks.get_mut(&key) else { continue };
            let trouble = |why: String| {
                Err(Trouble::Topic {
                    topic: topic.to_string(),
                    why: format!("partition {partition}: {why}"),
                    is_size: false,
                })
            };
            match error {
                ResponseError::OffsetOutOfRange => {
                    let want = Want {
                        topic: Arc::clone(&topic),
                        partition,
                        leader: track.source_leader,
                        offset: track.next,
                    };
                    let begins = self.reader.bounds(&[want], Start::Earliest).await?;
                    match begins.get(&key) {
                        Some(begins) if *begins > track.next => {
                            tracing::warn!(
                                bridge = self.job.spec.name,
                                topic = &*topic,
                                partition,
                                offsets = begins.saturating_sub(track.next),
                                "the source deleted records before they were mirrored"
                            );
                            self.job.progress.skipped(&topic, begins.saturating_sub(track.next));
                            track.next = *begins;
                        }
                        _ => {
                            return trouble(format!(
                                "the source ends before offset {}, up to which it was mirrored: records \
                                 were lost there, or the topic was made anew",
                                track.next
                            ));
                        }
                    }
                }
                ResponseError::TopicAuthorizationFailed => {
                    return trouble("the user may not read it at the source".to_owned());
                }
                // Leaders move and topics go: the next look knows.
                _ => {
                    let before = track.refused.map_or(PAUSE_REFUSED_MIN / 2, |(_, pause)| pause);
                    let pause = (before * 2).min(PAUSE_REFUSED_MAX);
                    track.refused = Some((Instant::now() + pause, pause));
                }
            }
        }
        Ok(())
    }

    /// Looks at both sides, and takes up what is new.
    pub async fn settle(&mut self, configs: bool) -> Result<(), Trouble> {
        let spec = &self.job.spec;
        let known = self.memory.lock().known.clone();
        let mut look = topics::look(&mut self.source, &mut self.target, spec, &known).await?;
        let topics = u32::try_from(look.topics_there).unwrap_or(u32::MAX);
        let every = LOOK_EVERY_TOPIC.saturating_mul(topics);
        self.look_every = every.clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX);
        if configs {
            topics::copy_configs(&mut self.source, &mut self.target, &look.topics).await?;
        }
        look.gone.iter().for_each(|topic| self.job.progress.is_gone(topic));
        self.stand_back(&mut look);
        let is_there: HashSet<Key> = look
            .topics
            .iter()
            .flat_map(|topic| {
                let name: Arc<str> = Arc::from(topic.source.as_str());
                topic.parts.iter().map(move |part| (Arc::clone(&name), part.partition))
            })
            .collect();
        self.tracks.retain(|key, _| is_there.contains(key));
        self.report(&look);
        self.take_up(&look).await?;
        // Only now, that ours stands there, are the others' words read.
        let claims = echo::claims(&mut self.source, &self.job.id).await?;
        let mut echoes = Vec::new();
        for topic in &look.topics {
            let said = claims.get(&topic.source).map(Vec::as_slice).unwrap_or_default();
            if echo::is_echo(said, &look.target_cluster, &topic.target, self.job.since) {
                let why = "its records come from the target itself, by another bridge: they would go round \
                           for ever; delete one of the two, or give one a prefix";
                echoes.push((topic.source.clone(), why.to_owned()));
                continue;
            }
            let via = echo::origins(said);
            let own = self.tracks.iter_mut().filter(|(key, _)| *key.0 == *topic.source);
            for (_, track) in own.filter(|(_, track)| track.claim.via != via) {
                track.claim.via.clone_from(&via);
                track.is_stale = true;
            }
        }
        if !echoes.is_empty() {
            self.tracks.retain(|key, _| !echoes.iter().any(|(topic, _)| **topic == *key.0));
            look.topics.retain(|topic| !echoes.iter().any(|(name, _)| *name == topic.source));
            look.troubles.append(&mut echoes);
            self.report(&look);
        }
        let mut memory = self.memory.lock();
        for topic in &look.topics {
            let id = memory.known.entry(topic.target.clone()).or_default();
            if id.is_empty() {
                id.clone_from(&topic.target_id);
            }
        }
        Ok(())
    }

    /// Leaves out topics that stand back.
    fn stand_back(&self, look: &mut Look) {
        let mut memory = self.memory.lock();
        memory.stopped.retain(|_, (until, _)| *until > Instant::now());
        look.topics.retain(|topic| !memory.stopped.contains_key(&topic.source));
        look.troubles.extend(memory.stopped.iter().map(|(topic, (_, why))| (topic.clone(), why.clone())));
    }

    fn report(&self, look: &Look) {
        let mirrored: Vec<(String, String)> =
            look.topics.iter().map(|topic| (topic.source.clone(), topic.target.clone())).collect();
        self.job.progress.topics_are(&mirrored, &look.troubles);
        for ((topic, partition), track) in &self.tracks {
            self.job.progress.position(topic, *partition, track.committed, &track.claim.runs);
        }
    }

    /// Takes up partitions that are new to this try: where the target says that they stand, or at their start.
    async fn take_up(&mut self, look: &Look) -> Result<(), Trouble> {
        let (mut fresh, mut ask) = (Vec::new(), BTreeMap::<String, Vec<i32>>::new());
        for topic in &look.topics {
            let name: Arc<str> = Arc::from(topic.source.as_str());
            for part in &topic.parts {
                if let Some(track) = self.tracks.get_mut(&(Arc::clone(&name), part.partition)) {
                    if track.source_leader != part.source {
                        track.refused = None;
                    }
                    (track.source_leader, track.target_leader) = (part.source, part.target);
                    if track.claim.is_of(&topic.id, &topic.target_id) {
                        track.is_stale |= track.claim.learn(&topic.id, &topic.target_id);
                        continue;
                    }
                    // Another topic of the same name: it is begun anew.
                    self.tracks.remove(&(Arc::clone(&name), part.partition));
                }
                ask.entry(topic.target.clone()).or_default().push(part.partition);
                fresh.push((Arc::clone(&name), topic, *part));
            }
        }
        if fresh.is_empty() {
            self.memory.lock().is_settled = true;
            return Ok(());
        }
        let positions = self.writer.positions(&ask).await?;
        // What is there when a bridge begins may be left out; of what is made later nothing is.
        let is_first = !self.memory.lock().is_settled && positions.is_empty();
        let start = if is_first { self.job.spec.start } else { Start::Earliest };
        let mut begin: Vec<Want> = Vec::new();
        for (name, topic, part) in &fresh {
            let position = positions.get(&(topic.target.clone(), part.partition));
            let claim = match position {
                Some((offset, beside)) => {
                    let claim = Claim::decode(beside).ok_or_else(|| {
                        Trouble::Other(format!(
                            "the group {} at the target holds offsets of {} that no bridge wrote: delete it",
                            self.job.id, topic.target
                        ))
                    })?;
                    let is_same = claim.origin.cluster == look.source_cluster
                        && claim.is_of(&topic.id, &topic.target_id);
                    Some((*offset, claim)).filter(|_| is_same)
                }
                None => None,
            };
            let is_new = claim.is_none();
            let (next, mut claim) = claim.unwrap_or_else(|| (0, self.claim(look, topic)));
            let is_stale = claim.learn(&topic.id, &topic.target_id);
            let track = Track {
                target: Arc::from(topic.target.as_str()),
                source_leader: part.source,
                target_leader: part.target,
                next,
                sequence: 0,
                claim,
                committed: next,
                committed_at: Instant::now(),
                is_stale,
                refused: None,
            };
            if is_new {
                let want = Want {
                    topic: Arc::clone(name),
                    partition: part.partition,
                    leader: part.source,
                    offset: 0,
                };
                begin.push(want);
            }
            self.tracks.insert((Arc::clone(name), part.partition), track);
        }
        let mut claimed = Vec::new();
        if !begin.is_empty() {
            for (key, offset) in self.reader.bounds(&begin, start).await? {
                if let Some(track) = self.tracks.get_mut(&key) {
                    (track.next, track.committed) = (offset, offset);
                    claimed.push(track.work(&key, Vec::new(), offset));
                }
            }
        }
        if !claimed.is_empty() {
            let written = self.writer.write(claimed).await?;
            self.note(written);
        }
        self.memory.lock().is_settled = true;
        self.report(look);
        Ok(())
    }

    fn claim(&self, look: &Look, topic: &topics::Topic) -> Claim {
        let origin = Origin {
            cluster: look.source_cluster.clone(),
            topic: topic.source.clone(),
            since: self.job.since,
        };
        let (topic_id, target_id) = (topic.id.clone(), topic.target_id.clone());
        Claim { origin, topic_id, target_id, via: Vec::new(), runs: Runs::default() }
    }
}

impl Track {
    fn work(&self, key: &Key, batches: Vec<super::batches::Ready>, next: i64) -> Work {
        Work {
            source: Arc::clone(&key.0),
            target: Arc::clone(&self.target),
            partition: key.1,
            leader: self.target_leader,
            batches,
            next,
            claim: self.claim.clone(),
            room: Arc::default(),
            written: (0, 0),
        }
    }
}
