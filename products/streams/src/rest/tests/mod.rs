//! The routes over a house in memory, asked as a client would.

mod consumers;
mod produce;
mod read;
mod resources;
mod wrong;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use candor_gate::admission::{Admission, Limits};
use candor_model::Clock;
use candor_model::time::ManualClock;
use data_encoding::BASE64;
use http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use super::{RestState, routes};
use crate::auth::credentials::ScramChange;
use crate::auth::mechanism::Hash;
use crate::testing::House;

/// The password of a user that may do what rules allow.
const GUEST: &str = "a guest's password";

/// Longest answer, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A house and its routes.
struct Web {
    house: House,
    router: Router,
    /// `Authorization` of a user that may do everything.
    owner: String,
    cluster: String,
}

/// What came back.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    headers: http::HeaderMap,
    text: String,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}", self.text))
    }

    /// One JSON value a line, as a stream is answered.
    fn lines(&self) -> Vec<Value> {
        self.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
}

impl Web {
    async fn new() -> Web {
        let house = House::new().await;
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&house.clock);
        let admission = Admission::new(house.tenancy.clone(), Arc::clone(&clock), Limits::default());
        let random = Arc::new(candor_model::random::Seeded::new(3));
        let base = Arc::new(|_: &http::HeaderMap| "http://host".to_owned());
        let router = routes(RestState::new(house.streams.clone(), admission, clock, random, base));
        let user = house.streams.credentials().create(house.project(), "web").await.unwrap();
        let mut web =
            Web { house, router, owner: basic(&user.username, &user.password), cluster: String::new() };
        let clusters = web.get("/kafka/v3/clusters").await.json();
        web.cluster = clusters["data"][0]["cluster_id"].as_str().unwrap().to_owned();
        web
    }

    /// `Authorization` of a user that may do nothing yet.
    async fn guest(&self) -> String {
        let iterations = NonZeroU32::new(4096).unwrap();
        let salt = b"salt".to_vec();
        let mut salted = vec![0; 32];
        let algorithm = ring::pbkdf2::PBKDF2_HMAC_SHA256;
        ring::pbkdf2::derive(algorithm, iterations, &salt, GUEST.as_bytes(), &mut salted);
        let put = ScramChange::Put { hash: Hash::Sha256, iterations: 4096, salt, salted };
        let credentials = self.house.streams.credentials();
        credentials.change_scram(self.house.project(), "guest", vec![put]).await.unwrap();
        basic("guest", GUEST)
    }

    fn v3(&self, path: &str) -> String {
        format!("/kafka/v3/clusters/{}{path}", self.cluster)
    }

    async fn send(&self, request: Request<Body>) -> Answered {
        let mut request = request;
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answered { status: parts.status, headers: parts.headers, text }
    }

    async fn ask(&self, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Answered {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", &self.owner).header("content-type", kind);
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, "", Body::empty()).await
    }

    async fn post(&self, path: &str, body: impl ToString) -> Answered {
        self.ask("POST", path, "application/json", body.to_string()).await
    }

    /// Makes a topic.
    async fn topic(&self, name: &str, partitions: u32) {
        let body = serde_json::json!({ "topic_name": name, "partitions_count": partitions });
        assert_eq!(self.post(&self.v3("/topics"), body).await.status, StatusCode::CREATED);
    }
}
