//! The identifiers of one batch: their codes, and which record has which.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use candor_keyring::{Identity, Keyring};
use candor_model::{ProjectId, Subject, SubjectKind};
use candor_scrub::{Action, Counts, Kind, Pseudonyms, Scrubber};

use super::names::{Class, Wants, classify, may_identify, may_tell};
use crate::collect::{address, squash};
use crate::policy::{AddressRule, AgentRule, Collect, Compiled, IdentityRules, LocationRule};

/// Identifiers kept of one record. A record of more is a list of people, not a record of one; the rest leaves the
/// record without a code.
const IDENTIFIERS_MAX: usize = 64;

/// Names whose class is remembered within a batch.
const NAMES_MAX: usize = 4096;

/// What an identifier becomes.
pub(super) enum Replacement {
    /// Its code, or what stands for one that is not kept.
    Code(String),
    /// A placeholder: a rule struck the value, or there were too many.
    Text(String),
}

impl Replacement {
    pub(super) fn into_text(self) -> String {
        match self {
            Replacement::Code(text) | Replacement::Text(text) => text,
        }
    }
}

/// Makes codes for one batch and remembers them.
pub(super) struct Coder<'a> {
    keyring: &'a Keyring,
    scrubber: &'a Scrubber,
    collect: &'a Collect,
    identity: &'a IdentityRules,
    /// Names of the policy's own, without case and marks.
    own_names: Vec<Vec<String>>,
    wants: Wants,
    project: ProjectId,
    site: Option<&'a str>,
    /// Where the request came from: whom `{{auto}}` means.
    ip: Option<IpAddr>,
    codes: HashMap<(SubjectKind, String), Arc<str>>,
    classes: HashMap<String, Class>,
}

impl<'a> Coder<'a> {
    pub(super) fn new(
        keyring: &'a Keyring,
        policy: &'a Compiled,
        project: ProjectId,
        site: Option<&'a str>,
        ip: Option<IpAddr>,
    ) -> Coder<'a> {
        let Compiled { policy, scrubber } = policy;
        let (collect, identity) = (&policy.collect, &policy.identity);
        Coder {
            keyring,
            scrubber,
            collect,
            identity,
            own_names: identity.names.iter().map(|name| name.rsplit('.').map(squash).collect()).collect(),
            wants: Wants {
                agents: collect.agent != AgentRule::Keep,
                places: collect.location != LocationRule::Keep,
            },
            project,
            site,
            ip,
            codes: HashMap::new(),
            classes: HashMap::new(),
        }
    }

    /// The rules of the batch's policy.
    pub(super) fn scrubber(&self) -> &'a Scrubber {
        self.scrubber
    }

    /// What the batch's policy lets be collected.
    pub(super) fn collect(&self) -> &'a Collect {
        self.collect
    }

    /// False where a name says nothing, alone or with what is above it: no path is put together for those.
    pub(super) fn may_say(&self, name: &str) -> bool {
        may_identify(name) || may_tell(name, self.wants) || !self.own_names.is_empty()
    }

    /// What a name says; the names of a batch repeat, so the answer is remembered.
    pub(super) fn class(&mut self, path: &str) -> Class {
        if let Some(class) = self.classes.get(path) {
            return *class;
        }
        let class = match self.is_own_name(path) {
            true => Class::Identifier(SubjectKind::User),
            false => classify(path, self.wants),
        };
        if self.classes.len() < NAMES_MAX {
            self.classes.insert(path.to_owned(), class);
        }
        class
    }

    /// True where a path ends in a name of the policy's own.
    fn is_own_name(&self, path: &str) -> bool {
        self.own_names.iter().any(|name| {
            let mut parts = path.rsplit('.').map(squash);
            name.iter().all(|part| parts.next().as_ref() == Some(part))
        })
    }

    /// What takes the place of an address; none where it leaves.
    pub(super) fn address(&self, text: Option<&str>, found: &mut Found) -> Option<String> {
        found.removed.addresses += 1;
        let sent = || text.map(str::to_owned).or_else(|| self.ip.map(|ip| ip.to_string()));
        // What says "the address that the request came from" says nothing once that is taken out.
        let placeholder = text.map(|_| super::ADDRESS_PLACEHOLDER.to_owned());
        match self.collect.address {
            AddressRule::Generalise { v4, v6 } if !found.is_anonymous() => {
                sent().and_then(|sent| address::generalised(&sent, v4, v6)).or(placeholder)
            }
            AddressRule::Keep if !found.is_anonymous() => {
                if let Some(sent) = sent() {
                    found.keep_address(self.address_identity(sent));
                }
                placeholder
            }
            _ => placeholder,
        }
    }

    /// An address under a reference of its own: the vault knows it by that, and no row has it.
    fn address_identity(&self, value: String) -> Identity {
        let subject = Subject { kind: SubjectKind::Device, value: format!("ip {value}") };
        let code = self.keyring.code(self.project, self.site, &subject);
        let reference = code.split_once(':').map_or("", |(_, reference)| reference);
        let code = format!("ip:{reference}");
        Identity { code, subject: Subject { value, ..subject } }
    }

    /// Takes an identifier of a record: it is remembered in `found`, and what takes its place is given. A value
    /// that a rule strikes (a card number as user id) makes no code: the vault would hold what nobody may. What else
    /// stands in it says who somebody is all the same, and makes one with the placeholder.
    pub(super) fn take(
        &mut self,
        kind: SubjectKind,
        value: &str,
        counts: &mut Counts,
        found: &mut Found,
    ) -> Replacement {
        let value = unquote(value);
        let mut struck = Counts::new();
        // What says who somebody is becomes a code all the same.
        let clean = self.scrubber.scrub_str(value, &mut struck);
        let clean = clean.filter(|_| !struck.by_kind().all(|(kind, _)| is_personal(kind)));
        if let Some(clean) = &clean {
            counts.merge(&struck);
            if !self.says_more(clean) {
                return Replacement::Text(clean.clone());
            }
        }
        let value = clean.as_deref().unwrap_or(value);
        if found.is_anonymous() || !self.identity.kinds.contains(&kind) {
            return Replacement::Code(found.let_go(kind, value));
        }
        let code = self.code(kind, value);
        if !found.add(Identity { code: code.to_string(), subject: Subject { kind, value: value.to_owned() } })
        {
            return Replacement::Text(placeholder(kind));
        }
        Replacement::Code(code.to_string())
    }

    /// True where more than what stands in for something is left of a text.
    fn says_more(&self, clean: &str) -> bool {
        let own = self.scrubber.rules().rules.iter().filter_map(|rule| match &rule.action {
            Action::Replace(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        });
        let stand_ins = Kind::ALL.iter().map(|kind| kind.placeholder()).chain(own);
        let rest = stand_ins.fold(clean.to_owned(), |rest, one| rest.replace(one, ""));
        rest.chars().any(char::is_alphanumeric)
    }

    fn code(&mut self, kind: SubjectKind, value: &str) -> Arc<str> {
        let name = (kind, value.to_owned());
        if let Some(code) = self.codes.get(&name) {
            return Arc::clone(code);
        }
        let subject = Subject { kind, value: value.to_owned() };
        let code: Arc<str> = self.keyring.code(self.project, self.site, &subject).into();
        self.codes.insert(name, Arc::clone(&code));
        code
    }
}

/// True for what tells of a person and is no secret.
fn is_personal(kind: Kind) -> bool {
    matches!(kind, Kind::Email | Kind::Phone | Kind::Ip | Kind::Mac | Kind::Imei | Kind::UserPath)
}

/// Gives codes for what rules pseudonymise: of e-mail addresses, as those are what there are codes of. Whoever has one is
/// mentioned in the record, which is not about them for that.
pub(crate) struct Codes<'f, 'a> {
    pub(super) coder: &'f mut Coder<'a>,
    pub(super) found: &'f mut Found,
}

impl Pseudonyms for Codes<'_, '_> {
    fn code(&mut self, kind: Kind, text: &str) -> Option<String> {
        let is_coded = kind == Kind::Email
            && !self.found.is_anonymous()
            && self.coder.identity.kinds.contains(&SubjectKind::Email);
        if !is_coded {
            return None;
        }
        let code = self.coder.code(SubjectKind::Email, text);
        let subject = Subject { kind: SubjectKind::Email, value: text.to_owned() };
        self.found.mention(Identity { code: code.to_string(), subject }).then(|| code.to_string())
    }
}

/// What stands where an identifier was that has no code.
pub(super) fn placeholder(kind: SubjectKind) -> String {
    format!("[{}]", kind.name())
}

/// Text as it was before a language quoted it: frame variables of Python come as `'alice'`.
fn unquote(value: &str) -> &str {
    let value = value.trim();
    ['\'', '"']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .filter(|inner| !inner.is_empty())
        .unwrap_or(value)
}

/// The identifiers of one record.
#[derive(Debug, Default)]
pub(crate) struct Found {
    identities: Vec<Identity>,
    /// Identifiers that left without a code; a placeholder stands in its place.
    gone: Vec<Identity>,
    /// Addresses that go to the vault.
    addresses: Vec<Identity>,
    /// It is kept without identifiers.
    anonymous: bool,
    mentions: Vec<String>,
    /// Those of the mentions whom only this record names.
    mentioned: Vec<Identity>,
    /// True where a code took the place of a repeated identifier.
    repeated: bool,
    /// Identifiers that left the record, by kind; the last is addresses.
    pub(crate) removed: Removed,
}

/// How many values left a record.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Removed {
    pub(crate) identifiers: u64,
    pub(crate) addresses: u64,
    pub(crate) traits: u64,
    /// User agents and places made coarse or taken out.
    pub(crate) coarse: u64,
}

impl Removed {
    pub(crate) fn add(&mut self, other: Removed) {
        self.identifiers += other.identifiers;
        self.addresses += other.addresses;
        self.traits += other.traits;
        self.coarse += other.coarse;
    }

    pub(crate) fn total(self) -> u64 {
        self.identifiers + self.addresses + self.traits + self.coarse
    }
}

impl Found {
    /// Of a record that is kept with identifiers, as codes, or without.
    pub(crate) fn new(identifies: bool) -> Found {
        Found { anonymous: !identifies, ..Found::default() }
    }

    /// True for a record that is kept without identifiers.
    pub(super) fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Lets go of an identifier, and gives what stands in its place. It is looked for in texts all the same.
    fn let_go(&mut self, kind: SubjectKind, value: &str) -> String {
        self.removed.identifiers += 1;
        let code = placeholder(kind);
        if self.gone.len() < IDENTIFIERS_MAX {
            let subject = Subject { kind, value: value.to_owned() };
            self.gone.push(Identity { code: code.clone(), subject });
        }
        code
    }

    /// Identifiers that left without a code.
    pub(super) fn gone(&self) -> &[Identity] {
        &self.gone
    }

    fn keep_address(&mut self, address: Identity) {
        let is_known = self.addresses.iter().any(|known| known.code == address.code);
        if !is_known && self.addresses.len() < IDENTIFIERS_MAX {
            self.addresses.push(address);
        }
    }

    /// What the vault is to hold: identifiers, the one that names the row first, and addresses where somebody is known
    /// whose they are.
    pub(crate) fn for_vault(&self) -> Cow<'_, [Identity]> {
        match self.addresses.is_empty() || self.identities.is_empty() {
            true => Cow::Borrowed(&self.identities),
            false => Cow::Owned(self.identities.iter().chain(&self.addresses).cloned().collect()),
        }
    }

    /// False where the record has too many already.
    pub(super) fn add(&mut self, identity: Identity) -> bool {
        self.removed.identifiers += 1;
        if self.identities.iter().any(|known| known.code == identity.code) {
            return true;
        }
        if self.identities.len() >= IDENTIFIERS_MAX {
            return false;
        }
        self.identities.push(identity);
        true
    }

    /// A code took the place of an identifier in the record's text; it may be of somebody that another record of the
    /// batch named.
    pub(super) fn repeat(&mut self, code: &str, is_code: bool) {
        self.repeated = true;
        if !is_code {
            return;
        }
        let known = self.identities.iter().any(|identity| identity.code == code)
            || self.mentions.iter().any(|mention| mention == code);
        if !known && self.mentions.len() < IDENTIFIERS_MAX {
            self.mentions.push(code.to_owned());
        }
    }

    /// Somebody is mentioned; false where there are too many already.
    fn mention(&mut self, identity: Identity) -> bool {
        self.removed.identifiers += 1;
        let is_known = |known: &Identity| known.code == identity.code;
        if self.identities.iter().chain(&self.mentioned).any(is_known) {
            return true;
        }
        if self.mentions.len() >= IDENTIFIERS_MAX {
            return false;
        }
        if !self.mentions.contains(&identity.code) {
            self.mentions.push(identity.code.clone());
        }
        self.mentioned.push(identity);
        true
    }

    /// Whom rules found in the record's texts.
    pub(crate) fn mentioned(&self) -> &[Identity] {
        &self.mentioned
    }

    /// True where a code took the place of a repeated identifier.
    pub(crate) fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// True where the record has this code itself.
    pub(super) fn has(&self, code: &str) -> bool {
        self.identities.iter().chain(&self.gone).any(|identity| identity.code == code)
    }

    /// Orders the identifiers as they name the row: user id, e-mail, name, device, session, replay.
    pub(crate) fn order(&mut self) {
        self.identities.sort_by_key(|identity| identity.subject.kind);
    }

    /// True where nobody was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// The identifiers, the one that names the row first.
    pub(crate) fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// The code that names the row.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.identities.first().map(|identity| identity.code.as_str())
    }

    /// Every code in the row.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &str> {
        let own = self.identities.iter().map(|identity| identity.code.as_str());
        own.chain(self.mentions.iter().map(String::as_str))
    }
}
