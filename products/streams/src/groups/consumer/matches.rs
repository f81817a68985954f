//! Which topics members' regular expressions mean.

use regex::{Regex, RegexBuilder};

use super::*;
use crate::admin::acl::{Sight, Sights};

/// Compiled size of a member's regular expression, bytes.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// A subscription's expression. It has to fit a topic's whole name.
pub(in crate::groups) fn compile(regex: &str) -> Result<Regex, ResponseError> {
    let whole = RegexBuilder::new(&format!("^(?:{regex})$")).size_limit(REGEX_BYTES_MAX).build();
    whole.map_err(|_| ResponseError::InvalidRegularExpression)
}

/// What has been found for members so far; many have the same expression and are of the same user.
pub(super) struct Matches<'a> {
    world: &'a World<'a>,
    sights: &'a Sights,
    all: Option<Vec<Topic>>,
    by_regex: HashMap<Arc<str>, Vec<Topic>>,
    by_user: HashMap<Arc<str>, Sight>,
}

impl<'a> Matches<'a> {
    pub fn new(world: &'a World<'a>, sights: &'a Sights) -> Matches<'a> {
        Matches { world, sights, all: None, by_regex: HashMap::new(), by_user: HashMap::new() }
    }

    /// Takes each topic that an expression matches and its member may see. Of a member that has not been heard of since
    /// the start it is not known what it may see: what the group reads already counts for it until then, and before it
    /// is told of anything that is looked at again.
    pub fn each(
        &mut self,
        regex: &Arc<str>,
        who: Option<(&Arc<str>, IpAddr)>,
        read: &BTreeMap<TopicId, Topic>,
        mut take: impl FnMut(&Topic),
    ) {
        let Matches { world, sights, all, by_regex, by_user } = self;
        let matched = by_regex.entry(Arc::clone(regex)).or_insert_with(|| {
            let all = all.get_or_insert_with(|| (world.all)());
            let Ok(regex) = compile(regex) else { return Vec::new() };
            all.iter().filter(|topic| regex.is_match(&topic.name)).cloned().collect()
        });
        match who {
            Some((user, host)) => {
                let sight = by_user.entry(Arc::clone(user)).or_insert_with(|| sights.of(user));
                let host = host.to_canonical().to_string();
                matched.iter().filter(|topic| sight.sees(&host, &topic.name)).for_each(&mut take);
            }
            None => matched.iter().filter(|topic| read.contains_key(&topic.id)).for_each(&mut take),
        }
    }
}
