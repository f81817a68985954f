//! Objects in S3 or what speaks its protocol. Keys are unique and puts conditional (`If-None-Match: *`), so that no
//! object is ever overwritten, even by a put that was given up and arrives late.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    RetryConfig,
};

use super::{ObjectError, Objects};

/// Tries of one put, ours; each has the client's own retries of what the server refused (5xx, SlowDown).
const PUT_TRIES: u32 = 4;

/// A request that takes longer is given up and tried again: an 8 MiB segment at 1 MB/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// All retries of one request together: callers answer 503 after that.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest pause between retries of one request: when the store is back, who waits for it learns so within this.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(400);

/// The shortest of these pauses.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);

/// Retries of one request: never fewer than [`RETRY_TIMEOUT`] has room for. A refused connection takes no time.
const RETRIES_MAX: usize = (RETRY_TIMEOUT.as_millis() / RETRY_PAUSE_MIN.as_millis()) as usize;

/// What [`S3Objects::try_out`] may take: somebody waits for the start.
const TRY_OUT_WITHIN: Duration = Duration::from_secs(15);

/// How soon a store answers that is there.
const REACHABLE_WITHIN: Duration = Duration::from_secs(3);

/// Where objects lie that are made to see whether they can be.
const PROBES: &str = "probe/";

/// Objects in a bucket, below a prefix. Cheap to clone.
#[derive(Clone)]
pub struct S3Objects {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl S3Objects {
    /// From `s3://bucket/prefix`; endpoint, region and keys as the AWS SDKs read them from the environment.
    pub fn from_url(url: &str) -> Result<S3Objects, ObjectError> {
        S3Objects::from_builder(url, AmazonS3Builder::from_env())
    }

    /// From `s3://bucket/prefix` with endpoint, region and keys as given.
    pub fn with_credentials(
        url: &str,
        endpoint: &str,
        region: &str,
        access_key: &str,
        secret_key: &str,
    ) -> Result<S3Objects, ObjectError> {
        let builder = AmazonS3Builder::new()
            .with_endpoint(endpoint)
            .with_region(region)
            .with_access_key_id(access_key)
            .with_secret_access_key(secret_key)
            .with_allow_http(endpoint.starts_with("http://"));
        S3Objects::from_builder(url, builder)
    }

    /// Tries what is needed: that the bucket is there, takes and gives objects, and keeps one that is there from being
    /// overwritten, on which a put that is repeated rests. `name` is of this attempt alone.
    pub async fn try_out(&self, name: &str) -> Result<(), ObjectError> {
        let key = format!("{PROBES}{name}");
        let no_bucket = || ObjectError::Failed {
            operation: "put",
            key: key.clone(),
            source: "there is no such bucket".into(),
        };
        let tried = async {
            self.put(&key, Bytes::from_static(b"candor was here")).await.map_err(|error| match error {
                ObjectError::NotFound(_) => no_bucket(),
                error => error,
            })?;
            let read = self.get_range(&key, 0..100).await?;
            let overwritten = match self.put(&key, Bytes::from_static(b"and here")).await {
                Err(ObjectError::Exists(_)) => false,
                Ok(()) => true,
                Err(error) => return Err(error),
            };
            self.delete(&key).await?;
            if overwritten || read != "candor was here" {
                let source = "it does not honour If-None-Match: objects would be overwritten".into();
                return Err(ObjectError::Failed { operation: "put", key: key.clone(), source });
            }
            Ok(())
        };
        let slow = || ObjectError::Failed {
            operation: "put",
            key: key.clone(),
            source: format!("no answer within {} s", TRY_OUT_WITHIN.as_secs()).into(),
        };
        tokio::time::timeout(TRY_OUT_WITHIN, tried).await.unwrap_or_else(|_| Err(slow()))
    }

    /// Whether the store answers at all.
    pub async fn is_reachable(&self) -> bool {
        let asked = tokio::time::timeout(REACHABLE_WITHIN, self.size(&format!("{PROBES}none"))).await;
        matches!(asked, Ok(Ok(_) | Err(ObjectError::NotFound(_))))
    }

    fn from_builder(url: &str, builder: AmazonS3Builder) -> Result<S3Objects, ObjectError> {
        let refuse = |why: &str| ObjectError::Failed {
            operation: "open",
            key: url.to_owned(),
            source: why.to_owned().into(),
        };
        let rest = url.strip_prefix("s3://").ok_or_else(|| refuse("not an s3:// address"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(refuse("the bucket's name is missing"));
        }
        // An endpoint of one's own is often a plain one on the same machine; the SDKs take it without more ado.
        let plain = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
            .iter()
            .any(|name| std::env::var(name).is_ok_and(|endpoint| endpoint.starts_with("http://")));
        let builder = if plain { builder.with_allow_http(true) } else { builder };
        let client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT);
        let client = client.with_allow_http(plain || builder_allows_http(&builder));
        let store = builder
            .with_bucket_name(bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_client_options(client)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: RETRY_PAUSE_MIN,
                    max_backoff: RETRY_PAUSE_MAX,
                    ..BackoffConfig::default()
                },
                max_retries: RETRIES_MAX,
                retry_timeout: RETRY_TIMEOUT,
            })
            .build()
            .map_err(|error| ObjectError::Failed {
                operation: "open",
                key: url.to_owned(),
                source: Box::new(error),
            })?;
        Ok(S3Objects { store: Arc::new(store), prefix: prefix.trim_matches('/').to_owned() })
    }

    fn path(&self, key: &str) -> Path {
        if self.prefix.is_empty() { Path::from(key) } else { Path::from(format!("{}/{key}", self.prefix)) }
    }

    async fn get(&self, key: &str, range: Range<u64>) -> Result<(Bytes, u64), ObjectError> {
        if range.start >= range.end {
            return Ok((Bytes::new(), self.size(key).await?));
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let result = self.store.get_opts(&self.path(key), options).await;
        let result = result.map_err(|error| failed("get", key, error))?;
        let size = result.meta.size;
        Ok((result.bytes().await.map_err(|error| failed("get", key, error))?, size))
    }
}

fn builder_allows_http(builder: &AmazonS3Builder) -> bool {
    let key = object_store::aws::AmazonS3ConfigKey::Client(object_store::ClientConfigKey::AllowHttp);
    builder.get_config_value(&key).is_some_and(|value| value == "true")
}

#[async_trait]
impl Objects for S3Objects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let path = self.path(key);
        let mut tried = 0;
        let until = tokio::time::Instant::now() + RETRY_TIMEOUT;
        loop {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let error = match self.store.put_opts(&path, bytes.clone().into(), options).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            tried += 1;
            match error {
                // The answer to an earlier try of ours may have been lost: then the object is there, and is this.
                object_store::Error::AlreadyExists { .. } => {
                    let whole = 0..bytes.len() as u64 + 1;
                    return match self.get_range(key, whole).await? == bytes {
                        true => Ok(()),
                        false => Err(ObjectError::Exists(key.to_owned())),
                    };
                }
                error if tried >= PUT_TRIES || tokio::time::Instant::now() >= until => {
                    return Err(failed("put", key, error));
                }
                error @ (object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. }
                | object_store::Error::NotImplemented { .. }
                | object_store::Error::NotFound { .. }) => return Err(failed("put", key, error)),
                error => {
                    tracing::debug!(tried, error = %error, "put failed, trying again");
                    tokio::time::sleep(Duration::from_millis(50 << tried)).await;
                }
            }
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        Ok(self.get(key, range).await?.0)
    }

    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        let meta = self.store.head(&self.path(key)).await;
        Ok(meta.map_err(|error| failed("stat", key, error))?.size)
    }

    async fn get_start(&self, key: &str, length: u64) -> Result<(Bytes, u64), ObjectError> {
        self.get(key, 0..length).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        match self.store.delete(&self.path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", key, error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        // S3 knows prefixes of text, this client those of whole path parts: list the folder, then compare.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let below = self.path(folder);
        let cut = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let below = (!below.as_ref().is_empty()).then_some(&below);
        let metas: Vec<_> = self
            .store
            .list(below)
            .try_collect()
            .await
            .map_err(|error: object_store::Error| failed("list", prefix, error))?;
        let mut keys: Vec<String> = metas
            .iter()
            .filter_map(|meta| meta.location.as_ref().get(cut..))
            .filter(|key| key.starts_with(prefix))
            .map(str::to_owned)
            .collect();
        keys.sort_unstable();
        Ok(keys)
    }
}

fn failed(operation: &'static str, key: &str, error: object_store::Error) -> ObjectError {
    match error {
        object_store::Error::NotFound { .. } => ObjectError::NotFound(key.to_owned()),
        object_store::Error::AlreadyExists { .. } => ObjectError::Exists(key.to_owned()),
        error => ObjectError::Failed { operation, key: key.to_owned(), source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn a_store_that_is_away_for_longer_than_ten_tries_is_waited_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let served = std::thread::spawn(move || {
            let mut hung_up = 0;
            for stream in listener.incoming() {
                let mut stream = stream.expect("connects");
                if hung_up < 14 {
                    hung_up += 1;
                    continue;
                }
                let _ = stream.read(&mut [0; 4096]);
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"e\"\r\n\
                              Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nConnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).expect("answers");
                return hung_up;
            }
            hung_up
        });
        let s3 = S3Objects::with_credentials("s3://bucket", &endpoint, "us-east-1", "key", "secret");
        let size = s3.expect("is built").size("there").await;
        assert_eq!(size.expect("is told in the end"), 5);
        assert_eq!(served.join().expect("serves"), 14);
    }
}
