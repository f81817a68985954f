//! Answers to ingest come later while the lake is behind, so that producers feel it before they are refused.
//!
//! The answer waits, not the request: by then its records are stored and shown, and its body is no longer in memory.
//! A sender with one request at a time, as SDKs and shippers are, sends so much less; one that does not wait for
//! answers reaches the refusal, which is answered at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use candor_lake::Pressure;
use http::Method;

/// Longest delay. Clients wait 5 s and more for an answer, and a stop drains for 3 s.
const DELAY_MAX: Duration = Duration::from_secs(1);

/// How answers are delayed. Cheap to clone.
#[derive(Clone)]
pub struct Pace {
    pressure: Arc<dyn Fn() -> Pressure + Send + Sync>,
    delayed_us: Arc<AtomicU64>,
}

impl Pace {
    /// By that pressure.
    pub fn new(pressure: impl Fn() -> Pressure + Send + Sync + 'static) -> Pace {
        Pace { pressure: Arc::new(pressure), delayed_us: Arc::default() }
    }

    /// All delays since the start.
    pub fn delayed(&self) -> Duration {
        Duration::from_micros(self.delayed_us.load(Ordering::Relaxed))
    }

    /// How much later to answer: next to nothing at the bound, growing with the square of what is past it, so that
    /// a burst that publishing is about to take away costs little.
    fn delay(&self) -> Option<Duration> {
        let Pressure::Slow { percent } = (self.pressure)() else { return None };
        let share = f64::from(percent.min(99) + 1) / 100.0;
        Some(DELAY_MAX.mul_f64(share * share))
    }
}

/// Serves a request; what was taken in is answered as late as the pace asks.
pub async fn paced(State(pace): State<Pace>, request: Request, next: Next) -> Response {
    let takes_in = matches!(*request.method(), Method::POST | Method::PUT);
    let response = next.run(request).await;
    if takes_in
        && response.status().is_success()
        && let Some(delay) = pace.delay()
    {
        tokio::time::sleep(delay).await;
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        pace.delayed_us.fetch_add(micros, Ordering::Relaxed);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use http::StatusCode;
    use tower::ServiceExt;

    use super::*;

    async fn took(pressure: Pressure, method: Method, status: StatusCode) -> (Duration, Pace) {
        let pace = Pace::new(move || pressure);
        let router = Router::new().route("/", post(move || async move { status }).options(|| async {}));
        let router = router.layer(from_fn_with_state(pace.clone(), paced));
        let request = Request::builder().method(method).body(Body::empty()).expect("a request");
        let began = tokio::time::Instant::now();
        router.oneshot(request).await.expect("an answer");
        (began.elapsed(), pace)
    }

    #[tokio::test(start_paused = true)]
    async fn answers_come_later_the_nearer_the_refusal_is() {
        let mut last = Duration::ZERO;
        for (percent, expected_ms) in [(0, 0), (9, 10), (49, 250), (99, 1000)] {
            let (took, pace) = took(Pressure::Slow { percent }, Method::POST, StatusCode::OK).await;
            assert!(took.as_millis().abs_diff(expected_ms) <= 2 && took > last, "{percent}: {took:?}");
            assert!(took.abs_diff(pace.delayed()) <= Duration::from_millis(2), "{:?}", pace.delayed());
            last = took;
        }
        assert!(last <= DELAY_MAX + Duration::from_millis(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_nothing_in_is_answered_at_once() {
        let slow = Pressure::Slow { percent: 90 };
        for (pressure, method, status) in [
            (Pressure::None, Method::POST, StatusCode::OK),
            (Pressure::Refuse, Method::POST, StatusCode::OK),
            (slow, Method::OPTIONS, StatusCode::OK),
            (slow, Method::POST, StatusCode::UNAUTHORIZED),
        ] {
            let (took, pace) = took(pressure, method.clone(), status).await;
            assert!(took < Duration::from_millis(2), "{pressure:?} {method} {status}: {took:?}");
            assert_eq!(pace.delayed(), Duration::ZERO);
        }
    }
}
