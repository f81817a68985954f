//! Who is let in, and what is read of a body.

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use candor_gate::admission::{
    Accept, Admission, Cause, Encoding, Limits, Permit, Presented, Refusal, decode,
};
use candor_meta::{Database, KeyLimits, ProjectKeys, Tenancy};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{ProjectId, Random};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{Full, StreamBody};

use crate::NOW;

struct House {
    admission: Admission,
    clock: Arc<ManualClock>,
    tenancy: Tenancy,
    database: Database,
    keys: ProjectKeys,
    project: ProjectId,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new(limits: Limits) -> House {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let shared: Arc<ManualClock> = Arc::clone(&clock);
        let tenancy = Tenancy::open(database.clone(), shared, Arc::new(Seeded::new(4))).await.unwrap();
        let (project, keys) = tenancy.create_project("shop").await.unwrap();
        let shared: Arc<ManualClock> = Arc::clone(&clock);
        let admission = Admission::new(tenancy.clone(), shared, limits);
        House { admission, clock, tenancy, database, keys, project: project.id, _folder: folder }
    }

    async fn permit(&self) -> Result<Permit, Refusal> {
        self.admission.admit(&[Presented::ingest(&self.keys.ingest_token)]).await
    }

    async fn read(&self, encoding: &str, body: Vec<u8>) -> Result<Bytes, Refusal> {
        self.permit().await?.read(&headers(encoding), Full::new(Bytes::from(body)), Accept::WITH_SNAPPY).await
    }
}

fn headers(encoding: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !encoding.is_empty() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(encoding).unwrap());
    }
    headers
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(data, 1).unwrap()
}

fn snappy(data: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(data).unwrap()
}

fn snappy_framed(data: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(data).unwrap();
    encoder.into_inner().unwrap()
}

/// Brotli of "hello hello hello hello\n" from the reference encoder: this tree has no encoder of it.
const BROTLI: &str = "1b1700f88d946ede445586d60a206c6f4a1179e280ae16";
const BROTLI_TEXT: &[u8] = b"hello hello hello hello\n";

#[tokio::test]
async fn a_key_opens_its_project_and_says_what_is_wrong_otherwise() {
    let house = House::new(Limits::default()).await;
    let dsn = |project| Presented::dsn(&house.keys.dsn_key, project);
    let (admission, nobody) = (&house.admission, [Presented::ingest("")]);
    assert_eq!(house.permit().await.unwrap().scope().project(), house.project);
    for presented in [dsn(None), dsn(Some(house.project))] {
        assert!(house.admission.admit(&[presented]).await.is_ok());
    }
    assert_eq!(house.admission.admit(&[dsn(Some(ProjectId(99)))]).await.err(), Some(Refusal::WrongProject));
    assert_eq!(admission.admit(&[]).await.err(), Some(Refusal::NoKey));
    assert_eq!(admission.admit(&nobody).await.err(), Some(Refusal::NoKey));
    assert_eq!(admission.admit(&[Presented::ingest("wrong")]).await.err(), Some(Refusal::WrongKey));
    // Where a protocol has several places, the one that is right counts.
    let places = [Presented::ingest("wrong"), dsn(None)];
    assert!(house.admission.admit(&places).await.is_ok());
    let counts: Vec<_> = house.admission.refusals().by_reason().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counts, [("no_key", 2), ("wrong_key", 1), ("wrong_project", 1)]);
    assert_eq!(Refusal::WrongKey.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(Refusal::WrongProject.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_encoding_is_undone_also_stacked() {
    let house = House::new(Limits::default()).await;
    let text = "some line of a log, again and again\n".repeat(10_000).into_bytes();
    for (encoding, body) in [
        ("", text.clone()),
        ("identity", text.clone()),
        ("gzip", gzip(&text)),
        ("x-gzip", gzip(&text)),
        ("GZIP", [gzip(&text[..100]), gzip(&text[100..])].concat()),
        ("deflate", zlib(&text)),
        ("deflate", raw_deflate(&text)),
        ("zstd", zstd(&text)),
        ("zstd", [zstd(&text[..100]), zstd(&text[100..])].concat()),
        ("snappy", snappy(&text)),
        ("snappy", snappy_framed(&text)),
        ("x-snappy-framed", snappy_framed(&text)),
        ("gzip, zstd", zstd(&gzip(&text))),
        ("gzip,identity, gzip", gzip(&gzip(&text))),
    ] {
        let read = house.read(encoding, body).await.unwrap();
        assert!(read == text, "{encoding}: {} bytes", read.len());
    }
    let brotli = data_encoding::HEXLOWER.decode(BROTLI.as_bytes()).unwrap();
    assert_eq!(house.read("br", brotli).await.unwrap(), BROTLI_TEXT);
    for (encoding, _) in [("gzip", 0), ("deflate", 0), ("br", 0), ("zstd", 0), ("snappy", 0)] {
        assert_eq!(house.read(encoding, vec![]).await.unwrap(), "", "{encoding}: nothing is nothing");
    }
    assert_eq!(house.admission.in_flight_bytes(), 0, "all is given back");
}

#[tokio::test]
async fn lying_and_truncated_bodies_are_refused_with_the_reason() {
    let house = House::new(Limits::default()).await;
    let text: Vec<u8> = (0..20_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
    let brotli = data_encoding::HEXLOWER.decode(BROTLI.as_bytes()).unwrap();
    let encoded: Vec<(&str, Vec<u8>)> = vec![
        ("gzip", gzip(&text)),
        ("deflate", zlib(&text)),
        ("deflate", raw_deflate(&text)),
        ("zstd", zstd(&text)),
        ("snappy", snappy(&text)),
        ("snappy", snappy_framed(&text)),
        ("br", brotli),
    ];
    for (encoding, body) in &encoded {
        for cut in [1, body.len() / 2, body.len() - 1] {
            let read = house.read(encoding, body[..cut].to_vec()).await;
            assert!(matches!(read, Err(Refusal::BadEncoding { .. })), "{encoding} cut at {cut}: {read:?}");
        }
        let read = house.read(encoding, b"{\"this\": \"is plain JSON\"}".to_vec()).await;
        assert!(matches!(read, Err(Refusal::BadEncoding { .. })), "{encoding}: {read:?}");
    }
    // Checksums and lengths that lie.
    let mut gzipped = gzip(&text);
    let end = gzipped.len();
    gzipped[end - 6] ^= 1;
    assert!(matches!(house.read("gzip", gzipped).await, Err(Refusal::BadEncoding { .. })));
    let trailing = [zlib(&text), b"trailing".to_vec()].concat();
    assert!(matches!(house.read("deflate", trailing).await, Err(Refusal::BadEncoding { .. })));
    assert_eq!(house.read("compress", vec![1]).await, Err(Refusal::UnsupportedEncoding));
    assert_eq!(house.read("gzip, gzip, gzip, gzip", vec![1]).await, Err(Refusal::UnsupportedEncoding));
    let body = Full::new(Bytes::from(snappy(&text)));
    let mut permit = house.permit().await.unwrap();
    assert_eq!(
        permit.read(&headers("snappy"), body, Accept::STANDARD).await,
        Err(Refusal::UnsupportedEncoding)
    );
    assert_eq!(Refusal::UnsupportedEncoding.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn bombs_are_stopped_by_ratio_and_by_size() {
    let limits = Limits { decoded_bytes: 20 << 20, ..Limits::default() };
    let house = House::new(limits).await;
    let zeros = vec![0; 50 << 20];
    for (encoding, body) in [
        ("gzip", gzip(&zeros)),
        ("deflate", zlib(&zeros)),
        ("zstd", zstd(&zeros)),
        ("gzip, gzip", gzip(&gzip(&zeros))),
        ("snappy", snappy(&zeros)),
    ] {
        assert_eq!(house.read(encoding, body).await.err(), Some(Refusal::DecodedTooLarge), "{encoding}");
    }
    // A block that only says that it is large.
    assert_eq!(house.read("snappy", vec![0xff, 0xff, 0xff, 0x7f, 0]).await, Err(Refusal::DecodedTooLarge));
    // The ratio strikes before the size.
    let mut grown = 0;
    let refused = decode(Encoding::Gzip, &gzip(&zeros), usize::MAX, &mut |more| {
        grown += more;
        Ok(())
    });
    assert!(refused.is_err_and(|refusal| refusal == Refusal::DecodedTooLarge));
    assert!(grown < 20 << 20, "{grown}");
    // What compresses as logs do passes.
    let random = Seeded::new(1);
    let line = |n: u64| format!("2026-11-20T10:00:{:02} GET /item/{} 200\n", n % 60, random.next_u64() % 100);
    let logs: Vec<u8> = (0..400_000).flat_map(|n| line(n).into_bytes()).collect();
    assert_eq!(house.read("gzip", gzip(&logs)).await.map(|body| body.len()), Ok(logs.len()));
    assert_eq!(house.admission.in_flight_bytes(), 0);
}

#[tokio::test]
async fn bodies_are_bounded_as_they_come() {
    let house = House::new(Limits { body_bytes: 1000, ..Limits::default() }).await;
    assert!(house.read("", vec![b'x'; 1000]).await.is_ok());
    assert_eq!(house.read("", vec![b'x'; 1001]).await, Err(Refusal::BodyTooLarge { limit: 1000 }));
    // A length that says so is believed without reading.
    let mut declared = HeaderMap::new();
    declared.insert(header::CONTENT_LENGTH, HeaderValue::from_static("1001"));
    let never = StreamBody::new(Never);
    let mut permit = house.permit().await.unwrap();
    let refused = permit.read(&declared, never, Accept::STANDARD).await;
    assert_eq!(refused, Err(Refusal::BodyTooLarge { limit: 1000 }));
    assert_eq!(refused.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
    // Chunks add up.
    let chunks = (0..11).map(|_| Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(vec![0; 100]))));
    let body = StreamBody::new(Chunks(chunks.collect()));
    let refused = permit.read(&HeaderMap::new(), body, Accept::STANDARD).await;
    assert_eq!(refused, Err(Refusal::BodyTooLarge { limit: 1000 }));
}

/// A stream of what it holds.
struct Chunks<T>(std::collections::VecDeque<T>);

impl<T: Unpin> futures::Stream for Chunks<T> {
    type Item = T;
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.0.pop_front())
    }
}

/// A client that says nothing.
struct Never;

impl futures::Stream for Never {
    type Item = Result<http_body::Frame<Bytes>, Infallible>;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn clients_that_stall_or_leave_are_let_go() {
    let house = House::new(Limits::default()).await;
    tokio::time::pause();
    let mut permit = house.permit().await.unwrap();
    let started = tokio::time::Instant::now();
    let refused = permit.read(&HeaderMap::new(), StreamBody::new(Never), Accept::STANDARD).await;
    assert_eq!(refused, Err(Refusal::BodyTimeout));
    assert!(started.elapsed() < Duration::from_secs(60));
    let cut = [Ok(http_body::Frame::data(Bytes::from_static(b"half"))), Err(std::io::Error::other("reset"))];
    let body = StreamBody::new(Chunks(cut.into_iter().collect()));
    assert_eq!(permit.read(&HeaderMap::new(), body, Accept::STANDARD).await, Err(Refusal::BodyCut));
}

#[tokio::test]
async fn all_requests_together_are_bounded() {
    let house = House::new(Limits { in_flight_bytes: 1 << 20, ..Limits::default() }).await;
    let mut first = house.permit().await.unwrap();
    let body =
        first.read(&HeaderMap::new(), Full::new(Bytes::from(vec![0; 800 << 10])), Accept::STANDARD).await;
    assert!(body.is_ok());
    let refused = house.read("", vec![0; 300 << 10]).await.unwrap_err();
    assert_eq!((refused.status(), refused.retry_after()), (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
    // Also what a small body grows into.
    let zeros = vec![0; 600 << 10];
    assert!(matches!(house.read("gzip", gzip(&zeros)).await, Err(Refusal::Overloaded { .. })));
    drop(first);
    assert!(house.read("gzip", gzip(&zeros)).await.is_ok());
    // One alone may be larger than the whole.
    assert!(house.read("", vec![0; 3 << 20]).await.is_ok());
    // Also where it is decompressed on a thread of its own, and a bomb is a bomb there, not a crowd.
    let random = Seeded::new(1);
    let noise: Vec<u8> = (0..(3 << 20) / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect();
    assert_eq!(house.read("gzip", gzip(&noise)).await.map(|body| body.len()), Ok(noise.len()));
    let bomb = gzip(&vec![0; 200 << 20]);
    assert!(bomb.len() > 128 << 10);
    assert_eq!(house.read("gzip", bomb).await, Err(Refusal::DecodedTooLarge));
    assert_eq!(house.admission.in_flight_bytes(), 0);
}

#[tokio::test]
async fn pressure_refuses_until_it_is_over() {
    let house = House::new(Limits::default()).await;
    let pressure = house.admission.pressure();
    for cause in [Cause::DiskFull, Cause::DatabaseLost, Cause::ObjectsLost, Cause::Stopping, Cause::Lagging] {
        pressure.set(cause, true);
        let refused = house.permit().await.err().unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{cause:?}");
        assert!(refused.retry_after().is_some());
        assert_eq!(pressure.cause(), Some(cause));
        // A wrong key is a wrong key, whatever else is wrong.
        let wrong = house.admission.admit(&[Presented::ingest("wrong")]).await.err();
        assert_eq!(wrong, Some(Refusal::WrongKey));
        pressure.set(cause, false);
        assert!(house.permit().await.is_ok(), "{cause:?}");
    }
    // A lost database refuses by itself where the key is not remembered; keys that are still pass.
    house.database.close().await;
    assert!(house.permit().await.is_ok());
    let refused = house.admission.admit(&[Presented::ingest("another")]).await.err();
    assert_eq!(refused, Some(Cause::DatabaseLost.refusal()));
}

#[tokio::test]
async fn keys_have_no_limits_unless_given() {
    let house = House::new(Limits::default()).await;
    for _ in 0..2000 {
        house.permit().await.unwrap();
    }
    let limits =
        KeyLimits { requests_per_second: Some(2), bytes_per_day: Some(1000), ..KeyLimits::default() };
    let key = house.permit().await.unwrap().scope().key();
    house.tenancy.set_key_limits(key, limits).await.unwrap();
    let mut passed = 0;
    let refused = loop {
        match house.permit().await {
            Ok(_) => passed += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!((passed, refused.status()), (10, StatusCode::TOO_MANY_REQUESTS));
    house.clock.advance(1_000_000);
    assert!(house.read("", vec![0; 999]).await.is_ok());
    assert!(house.read("", vec![0; 1]).await.is_ok());
    house.clock.advance(1_000_000);
    assert!(matches!(house.permit().await.err(), Some(Refusal::QuotaExceeded { .. })));
    // The quota outlives the process.
    house.admission.save_usage().await.unwrap();
    let clock: Arc<ManualClock> = Arc::clone(&house.clock);
    let restarted = Admission::new(house.tenancy.clone(), clock, Limits::default());
    restarted.save_usage().await.unwrap();
    let refused = restarted.admit(&[Presented::ingest(&house.keys.ingest_token)]).await.err();
    assert!(matches!(refused, Some(Refusal::QuotaExceeded { .. })), "{refused:?}");
    house.clock.advance(86_400_000_000);
    assert!(restarted.admit(&[Presented::ingest(&house.keys.ingest_token)]).await.is_ok());
}

#[tokio::test]
async fn trusted_proxies_name_the_client() {
    let limits = Limits { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Limits::default() };
    let house = House::new(limits).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
    let client = |peer: &str| house.admission.client_ip(peer.parse().unwrap(), &headers).to_string();
    assert_eq!((client("10.0.0.1").as_str(), client("192.0.2.1").as_str()), ("203.0.113.9", "192.0.2.1"));
}

/// Random damage of every encoding: an answer, never a panic or a runaway.
#[test]
fn no_bytes_make_a_decoder_panic() {
    let random = Seeded::new(5);
    let text = "the same words over and over, ".repeat(50).into_bytes();
    let brotli = data_encoding::HEXLOWER.decode(BROTLI.as_bytes()).unwrap();
    let bodies = [
        (Encoding::Gzip, gzip(&text)),
        (Encoding::Deflate, zlib(&text)),
        (Encoding::Deflate, raw_deflate(&text)),
        (Encoding::Zstd, zstd(&text)),
        (Encoding::Snappy, snappy(&text)),
        (Encoding::Snappy, snappy_framed(&text)),
        (Encoding::Brotli, brotli),
    ];
    for round in 0..14_000 {
        let (encoding, original) = &bodies[round % bodies.len()];
        let mut body = original.clone();
        for _ in 0..=random.next_u64() % 3 {
            let at = random.next_u64() as usize % body.len();
            body[at] = random.next_u64() as u8;
        }
        body.truncate(1 + random.next_u64() as usize % (body.len() * 2));
        let mut total = 0;
        let _ = decode(*encoding, &body, 1 << 20, &mut |more| {
            total += more;
            Ok(())
        });
        assert!(total <= 1 << 20, "{encoding:?}");
    }
}
