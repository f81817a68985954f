//! Whom an entry concerned, and the reason that was given: beside the leaf, sealed, and erasable.

use std::collections::BTreeMap;

use candor_keyring::Keyring;
use candor_model::{Random, SubjectKind};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use crate::leaf::{REASON_BYTES_MAX, cut};
use crate::scan::{Code, Subjects};
use crate::tree::commitment;

/// Bytes of salt: who knows the commitment cannot find a short reason by trying.
const SALT_BYTES: usize = 32;

/// What a leaf commits to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// The reason that was given.
    pub reason: Option<String>,
    /// The codes of whom it concerned, sorted.
    pub subjects: Vec<Code>,
}

/// The detail as it is stored: codes of a kind in a row, 16 bytes each.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reason: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    subjects: BTreeMap<String, String>,
}

/// A sealed detail and the commitment that the leaf holds.
pub(crate) struct Sealed {
    pub(crate) commitment: String,
    pub(crate) sealed: Vec<u8>,
}

fn owner(index: u64) -> [Vec<u8>; 2] {
    [b"ledger".to_vec(), index.to_be_bytes().to_vec()]
}

fn commit(salted: &[u8]) -> Option<String> {
    let (salt, content) = salted.split_at_checked(SALT_BYTES)?;
    Some(format!("sha256:{}", HEXLOWER.encode(&commitment(salt, content))))
}

/// Seals the detail of an entry; none where there is nothing to say.
pub(crate) fn seal(
    keyring: &Keyring,
    random: &dyn Random,
    index: u64,
    subjects: &Subjects,
    reason: Option<&str>,
) -> Option<Sealed> {
    if subjects.is_empty() && reason.is_none() {
        return None;
    }
    let mut by_kind: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for code in subjects.codes() {
        let kind = code.kind().map_or("", SubjectKind::name);
        by_kind.entry(kind.to_owned()).or_default().extend_from_slice(code.id());
    }
    let stored = Stored {
        reason: reason.map(|text| cut(text, REASON_BYTES_MAX)),
        subjects: by_kind.into_iter().map(|(kind, ids)| (kind, BASE64.encode(&ids))).collect(),
    };
    let mut salted = vec![0; SALT_BYTES];
    random.fill(&mut salted);
    salted.extend(serde_json::to_vec(&stored).unwrap_or_default());
    let commitment = commit(&salted)?;
    Some(Sealed { commitment, sealed: keyring.seal_secret(&owner(index), &salted) })
}

/// Opens a detail; none where it was changed, or is not what the leaf commits to.
pub(crate) fn open(keyring: &Keyring, index: u64, sealed: &[u8], commitment: &str) -> Option<Detail> {
    let salted = keyring.open_secret(&owner(index), sealed)?;
    if commit(&salted)? != commitment {
        return None;
    }
    let stored: Stored = serde_json::from_slice(salted.get(SALT_BYTES..)?).ok()?;
    let mut subjects = Vec::new();
    for (kind, ids) in stored.subjects {
        let kind = SubjectKind::ALL.into_iter().find(|known| known.name() == kind)?;
        let ids = BASE64.decode(ids.as_bytes()).ok()?;
        for id in ids.chunks_exact(16) {
            subjects.push(Code::new(kind, id.try_into().ok()?)?);
        }
    }
    subjects.sort_unstable();
    Some(Detail { reason: stored.reason, subjects })
}
