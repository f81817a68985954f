//! The keyring: derived keys, codes of persons, and the sealing of what identifies them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use candor_model::{ProjectId, Random, Subject, SubjectKind};
use candor_store::files::KeyWrap;
use parking_lot::Mutex;
use ring::{hkdf, hmac};

use crate::known::{Recent, digest};
use crate::sealed::Sealer;
use crate::{KeyringError, RootKey};

/// Vault entries known to be stored. 200,000 take about 10 MiB; beyond, entries are emitted again, which is
/// harmless.
const KNOWN_MAX: usize = 200_000;

/// Subjects' keys kept at hand.
const SUBJECT_KEYS_MAX: usize = 20_000;

/// Derived keys of projects and sites kept at hand; beyond it they are derived again.
const PROJECT_KEYS_MAX: usize = 10_000;

/// Bytes of a code: 128 bits, 26 base32 characters.
const CODE_BYTES: usize = 16;

/// A value that left a row, sealed under its subject's key; travels in the journal record and lands in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultEntry {
    /// The code that stays in the row: `email:…`.
    pub code: String,
    /// The code of the subject whose key seals it.
    pub subject: String,
    /// Which of the subject's keys.
    pub key_id: [u8; 8],
    /// That key, wrapped under the project's.
    pub wrapped_key: Vec<u8>,
    /// Nonce and sealed value.
    pub sealed: Vec<u8>,
}

/// An identifier and the code that takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `kind:` + 26 base32 characters.
    pub code: String,
    /// The identifier in the clear.
    pub subject: Subject,
}

/// The keyring of an instance. Cheap to share.
pub struct Keyring {
    pub(crate) derive: hkdf::Prk,
    files: Sealer,
    pub(crate) secrets: Sealer,
    pub(crate) random: Arc<dyn Random>,
    projects: Mutex<HashMap<Scope, Arc<ProjectKeys>>>,
    subject_keys: Mutex<Recent<Arc<SubjectKey>>>,
    known: Mutex<Recent<()>>,
}

/// A project, and the site within it that codes are scoped to.
type Scope = (ProjectId, Option<String>);

struct ProjectKeys {
    code: hmac::Key,
    wrap: Sealer,
}

struct SubjectKey {
    id: [u8; 8],
    wrapped: Vec<u8>,
    sealer: Sealer,
}

impl Keyring {
    /// The keyring of a root key.
    pub fn new(root: &RootKey, random: Arc<dyn Random>) -> Keyring {
        let derive = hkdf::Salt::new(hkdf::HKDF_SHA256, b"candor keyring 1").extract(&root.0);
        let files = Sealer::new(&expand(&derive, &[b"files"]));
        let secrets = Sealer::new(&expand(&derive, &[b"secrets"]));
        Keyring {
            derive,
            files,
            secrets,
            random,
            projects: Mutex::default(),
            subject_keys: Mutex::new(Recent::new(SUBJECT_KEYS_MAX)),
            known: Mutex::new(Recent::new(KNOWN_MAX)),
        }
    }

    /// Tells root keys apart without telling anything of them: 16 hex digits.
    pub fn fingerprint(&self) -> String {
        let bytes = expand(&self.derive, &[b"fingerprint"]);
        data_encoding::HEXLOWER.encode(bytes.first_chunk::<8>().unwrap_or(&[0; 8]))
    }

    /// Refuses a root key other than the one whose fingerprint is on record.
    pub fn check_fingerprint(&self, expected: &str) -> Result<(), KeyringError> {
        let given = self.fingerprint();
        if given == expected {
            Ok(())
        } else {
            Err(KeyringError::AnotherRootKey { given, expected: expected.to_owned() })
        }
    }

    /// The code of an identifier in a project and site: `kind:` + 26 base32 characters (HMAC-SHA-256 cut to 128
    /// bits under the project's and site's key). White space around an identifier and the case of an e-mail
    /// address make no other person.
    pub fn code(&self, project: ProjectId, site: Option<&str>, subject: &Subject) -> String {
        let keys = self.project_keys(project, site);
        let kind = subject.kind.name();
        let mut context = hmac::Context::with_key(&keys.code);
        context.update(kind.as_bytes());
        context.update(b":");
        match (subject.kind, subject.value.trim()) {
            (SubjectKind::Email, address) => context.update(address.to_lowercase().as_bytes()),
            (_, value) => context.update(value.as_bytes()),
        }
        let tag = context.sign();
        let bytes = tag.as_ref().first_chunk::<CODE_BYTES>().unwrap_or(&[0; CODE_BYTES]);
        let mut code = String::with_capacity(kind.len() + 27);
        code.push_str(kind);
        code.push(':');
        code.push_str(&data_encoding::BASE32_NOPAD.encode(bytes).to_ascii_lowercase());
        code
    }

    /// Begins the sealing of what identifies in one batch of a project.
    pub fn sealing(&self, project: ProjectId) -> Sealing<'_> {
        Sealing { keyring: self, project, entries: Vec::new(), seen: HashSet::new() }
    }

    /// These entries are on stable storage: they need not be emitted again.
    pub fn committed(&self, project: ProjectId, entries: &[VaultEntry]) {
        let mut known = self.known.lock();
        for entry in entries {
            known.put(entry_digest(project, &entry.code, &entry.subject), ());
        }
    }

    /// A subject's key is destroyed: what it sealed is not known any more, and its next record makes a new key.
    pub fn forget_subject(&self, project: ProjectId, subject: &str) {
        self.subject_keys.lock().remove(subject_digest(project, subject));
        // Which entries were under the key is not kept; emitting the others once more is harmless.
        self.known.lock().clear();
    }

    fn project_keys(&self, project: ProjectId, site: Option<&str>) -> Arc<ProjectKeys> {
        let mut projects = self.projects.lock();
        let name = (project, site.map(str::to_owned));
        if let Some(keys) = projects.get(&name) {
            return Arc::clone(keys);
        }
        if projects.len() >= PROJECT_KEYS_MAX {
            projects.clear();
        }
        let number = project.0.to_le_bytes();
        let site_info: &[u8] = site.unwrap_or("").as_bytes();
        let code = expand(&self.derive, &[b"code", &number, site_info]);
        let keys = Arc::new(ProjectKeys {
            code: hmac::Key::new(hmac::HMAC_SHA256, &code),
            wrap: Sealer::new(&expand(&self.derive, &[b"project", &number])),
        });
        projects.insert(name, Arc::clone(&keys));
        keys
    }

    fn subject_key(&self, project: ProjectId, subject: &str) -> Arc<SubjectKey> {
        let name = subject_digest(project, subject);
        let mut keys = self.subject_keys.lock();
        if let Some(key) = keys.get(name) {
            return key;
        }
        let mut id = [0; 8];
        self.random.fill(&mut id);
        let mut secret = [0; 32];
        self.random.fill(&mut secret);
        let wrapped = self.project_keys(project, None).wrap.seal(
            self.random.as_ref(),
            &[&project.0.to_le_bytes(), subject.as_bytes(), &id],
            &secret,
        );
        let key = Arc::new(SubjectKey { id, wrapped, sealer: Sealer::new(&secret) });
        keys.put(name, Arc::clone(&key));
        key
    }

    /// Opens a vault entry of a project; none where its key is destroyed or it was changed. What it gives
    /// identifies a person: callers hold the right to reveal.
    pub fn open_entry(&self, project: ProjectId, entry: &VaultEntry) -> Option<String> {
        let number = project.0.to_le_bytes();
        let context: [&[u8]; 3] = [&number, entry.subject.as_bytes(), &entry.key_id];
        let secret = self.project_keys(project, None).wrap.open(&context, &entry.wrapped_key)?;
        let sealer = Sealer::new(&secret.try_into().ok()?);
        let value =
            sealer.open(&[&number, entry.code.as_bytes(), entry.subject.as_bytes()], &entry.sealed)?;
        String::from_utf8(value).ok()
    }
}

/// The vault entries of one batch in the making.
pub struct Sealing<'a> {
    keyring: &'a Keyring,
    project: ProjectId,
    entries: Vec<VaultEntry>,
    seen: HashSet<u128>,
}

impl Sealing<'_> {
    /// Seals the identifiers of one record under the key of the subject named first; entries that the batch has
    /// already or that are known to be in the vault are left out.
    pub fn add(&mut self, identities: &[Identity]) {
        let Some(owner) = identities.first() else { return };
        for identity in identities {
            let name = entry_digest(self.project, &identity.code, &owner.code);
            if !self.seen.insert(name) || self.keyring.known.lock().get(name).is_some() {
                continue;
            }
            let key = self.keyring.subject_key(self.project, &owner.code);
            let number = self.project.0.to_le_bytes();
            let context: [&[u8]; 3] = [&number, identity.code.as_bytes(), owner.code.as_bytes()];
            let value = identity.subject.value.as_bytes();
            self.entries.push(VaultEntry {
                code: identity.code.clone(),
                subject: owner.code.clone(),
                key_id: key.id,
                wrapped_key: key.wrapped.clone(),
                sealed: key.sealer.seal(self.keyring.random.as_ref(), &context, value),
            });
        }
    }

    /// The entries that travel with the batch.
    pub fn finish(self) -> Vec<VaultEntry> {
        self.entries
    }
}

impl KeyWrap for Keyring {
    fn wrap(&self, key: &[u8; 32]) -> Vec<u8> {
        self.files.seal(self.random.as_ref(), &[b"file"], key)
    }

    fn unwrap(&self, wrapped: &[u8]) -> Option<[u8; 32]> {
        self.files.open(&[b"file"], wrapped)?.try_into().ok()
    }
}

fn entry_digest(project: ProjectId, code: &str, subject: &str) -> u128 {
    digest(&[&project.0.to_le_bytes(), code.as_bytes(), subject.as_bytes()])
}

fn subject_digest(project: ProjectId, subject: &str) -> u128 {
    digest(&[&project.0.to_le_bytes(), subject.as_bytes()])
}

/// 32 bytes for a purpose. Parts go in with their lengths, so that no two purposes read the same.
pub(crate) fn expand(derive: &hkdf::Prk, purpose: &[&[u8]]) -> [u8; 32] {
    struct Length;
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            32
        }
    }
    let lengths: Vec<[u8; 8]> = purpose.iter().map(|part| (part.len() as u64).to_le_bytes()).collect();
    let info: Vec<&[u8]> =
        lengths.iter().zip(purpose).flat_map(|(length, part)| [&length[..], part]).collect();
    let mut out = [0; 32];
    derive
        .expand(&info, Length)
        .and_then(|okm| okm.fill(&mut out))
        .expect("HKDF-SHA-256 gives up to 8160 bytes");
    out
}
