//! What consumers of the classic protocol tell each other through the group: bytes that are theirs, kept unread.
//!
//! Any member may send anything there, and members that are no consumers (a schema registry's, Kafka Connect's) do. So
//! nothing is set aside for what a count claims: what is read costs no more memory than the bytes that are there.

use bytes::Buf;

/// The protocol type of groups whose members are consumers; of others these bytes say something else.
pub(crate) const CONSUMER: &str = "consumer";

/// The topics that a consumer's metadata names (`ConsumerProtocolSubscription`), sorted, each once; none where it is
/// something else.
pub(super) fn subscribed_topics(metadata: &[u8]) -> Option<Vec<String>> {
    let mut rest = versioned(metadata)?;
    let mut topics = Vec::new();
    for _ in 0..count(&mut rest)? {
        topics.push(text(&mut rest)?);
    }
    topics.sort_unstable();
    topics.dedup();
    Some(topics)
}

/// The partitions of each topic that a consumer was assigned (`ConsumerProtocolAssignment`); none where it is something
/// else.
pub(crate) fn assigned_partitions(assignment: &[u8]) -> Option<Vec<(String, Vec<i32>)>> {
    let mut rest = versioned(assignment)?;
    let mut topics = Vec::new();
    for _ in 0..count(&mut rest)? {
        let topic = text(&mut rest)?;
        let mut partitions = Vec::new();
        for _ in 0..count(&mut rest)? {
            partitions.push(rest.try_get_i32().ok()?);
        }
        topics.push((topic, partitions));
    }
    Some(topics)
}

/// What follows the version. Later versions add at the end, which is not read here.
fn versioned(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    (rest.try_get_i16().ok()? >= 0).then_some(rest)
}

/// How many elements an array claims to have.
fn count(rest: &mut &[u8]) -> Option<u32> {
    u32::try_from(rest.try_get_i32().ok()?).ok()
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(rest.try_get_i16().ok()?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(std::str::from_utf8(text).ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A count of two thousand millions, with nothing behind it.
    const GREEDY: &[u8] = &[0, 0, 0x7f, 0xff, 0xff, 0xff];

    /// What Confluent's Schema Registry assigns: JSON. Read as a count its bytes 2 to 6 are `rror`.
    const JSON: &[u8] = br#"{"error":0,"master":"sr-1","master_identity":{"host":"a","port":8081}}"#;

    #[test]
    fn assignments_are_read_within_their_bytes() {
        let whole = [
            &[0, 1, 0, 0, 0, 1, 0, 2][..],
            b"ab",
            &[0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
        ]
        .concat();
        assert_eq!(assigned_partitions(&whole), Some(vec![("ab".to_owned(), vec![3, 4])]));
        for length in 0..whole.len() - 4 {
            assert_eq!(assigned_partitions(&whole[..length]), None, "{length}");
        }
        let greedy_inside = [&whole[..10], &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1]].concat();
        let negative: &[u8] = &[0, 0, 0xff, 0xff, 0xff, 0xff];
        for wrong in [GREEDY, JSON, &greedy_inside, negative, &[0xff, 0xff, 0, 0, 0, 0]] {
            assert_eq!(assigned_partitions(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn subscriptions_are_read_within_their_bytes() {
        let whole = [&[0, 1, 0, 0, 0, 3, 0, 1][..], b"b", &[0, 1], b"a", &[0, 1], b"b", &[0xff; 4]].concat();
        assert_eq!(subscribed_topics(&whole), Some(vec!["a".to_owned(), "b".to_owned()]));
        for length in 0..whole.len() - 4 {
            assert_eq!(subscribed_topics(&whole[..length]), None, "{length}");
        }
        for wrong in [GREEDY, JSON, &[0, 0, 0, 0, 0, 1, 0, 1, 0xff]] {
            assert_eq!(subscribed_topics(wrong), None, "{wrong:?}");
        }
    }
}
