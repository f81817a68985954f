//! Applying a file, and what becomes of it with time.

use std::fmt;
use std::sync::Arc;

use candor_meta::params;
use candor_model::Timestamp;
use candor_policy::{Change, ChangeClass, Fault, Finding, Policy, Resolved, Severity};

use crate::policies::{Held, NewVersion, NoticesError, Policies};
use crate::version::{Owner, Version};

/// Why a file was refused. Nothing has changed.
#[derive(Debug)]
pub enum Refused {
    /// It does not parse.
    Faults(Vec<Fault>),
    /// It parses, and may not hold.
    Findings(Vec<Finding>),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = match self {
            Refused::Faults(faults) => faults.iter().map(ToString::to_string).collect(),
            Refused::Findings(findings) => findings.iter().map(ToString::to_string).collect(),
        };
        f.write_str(&lines.join("\n"))
    }
}

/// What applying a file did.
#[derive(Debug)]
pub struct Applied {
    /// What differs from what held, by key.
    pub changes: Vec<Change>,
    /// What the lint says of the file, short of refusing it.
    pub warnings: Vec<Finding>,
    /// What holds now.
    pub in_force: Version,
    /// What was announced and waits for its day.
    pub announced: Option<Version>,
}

/// Reads a file and asks the lint.
pub(crate) fn admissible(name: &str, source: &str) -> Result<Resolved, Refused> {
    let resolved = candor_policy::read(name, source).map_err(Refused::Faults)?;
    let errors: Vec<Finding> = candor_policy::lint(&resolved)
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    if errors.is_empty() { Ok(resolved) } else { Err(Refused::Findings(errors)) }
}

impl Policies {
    /// Makes a file the policy of an owner. What tightens holds when this returns; if anything loosens, the whole file
    /// is announced and holds once the notice periods of what holds now are over: of somebody else who gets data
    /// `governance.changes.subprocessor_days`, of everything else `prior_days`. Announcing replaces what was announced
    /// before. A file that says what holds already withdraws what was announced.
    pub async fn apply(
        &self,
        owner: Owner,
        name: &str,
        source: &str,
        by: &str,
    ) -> Result<Result<Applied, Refused>, NoticesError> {
        let _changing = self.inner.changing.lock().await;
        let resolved = match admissible(name, source) {
            Ok(resolved) => resolved,
            Err(refused) => return Ok(Err(refused)),
        };
        let warnings = candor_policy::lint(&resolved);
        let before = self.own(owner).or_else(|| self.own(Owner::Instance));
        let changes = before
            .as_ref()
            .map(|held| candor_policy::diff(&held.resolved.policy, &resolved.policy))
            .unwrap_or_default();
        let now = self.inner.clock.now();
        let waits = changes.iter().any(|change| change.class.waits());
        let until = before.as_ref().map_or(now, |held| notice_ends(now, &held.resolved.policy, &changes));
        let (in_force, announced) = if waits {
            self.announce(owner, before.as_deref(), (source, &resolved), &changes, by, (now, until)).await?
        } else {
            (Some(self.replace(owner, (source, resolved, false), by, now).await?), None)
        };
        let in_force = in_force.or_else(|| before.map(|held| held.version.clone()));
        let Some(in_force) = in_force else {
            return Err(NoticesError::Stored { epoch: 0, why: "none holds".into() });
        };
        Ok(Ok(Applied { changes, warnings, in_force, announced }))
    }

    /// Announces a file; what of it is stricter holds at once.
    async fn announce(
        &self,
        owner: Owner,
        before: Option<&Held>,
        (source, resolved): (&str, &Resolved),
        changes: &[Change],
        by: &str,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<(Option<Version>, Option<Version>), NoticesError> {
        let tightens = changes.iter().any(|change| change.class == ChangeClass::Tightening);
        let interim = match before {
            Some(held) if tightens => {
                let stricter = candor_policy::stricter(&held.resolved.policy, &resolved.policy, changes);
                let text = stricter.to_toml();
                // What is stricter in one key may be refused beside what stays in another; then all of it waits.
                admissible("interim", &text).ok().map(|resolved| (text, resolved))
            }
            _ => None,
        };
        let in_force = match interim {
            Some((text, resolved)) => Some(self.replace(owner, (&text, resolved, true), by, now).await?),
            None => None,
        };
        let mut tx = self.inner.database.begin().await?;
        tx.execute(
            "UPDATE policy_version SET ended_at = ? WHERE owner = ? AND activated_at IS NULL AND ended_at IS NULL",
            params![now.0, owner.number()],
        )
        .await?;
        let hash = resolved.policy.hash();
        let new = NewVersion {
            owner,
            source,
            hash: &hash,
            is_interim: false,
            by,
            effective_at: until,
            activated_at: None,
        };
        let announced = new.insert(&mut tx, now).await?;
        tx.commit().await?;
        Ok((in_force, Some(announced)))
    }

    /// Makes a policy hold from now on, in place of what held and of what was announced.
    async fn replace(
        &self,
        owner: Owner,
        (source, resolved, is_interim): (&str, Resolved, bool),
        by: &str,
        now: Timestamp,
    ) -> Result<Version, NoticesError> {
        let mut tx = self.inner.database.begin().await?;
        tx.execute(
            "UPDATE policy_version SET ended_at = ? WHERE owner = ? AND ended_at IS NULL",
            params![now.0, owner.number()],
        )
        .await?;
        let hash = resolved.policy.hash();
        let new = NewVersion {
            owner,
            source,
            hash: &hash,
            is_interim,
            by,
            effective_at: now,
            activated_at: Some(now),
        };
        let version = new.insert(&mut tx, now).await?;
        tx.commit().await?;
        self.hold(Held { version: version.clone(), resolved: Arc::new(resolved) });
        Ok(version)
    }

    /// Takes back what was announced. False where nothing was.
    pub async fn withdraw(&self, owner: Owner) -> Result<bool, NoticesError> {
        let _changing = self.inner.changing.lock().await;
        let now = self.inner.clock.now();
        let withdrawn = self
            .inner
            .database
            .execute(
                "UPDATE policy_version SET ended_at = ? \
                 WHERE owner = ? AND activated_at IS NULL AND ended_at IS NULL",
                params![now.0, owner.number()],
            )
            .await?;
        Ok(withdrawn > 0)
    }

    /// Lets begin what was announced and whose day has come. Gives what began.
    pub async fn begin_due(&self) -> Result<Vec<Version>, NoticesError> {
        let _changing = self.inner.changing.lock().await;
        let now = self.inner.clock.now();
        let rows = self
            .inner
            .database
            .query(
                "SELECT owner, epoch FROM policy_version \
                 WHERE activated_at IS NULL AND ended_at IS NULL AND effective_at <= ? ORDER BY epoch",
                params![now.0],
            )
            .await?;
        let mut begun = Vec::new();
        for row in rows {
            let (owner, epoch) = (Owner::of(row.int(0)?), row.int(1)?);
            let Some(held) = self.announced(owner).await? else { continue };
            let mut tx = self.inner.database.begin().await?;
            tx.execute(
                "UPDATE policy_version SET ended_at = ? \
                 WHERE owner = ? AND activated_at IS NOT NULL AND ended_at IS NULL",
                params![now.0, owner.number()],
            )
            .await?;
            tx.execute("UPDATE policy_version SET activated_at = ? WHERE epoch = ?", params![now.0, epoch])
                .await?;
            tx.commit().await?;
            let version = Version { activated_at: Some(now), ..held.version };
            self.hold(Held { version: version.clone(), resolved: held.resolved });
            begun.push(version);
        }
        Ok(begun)
    }
}

/// When the notice periods that a policy promises for these changes are over: a file holds as a whole, so the longest.
fn notice_ends(now: Timestamp, policy: &Policy, changes: &[Change]) -> Timestamp {
    const DAY_US: i64 = 86_400_000_000;
    let governance = &policy.governance;
    let waiting = changes.iter().filter(|change| change.class.waits());
    let days = waiting.map(|change| match change.key.as_str() {
        "controller.name" => governance.transfer_of_control.notice_days,
        _ if is_new_recipient(change) => governance.changes.subprocessor_days,
        _ => governance.changes.prior_days,
    });
    Timestamp(now.0.saturating_add(i64::from(days.max().unwrap_or(0)).saturating_mul(DAY_US)))
}

/// Somebody else who is to get data: a recipient that was not there as a whole. One that was and gets more is a change
/// like any other.
fn is_new_recipient(change: &Change) -> bool {
    change.key.starts_with("recipient.") && change.old.is_null() && change.new.is_object()
}
