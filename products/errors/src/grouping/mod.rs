//! Grouping: which events are one fault.
//!
//! An event gets one or two hashes, strongest first: over the application's own frames, and over all frames. It
//! belongs to the issue that owns any of them, so that an SDK that starts to mark frames as the application's does
//! not split an issue. Hashes are made of what the gate left; they carry the version of this algorithm, so that a
//! better one makes new hashes and an issue can own both.
//!
//! In order: a `checksum`; the sender's own fingerprint; exceptions by type and frames, or type and the shape of the
//! value where there are no frames; the stack of a thread; the template of the message.

mod fingerprint;
mod frame;
mod shape;

use candor_model::Value;
use data_encoding::HEXLOWER;
use ring::digest;

use crate::event::exceptions::{Exception, telling, thread_frames};
use crate::event::frames::{Frame, frames};
use crate::event::{member, message};
use fingerprint::Part;

/// The version of the algorithm, part of every hash.
const VERSION: &str = "candor-1";

/// Frames of one stack that count, newest first. Two faults that agree in so many are one.
const FRAMES_COUNTED_MAX: usize = 60;

/// The longest cycle of calls that is folded, so that the depth of a recursion does not count.
const CYCLE_MAX: usize = 4;

/// The hashes of an event, strongest first, each 32 hex digits. Never empty: what says nothing at all is one group.
pub(crate) fn group_hashes(event: &Value, exceptions: &[Exception<'_>], platform: &str) -> Vec<String> {
    if let Some(checksum) = member(event, "checksum") {
        let is_hash = checksum.len() == 32 && checksum.bytes().all(|byte| byte.is_ascii_hexdigit());
        return vec![if is_hash { checksum.to_ascii_lowercase() } else { hash(&["checksum", &checksum]) }];
    }
    let fingerprint = fingerprint::parts(event, platform);
    if let Some(parts) = &fingerprint
        && !parts.contains(&Part::Default)
    {
        let words = parts.iter().map(|part| if let Part::Text(text) = part { text.as_str() } else { "" });
        return vec![hash(&["fingerprint"].into_iter().chain(words).collect::<Vec<_>>())];
    }

    let mut hashes = Vec::with_capacity(2);
    for components in variants(event, exceptions, platform) {
        let mut parts: Vec<&str> = components.iter().map(String::as_str).collect();
        for part in fingerprint.iter().flatten() {
            parts.push(match part {
                Part::Default => "\u{2}default",
                Part::Text(text) => text,
            });
        }
        let hash = hash(&parts);
        if !hashes.contains(&hash) {
            hashes.push(hash);
        }
    }
    hashes
}

/// The frames of an event itself or of the thread it is about.
pub(crate) fn event_frames(event: &Value) -> Vec<Frame<'_>> {
    let own = frames(event.get("stacktrace"));
    if own.is_empty() { thread_frames(event) } else { own }
}

/// True where two stacks say the same.
pub(crate) fn same_frames(one: &[Frame<'_>], other: &[Frame<'_>]) -> bool {
    let components = |frames: &[Frame<'_>]| counted(frames, "", false);
    components(one) == components(other)
}

/// What is hashed, per variant.
fn variants(event: &Value, exceptions: &[Exception<'_>], platform: &str) -> Vec<Vec<String>> {
    if !exceptions.is_empty() {
        let told = telling(exceptions);
        return by_scope(
            platform,
            &told.iter().map(|exception| exception.frames.as_slice()).collect::<Vec<_>>(),
            |at, stack| {
                let Some(exception) = told.get(at) else { return Vec::new() };
                let mut parts = Vec::with_capacity(stack.len() + 3);
                let kind = exception.kind.as_deref().unwrap_or_default();
                if !exception.synthetic() {
                    parts.push(format!("type {kind}"));
                }
                if let Some((domain, code)) = exception.ns_error() {
                    parts.push(format!("ns {domain} {code}"));
                }
                match stack.is_empty() {
                    false => parts.extend(stack),
                    true => {
                        let value = exception.value.as_deref().unwrap_or_default();
                        parts.push(format!(
                            "value {}",
                            shape::shape(if value.is_empty() { kind } else { value })
                        ));
                    }
                }
                parts
            },
        );
    }
    let stack = event_frames(event);
    if !counted(&stack, platform, false).is_empty() {
        return by_scope(platform, &[stack.as_slice()], |_, stack| stack);
    }
    let template = message::template(event).unwrap_or_default();
    if template.trim().is_empty() {
        // Not even words: what the event is about, else the one group of what says nothing.
        let place = member(event, "culprit").or_else(|| member(event, "transaction")).unwrap_or_default();
        return vec![vec!["nothing".to_owned(), place.into_owned()]];
    }
    vec![vec!["message".to_owned(), shape::shape(&template)]]
}

/// The variants over the application's frames and over all of them. Without a frame of the application there is but
/// the second.
fn by_scope(
    platform: &str,
    stacks: &[&[Frame<'_>]],
    parts: impl Fn(usize, Vec<String>) -> Vec<String>,
) -> Vec<Vec<String>> {
    [true, false]
        .into_iter()
        .filter_map(|in_app| {
            let counted: Vec<Vec<String>> =
                stacks.iter().map(|stack| self::counted(stack, platform, in_app)).collect();
            if in_app && counted.iter().all(Vec::is_empty) {
                return None;
            }
            Some(counted.into_iter().enumerate().flat_map(|(at, stack)| parts(at, stack)).collect())
        })
        .collect()
}

/// The components of the frames that count, newest first.
fn counted(stack: &[Frame<'_>], platform: &str, in_app: bool) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for frame in stack.iter().rev() {
        if (in_app && !frame.is_in_app(platform)) || frame::is_machinery(frame, platform) {
            continue;
        }
        let Some(component) = frame::component(frame, platform) else { continue };
        kept.push(format!("frame {component}"));
        fold_cycle(&mut kept);
        if kept.len() == FRAMES_COUNTED_MAX {
            break;
        }
    }
    kept
}

/// Drops the last calls where they repeat those just before them.
fn fold_cycle(kept: &mut Vec<String>) {
    for period in 1..=CYCLE_MAX {
        let Some(start) = kept.len().checked_sub(2 * period) else { return };
        let (before, last) = kept.split_at(kept.len() - period);
        if before.get(start..) == Some(last) {
            kept.truncate(kept.len() - period);
            return;
        }
    }
}

/// A keyless digest of parts, each with its length before it, so that no two lists are alike.
fn hash(parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [VERSION].iter().chain(parts) {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    HEXLOWER.encode(digest.as_ref().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests;
