//! What a scan found, and how overlapping finds become one.

use crate::rules::Detector;

/// A stretch of text that a detector struck, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) detector: Detector,
}

/// Puts hits in order and joins those that overlap, so that nothing between them survives. What the longer one found
/// names the whole; of equally long ones the more specific, which comes first among the detectors.
pub(crate) fn merge(hits: &mut Vec<Hit>) {
    hits.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end), hit.detector));
    hits.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            if next.end - next.start > kept.end - kept.start {
                kept.detector = next.detector;
            }
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_hits_become_one() {
        let hit = |start, end, detector| Hit { start, end, detector };
        let mut hits = vec![
            hit(10, 20, Detector::SecretName),
            hit(0, 5, Detector::Iban),
            hit(10, 20, Detector::Card),
            hit(4, 12, Detector::PrivateKey),
            hit(20, 22, Detector::SsnUs),
        ];
        merge(&mut hits);
        assert_eq!(hits, [hit(0, 20, Detector::PrivateKey), hit(20, 22, Detector::SsnUs)]);
    }
}
