//! Policies in force: kept, versioned, announced, activated.
//!
//! There is one policy for the instance and one for each project that has its own. Applying a file makes a version,
//! which is never changed afterwards: what the page said on a day can be read for ever. What makes the policy
//! stricter holds at once; what loosens it waits until the notice period of the policy that *holds* is over, and
//! then for new records only. Until then an interim version holds, which is the old policy with the stricter parts
//! of the new one.
//!
//! A file that does not parse or that the lint refuses changes nothing.

mod apply;
mod policies;
mod schema;
mod version;

pub use apply::{Applied, Refused};
pub use policies::{Held, NoticesError, Policies};
pub use schema::MIGRATIONS;
pub use version::{Owner, State, Version};
