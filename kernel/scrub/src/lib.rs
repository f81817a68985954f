//! Finds what must not be stored (payment cards, IBANs, US social security numbers, private keys, passwords, tokens,
//! credentials in URLs; where a policy says so also e-mail addresses, telephone numbers, addresses of networks and
//! devices, names in paths, and what users' own patterns match) in text, numbers, keys and whole
//! [`Value`](candor_model::Value)s, and replaces it.
//!
//! Pure functions over what they are given: no I/O, no clock, no state. The gate calls this on every record before
//! anything is written, so a clean line has to cost next to nothing and a miss is a broken promise. Where the two
//! pull apart, a hit needs evidence beyond its length (a checksum, an issuer's range, a name beside it): blanking
//! ordinary ids is the second complaint about every scrubber, right after leaking.
//!
//! [`Rules`] are data; [`Scrubber::new`] compiles them. Scrubbing is idempotent: the placeholders never strike.

mod blank;
mod bytes;
mod counts;
mod detect;
mod generalise;
mod hit;
mod layers;
mod names;
mod plan;
mod remark;
mod rules;
mod run;
mod scan;
mod scrubber;
mod selector;
mod strike;
mod walk;

pub use counts::Counts;
pub use remark::{Remark, Remarks};
pub use rules::{Action, Allow, Detector, Encoding, Kind, Pattern, Rule, RuleError, Rules, Scope};
pub use run::{Pseudonyms, Run};
pub use scrubber::Scrubber;
pub use selector::{Leaf, RecordKind, Selector, SelectorError};
