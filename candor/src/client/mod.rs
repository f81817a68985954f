//! How commands talk to a server: found by its data dir, or named with `--server` and `--token`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::cli::Global;
use crate::{data_dir, logging};

/// Time to reach the server; answers take as long as they take.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

/// A server that answers.
pub struct Client {
    http: reqwest::Client,
    base: String,
    screen: String,
    token: String,
    data_dir: Option<PathBuf>,
}

impl Client {
    /// Finds the server that the flags name.
    pub fn find(global: &Global) -> Result<Client> {
        match &global.server {
            Some(server) => {
                let Some(token) = &global.token else {
                    bail!(
                        "--server needs a token\nmake one in the settings of the screen and give it with --token or CANDOR_TOKEN"
                    );
                };
                let base = server.trim_end_matches('/').to_owned();
                if !base.starts_with("http://") && !base.starts_with("https://") {
                    bail!(
                        "--server {base}: not a URL\ngive it with its scheme, as in https://candor.example.org"
                    );
                }
                let http = builder().build().context("cannot set up HTTP")?;
                Ok(Client { http, screen: base.clone(), base, token: token.clone(), data_dir: None })
            }
            None => {
                let root = &global.data_dir;
                let shown = root.display();
                if !data_dir::is_data_dir(root) {
                    bail!(
                        "{shown} is no data dir\nname it with --data-dir, or a server with --server and --token; \
                         `candor serve` makes one"
                    );
                }
                let Some(address) = data_dir::read_address(root)? else {
                    bail!("no server runs in {shown}\nstart one: candor serve --data-dir {shown}");
                };
                let token = match &global.token {
                    Some(token) => token.clone(),
                    None => data_dir::read_admin_key(root)?,
                };
                // A proxy of the environment has no business between us and our own machine.
                let http = builder().no_proxy().build().context("cannot set up HTTP")?;
                let data_dir = Some(root.clone());
                Ok(Client { http, base: address.url, screen: address.screen, token, data_dir })
            }
        }
    }

    /// Where the server is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Where people find the server's screen, without `/app/`.
    pub fn screen(&self) -> &str {
        &self.screen
    }

    /// The data dir that the server was found by.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// A request without our token: the ingest paths take keys of their own.
    pub fn plain(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// A request as the caller.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.plain(method, path).bearer_auth(&self.token)
    }

    /// Sends a request; an answer that is no success is an error with the server's own words.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_timeout() => match &self.data_dir {
                Some(root) => bail!(
                    "the server of {shown} does not answer at {base}\nstart one: candor serve --data-dir {shown}",
                    shown = root.display(),
                    base = self.base
                ),
                None => bail!(
                    "no server answers at {}: {}\ncheck the URL and that it runs; SSL_CERT_FILE names certificates to trust",
                    self.base,
                    logging::chain(&error.without_url())
                ),
            },
            Err(error) => return Err(error.without_url()).context("the server broke off"),
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem: Value = response.json().await.unwrap_or(Value::Null);
        let field = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (title, detail) = (field("title"), field("detail"));
        match (title.is_empty(), detail.is_empty()) {
            (true, true) => bail!("the server answered {status}"),
            (_, false) => bail!("{detail}"),
            (false, true) => bail!("{title}"),
        }
    }

    /// Sends JSON and reads JSON.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = self.send(request).await?;
        let text =
            response.bytes().await.map_err(reqwest::Error::without_url).context("the server broke off")?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&text).context("the server's answer is no JSON: is it candor?")
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_WAIT_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("candor/", env!("CARGO_PKG_VERSION")))
}

/// A name as one segment of a path: `org/name` too.
pub fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn names_become_one_segment() {
        assert_eq!(segment("acme/shop-1"), "acme%2Fshop-1");
        assert_eq!(segment("a b?ü"), "a%20b%3F%C3%BC");
    }
}
