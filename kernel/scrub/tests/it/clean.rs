//! Ordinary logs stay as they are.

use std::path::PathBuf;

use candor_scrub::{Counts, Detector, Scrubber};

use crate::recall::only;

/// A folder of test data of others: in `CANDOR_FIXTURES`, or beside the repository.
pub(crate) fn fixtures(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let folder = std::env::var_os("CANDOR_FIXTURES").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    Some(folder.join(name)).filter(|folder| folder.is_dir())
}

#[test]
fn loghub_lines_are_left_alone() {
    const FILES: usize = 12;
    let Some(folder) = fixtures("loghub") else {
        println!("SKIPPED {FILES} files of loghub: no fixtures");
        return;
    };
    let scrubber = Scrubber::default();
    let (mut bytes, mut lines, mut struck) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(folder).expect("fixtures can be listed") {
        let path = entry.expect("fixtures can be listed").path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("fixtures can be read")).into_owned();
        for line in text.lines() {
            bytes += line.len();
            lines += 1;
            if let Some(scrubbed) = scrubber.scrub_str(line, &mut Counts::new()) {
                struck.push(format!("{line}\n  -> {scrubbed}"));
            }
        }
    }
    println!("{lines} lines, {bytes} bytes, {} struck", struck.len());
    assert!(lines > 20_000, "the fixtures are there");
    // A ZooKeeper session id (`sessionid:0x…`) reads as a session's secret; nothing else may be struck.
    struck.retain(|line| !line.contains("sessionid:0x"));
    assert!(struck.is_empty(), "{} lines were struck:\n{}", struck.len(), struck.join("\n"));
}

#[test]
fn ordinary_application_logs_are_left_alone() {
    for line in [
        r#"{"ts":"2026-01-02T03:04:05.678Z","level":"info","logger":"http.server","msg":"GET /cart/items 200","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","user_agent":"Mozilla/5.0 (X11; Linux x86_64)","duration_ms":12.25}"#,
        "time=2026-01-02T03:04:05Z level=info msg=\"session opened\" request_id=01HV7Q0M6ZB4W8Y2T0Q9S3K5AX tokens=512 author=jane",
        "127.0.0.1 - - [02/Jan/2026:03:04:05 +0000] \"GET /static/app.4f3b2a1c.js?v=1767323045 HTTP/1.1\" 200 51234 \"-\" \"curl/8.0\"",
        "org.hibernate.SQL : select u.id, u.author from users u where u.token_count > ? and u.status = 'open'",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 by author Jane, sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "order 7214536987412365 paid, 1,234,567.89 EUR, ref 2026-000123-0004-99",
        "kafka offset 1234567890123 partition 3 lag 0 epoch 41; producerId=4611686018427387904 sequence=12",
        "at com.example.auth.TokenService.refresh(TokenService.java:120) ~[app.jar:1.2.3]",
        "Verify certificate CN=shop.example, O=Example, serial 04:AC:3F:99 key size 2048 public_key=RSA",
    ] {
        assert_eq!(Scrubber::default().scrub_str(line, &mut Counts::new()), None);
    }
}

/// What tells of persons stands in real logs; what is struck besides is told by detector.
#[test]
fn personal_detectors_over_loghub() {
    let Some(folder) = fixtures("loghub") else {
        println!("SKIPPED 12 files of loghub: no fixtures");
        return;
    };
    let detectors = Detector::group("pii:all").expect("there is such a group");
    for detector in detectors {
        let scrubber = only(&[*detector]);
        let (mut bytes, mut struck, mut examples) = (0, 0, Vec::new());
        for entry in std::fs::read_dir(&folder).expect("fixtures can be listed") {
            let path = entry.expect("fixtures can be listed").path();
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let text =
                String::from_utf8_lossy(&std::fs::read(&path).expect("fixtures can be read")).into_owned();
            for (number, line) in text.lines().enumerate() {
                bytes += line.len();
                if scrubber.scrub_str(line, &mut Counts::new()).is_some() {
                    struck += 1;
                    if examples.len() < 12 {
                        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                        examples.push(format!("{name}:{}", number + 1));
                    }
                }
            }
        }
        println!("{}: {struck} lines of {bytes} bytes struck: {}", detector.name(), examples.join(" "));
        if matches!(detector, Detector::Phone | Detector::Imei | Detector::SsnUs) {
            // None of these logs has any; one in 10 MB may be mistaken.
            assert!(struck <= bytes.div_ceil(10_000_000), "{}: {struck} lines struck", detector.name());
        }
    }
}
