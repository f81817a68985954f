//! A simulated file: what the process sees, what is durable, and the writes between the two.

use super::Dice;

/// What the device writes or does not: never half of one.
const SECTOR_BYTES: usize = 512;

/// How much of what was not synced a power cut spares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    /// Nothing.
    Nothing,
    /// All.
    All,
    /// Sector by sector, as the dice fall.
    Some,
}

enum Pending {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Default)]
pub struct Inode {
    /// What the process sees.
    pub data: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

impl Inode {
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.data, at, bytes);
        self.pending.push(Pending::Write { at, bytes: bytes.to_vec() });
    }

    pub fn set_length(&mut self, length: usize) {
        self.data.resize(length, 0);
        self.pending.push(Pending::Length(length));
    }

    pub fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Write { at, bytes } => put(&mut self.durable, at, &bytes),
                Pending::Length(length) => self.durable.resize(length, 0),
            }
        }
    }

    /// A sync that failed: part of it is written, and the rest never will be, as the kernel takes the pages for
    /// clean. The process still sees all of it.
    pub fn sync_in_part(&mut self, dice: &mut Dice) {
        self.settle(Spared::Some, dice);
    }

    /// The power is cut.
    pub fn crash(&mut self, spared: Spared, dice: &mut Dice) {
        self.settle(spared, dice);
        self.data = self.durable.clone();
    }

    fn settle(&mut self, spared: Spared, dice: &mut Dice) {
        match spared {
            Spared::All => self.sync(),
            Spared::Nothing => self.pending.clear(),
            Spared::Some => {
                for pending in std::mem::take(&mut self.pending) {
                    match pending {
                        Pending::Length(length) if dice.one_in(2) => self.durable.resize(length, 0),
                        Pending::Length(_) => {}
                        Pending::Write { at, bytes } => self.tear(at, &bytes, dice),
                    }
                }
            }
        }
    }

    /// Some sectors of a write are durable, some keep what they held, and some that it covered whole hold garbage.
    fn tear(&mut self, at: usize, bytes: &[u8], dice: &mut Dice) {
        // A write is often lost or kept as a whole, and often cut at one place; each case must come up.
        let (mode, cut) = (dice.below(4), dice.below(bytes.len() as u64 + 1) as usize);
        let mut done = 0;
        while done < bytes.len() {
            let start = at + done;
            let end = ((start / SECTOR_BYTES + 1) * SECTOR_BYTES).min(at + bytes.len());
            let part = bytes.get(done..end - at).unwrap_or_default();
            let keep = match mode {
                0 => false,
                1 => done < cut,
                2 => done >= cut,
                _ => dice.one_in(2),
            };
            if keep {
                put(&mut self.durable, start, part);
            } else if part.len() == SECTOR_BYTES && dice.one_in(16) {
                let garbage: Vec<u8> = (0..SECTOR_BYTES).map(|_| dice.next() as u8).collect();
                put(&mut self.durable, start, &garbage);
            }
            done = end - at;
        }
    }
}

fn put(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    if let Some(place) = to.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}
