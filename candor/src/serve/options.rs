//! What `serve` was told, checked once: from here on every value is known to make sense.

use std::borrow::Cow;
use std::path::PathBuf;

use std::time::Duration;

use candor_gate::admission::Network;
use candor_lake::Retention;
use candor_log::Limits;
use candor_streams::{ProjectOf, TokenSettings};

use crate::cli::duration::Seconds;
use crate::cli::{Global, ServeArgs};
use crate::files;

use super::{TlsFiles, folder_of};

/// Wrong usage of a flag: which, what is wrong, what to do. The program ends with 2.
#[derive(Debug, thiserror::Error)]
#[error("--{flag} {value}: {what}")]
pub struct UsageError {
    flag: &'static str,
    value: String,
    what: Cow<'static, str>,
}

/// Where metadata lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metadata {
    /// SQLite files in the data dir.
    Sqlite,
    /// PostgreSQL at this URL.
    Postgres(String),
}

/// Where objects live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectsAt {
    /// In the data dir.
    DataDir,
    /// In S3, at this URL.
    S3(String),
}

/// Where the public keys of an identity provider are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysAt {
    /// In a file.
    File(PathBuf),
    /// At this URL.
    Url(String),
}

/// An identity provider whose tokens Kafka clients may log in with.
#[derive(Debug, Clone)]
pub struct Oauth {
    /// What is checked in them.
    pub tokens: TokenSettings,
    /// By which keys.
    pub keys: KeysAt,
}

/// The checked options.
#[derive(Debug)]
pub struct Options {
    pub(super) data_dir: PathBuf,
    pub(super) listen: String,
    pub(super) otlp_grpc_listen: Option<String>,
    pub(super) kafka_listen: Option<String>,
    /// What Kafka clients are told to connect to, where it is not what is bound.
    pub(super) kafka_advertise: Option<(String, u16)>,
    /// The project of Kafka clients on loopback that prove nothing.
    pub(super) kafka_anonymous: Option<String>,
    /// Settings of Kafka's brokers.
    pub(super) kafka_settings: candor_streams::Settings,
    /// Which tokens Kafka clients may log in with.
    pub(super) kafka_oauth: Option<Oauth>,
    pub(super) metadata: Metadata,
    pub(super) objects: ObjectsAt,
    pub(super) trusted_proxies: Vec<Network>,
    pub(super) public_url: Option<String>,
    pub(super) tls: Option<TlsFiles>,
    pub(super) root_key: Option<PathBuf>,
    pub(super) ready_file: Option<PathBuf>,
    pub(super) test_clock: bool,
    /// How long rows are kept in their tables.
    pub(super) retention: Retention,
    /// The file of the policy that seeds the first start.
    pub(super) policy: Option<PathBuf>,
    /// Sizes and times of the log.
    pub(super) log_limits: Limits,
    /// Named, accepted and without effect in this release: said aloud at the start.
    pub(super) without_effect: Vec<&'static str>,
}

/// `HOST:PORT`; what the host means is found out when it is bound.
fn listen_address(flag: &'static str, value: &str) -> Result<(), UsageError> {
    let port = value.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(_) => Ok(()),
        None => Err(UsageError {
            flag,
            value: value.to_owned(),
            what: "it is no address\ngive HOST:PORT, as in 127.0.0.1:8080; port 0 takes a free one".into(),
        }),
    }
}

/// A time for which something is kept. Less than this is a slip: what is sent would be gone before it is looked at.
const KEEP_SECONDS_MIN: i64 = 60;

fn kept(flag: &'static str, value: Seconds) -> Result<Seconds, UsageError> {
    match value.0 >= KEEP_SECONDS_MIN {
        true => Ok(value),
        false => Err(UsageError {
            flag,
            value: value.to_string(),
            what: "too short\ngive at least a minute, as in 1m, 12h or 90d".into(),
        }),
    }
}

fn retention(arguments: &ServeArgs) -> Result<Retention, UsageError> {
    let micros = |flag, value| Ok(kept(flag, value)?.0 * 1_000_000);
    Ok(Retention {
        logs_us: micros("keep-logs", arguments.keep_logs)?,
        errors_us: micros("keep-errors", arguments.keep_errors)?,
        spans_us: micros("keep-spans", arguments.keep_spans)?,
    })
}

fn log_limits(arguments: &ServeArgs) -> Result<Limits, UsageError> {
    let seconds = kept("log-retention", arguments.log_retention)?.0;
    Ok(Limits {
        retention: Duration::from_secs(seconds.unsigned_abs()),
        retention_project_bytes: arguments.log_retention_mib << 20,
        ..Limits::default()
    })
}

impl Options {
    /// Checks what was said.
    pub(super) fn validate(arguments: ServeArgs, global: &Global) -> Result<Options, UsageError> {
        let (retention, log_limits) = (retention(&arguments)?, log_limits(&arguments)?);
        let kafka_oauth = oauth(&arguments)?;
        let metadata = metadata(arguments.metadata)?;
        if metadata != Metadata::Sqlite && arguments.root_key.is_none() {
            return Err(UsageError {
                flag: "metadata",
                value: "postgres".to_owned(),
                what: "the root key must be given with it\nname its file with --root-key (it is made at the first start): every node needs the same one, and without it nothing can be read".into(),
            });
        }
        if let Some(path) = &arguments.ready_file
            && !files::is_folder(folder_of(path))
        {
            return Err(UsageError {
                flag: "ready-file",
                value: path.display().to_string(),
                what: "its folder does not exist\nmake the folder or name another file".into(),
            });
        }
        listen_address("listen", &arguments.listen)?;
        if arguments.otlp_grpc_listen != "off" {
            listen_address("otlp-grpc-listen", &arguments.otlp_grpc_listen)?;
        }
        if arguments.kafka_listen != "off" {
            listen_address("kafka-listen", &arguments.kafka_listen)?;
        }
        let without_effect = [("smtp", arguments.smtp.is_some())];
        Ok(Options {
            data_dir: global.data_dir.clone(),
            listen: arguments.listen,
            otlp_grpc_listen: Some(arguments.otlp_grpc_listen).filter(|address| address != "off"),
            kafka_listen: Some(arguments.kafka_listen).filter(|address| address != "off"),
            kafka_advertise: arguments.kafka_advertise.map(advertised).transpose()?,
            kafka_anonymous: arguments.kafka_anonymous,
            kafka_settings: kafka_settings(arguments.kafka_set)?,
            kafka_oauth,
            metadata,
            objects: objects(arguments.objects)?,
            trusted_proxies: arguments
                .trusted_proxy
                .into_iter()
                .map(trusted_proxy)
                .collect::<Result<_, _>>()?,
            public_url: arguments.public_url.map(public_url).transpose()?,
            tls: arguments.tls_cert.zip(arguments.tls_key),
            root_key: arguments.root_key,
            ready_file: arguments.ready_file,
            test_clock: arguments.test_clock,
            policy: arguments.policy,
            retention,
            log_limits,
            without_effect: without_effect
                .into_iter()
                .filter(|(_, set)| *set)
                .map(|(flag, _)| flag)
                .collect(),
        })
    }
}

/// `NAME=VALUE`, each.
fn kafka_settings(given: Vec<String>) -> Result<candor_streams::Settings, UsageError> {
    let mut settings = candor_streams::Settings::default();
    for text in given {
        let set = match text.split_once('=') {
            Some((name, value)) => settings.set(name.trim(), value.trim()).map_err(|why| why.to_string()),
            None => Err("give NAME=VALUE, as in auto.create.topics.enable=false".to_owned()),
        };
        set.map_err(|what| UsageError { flag: "kafka-set", value: text, what: what.into() })?;
    }
    Ok(settings)
}

fn oauth(arguments: &ServeArgs) -> Result<Option<Oauth>, UsageError> {
    // That these come together is the command line's to see to.
    let (Some(issuer), Some(keys), Some(audience)) =
        (&arguments.kafka_oauth_issuer, &arguments.kafka_oauth_jwks, &arguments.kafka_oauth_audience)
    else {
        return Ok(None);
    };
    let project = match (&arguments.kafka_oauth_project_claim, &arguments.kafka_oauth_project) {
        (Some(claim), _) => ProjectOf::Claim(claim.clone()),
        (None, Some(project)) => ProjectOf::All(project.clone()),
        (None, None) => {
            return Err(UsageError {
                flag: "kafka-oauth-issuer",
                value: issuer.clone(),
                what: "which project do its tokens open?\nname the claim that says so with \
                       --kafka-oauth-project-claim, or one project for all with --kafka-oauth-project"
                    .into(),
            });
        }
    };
    let tokens = TokenSettings {
        issuer: issuer.clone(),
        audience: audience.clone(),
        user_claim: arguments.kafka_oauth_user_claim.clone(),
        project,
    };
    Ok(Some(Oauth { tokens, keys: keys_at(keys)? }))
}

/// Keys that others could change on the way would let anybody in: without TLS they come from this machine alone.
fn keys_at(text: &str) -> Result<KeysAt, UsageError> {
    if !text.contains("://") {
        return Ok(KeysAt::File(text.into()));
    }
    let uri: Option<http::Uri> = text.parse().ok();
    let is_fine = uri.is_some_and(|uri| {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_here = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        !host.is_empty() && (uri.scheme_str() == Some("https") || uri.scheme_str() == Some("http") && is_here)
    });
    match is_fine {
        true => Ok(KeysAt::Url(text.to_owned())),
        false => Err(UsageError {
            flag: "kafka-oauth-jwks",
            value: text.to_owned(),
            what: "not a place for keys\ngive a file, or a URL as in https://id.example.org/keys; http:// is for an \
                   address of loopback alone"
                .into(),
        }),
    }
}

/// `HOST:PORT` as clients are told it.
fn advertised(text: String) -> Result<(String, u16), UsageError> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() && port > 0 => Ok((host.to_owned(), port)),
        _ => Err(UsageError {
            flag: "kafka-advertise",
            value: text,
            what: "it is no address\ngive HOST:PORT, as in kafka.example.org:9092".into(),
        }),
    }
}

fn metadata(url: Option<String>) -> Result<Metadata, UsageError> {
    match url {
        None => Ok(Metadata::Sqlite),
        Some(url) if url == "sqlite" => Ok(Metadata::Sqlite),
        Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(Metadata::Postgres(url))
        }
        Some(url) => Err(UsageError {
            flag: "metadata",
            // A URL may hold a password: its scheme says enough.
            value: url.split("://").next().unwrap_or_default().to_owned(),
            what: "not a place for metadata\ngive postgres://user@host/database, or leave the flag out for SQLite".into(),
        }),
    }
}

fn objects(url: Option<String>) -> Result<ObjectsAt, UsageError> {
    match url {
        None => Ok(ObjectsAt::DataDir),
        Some(url) if url.strip_prefix("s3://").is_some_and(|rest| !rest.is_empty()) => Ok(ObjectsAt::S3(url)),
        Some(url) => Err(UsageError {
            flag: "objects",
            value: url,
            what: "not a place for data\ngive s3://bucket/prefix, or leave the flag out for files in the data dir".into(),
        }),
    }
}

fn trusted_proxy(text: String) -> Result<Network, UsageError> {
    text.parse().map_err(|_| UsageError {
        flag: "trusted-proxy",
        value: text,
        what: "not a network\ngive a CIDR, as in 10.0.0.0/8".into(),
    })
}

fn public_url(url: String) -> Result<String, UsageError> {
    let trimmed = url.trim_end_matches('/').to_owned();
    let parsed: Option<http::Uri> = trimmed.parse().ok();
    let fits = parsed.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            && uri.path().len() <= 1
    });
    if fits {
        Ok(trimmed)
    } else {
        Err(UsageError {
            flag: "public-url",
            value: url,
            what: "not the URL of a host\ngive scheme and host, as in https://candor.example.org".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn serve(line: &str) -> ServeArgs {
        let cli = crate::cli::Cli::try_parse_from(line.split_whitespace()).expect(line);
        let crate::cli::Command::Serve(arguments) = cli.command else { panic!("serve") };
        *arguments
    }

    #[test]
    fn what_is_kept_follows_the_flags_and_by_default_the_constants() {
        let plain = serve("candor serve");
        assert_eq!(retention(&plain).expect("valid"), Retention::default());
        let limits = log_limits(&plain).expect("valid");
        assert_eq!(limits.retention, Limits::default().retention);
        assert_eq!(limits.retention_project_bytes, Limits::default().retention_project_bytes);

        let set = serve(
            "candor serve --keep-logs 7d --keep-errors 2h --keep-spans 90 --log-retention 5m --log-retention-mib 3",
        );
        let second = 1_000_000;
        let expected =
            Retention { logs_us: 7 * 86_400 * second, errors_us: 7_200 * second, spans_us: 90 * second };
        assert_eq!(retention(&set).expect("valid"), expected);
        let limits = log_limits(&set).expect("valid");
        assert_eq!((limits.retention.as_secs(), limits.retention_project_bytes), (300, 3 << 20));

        let set = kafka_settings(
            serve("candor serve --kafka-set num.partitions=2,auto.create.topics.enable=false").kafka_set,
        );
        assert!(set.is_ok(), "{set:?}");
        for (bad, why) in [
            ("num.partitions=0", "it is a number"),
            ("num.partitions", "give NAME=VALUE"),
            ("x=1", "there is no such"),
        ] {
            let refused = kafka_settings(vec![bad.to_owned()]).expect_err(bad).to_string();
            assert!(refused.starts_with(&format!("--kafka-set {bad}: {why}")), "{refused}");
        }

        let refused = retention(&serve("candor serve --keep-errors 0s")).expect_err("too short").to_string();
        assert!(refused.starts_with("--keep-errors 0s: too short"), "{refused}");
        assert!(log_limits(&serve("candor serve --log-retention 59s")).is_err());
    }

    #[test]
    fn tokens_name_their_project_and_keys_come_safely() {
        assert!(oauth(&serve("candor serve")).expect("valid").is_none());
        let line = "candor serve --kafka-oauth-issuer https://id.example.org --kafka-oauth-audience kafka --kafka-oauth-jwks";
        let refused = oauth(&serve(&format!("{line} keys.json"))).expect_err("no project").to_string();
        assert!(refused.contains("--kafka-oauth-project-claim"), "{refused}");
        let of = |keys: &str| {
            oauth(&serve(&format!("{line} {keys} --kafka-oauth-project shop"))).map(Option::unwrap)
        };
        let found = of("keys.json").expect("valid");
        assert_eq!(found.keys, KeysAt::File("keys.json".into()));
        assert_eq!(found.tokens.project, ProjectOf::All("shop".to_owned()));
        assert_eq!(found.tokens.user_claim, "sub");
        for url in ["https://id.example.org/keys", "http://127.0.0.1:8080/keys", "http://[::1]/keys"] {
            assert_eq!(of(url).expect(url).keys, KeysAt::Url(url.to_owned()));
        }
        for url in [
            "http://id.example.org/keys",
            "http://10.0.0.1/keys",
            "ftp://id.example.org/keys",
            "https://",
            "http://localhost/",
        ] {
            assert!(
                of(url).is_err_and(|refused| refused.to_string().contains("not a place for keys")),
                "{url}"
            );
        }
        for wrong in [
            "candor serve --kafka-oauth-issuer x",
            "candor serve --kafka-oauth-issuer x --kafka-oauth-jwks y",
            "candor serve --kafka-oauth-jwks y",
            "candor serve --kafka-oauth-project shop",
        ] {
            assert!(crate::cli::Cli::try_parse_from(wrong.split_whitespace()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn urls_are_checked_before_anything_starts() {
        assert_eq!(
            public_url("https://c.example.org/".to_owned()).ok().as_deref(),
            Some("https://c.example.org")
        );
        for bad in [
            "c.example.org",
            "ftp://c.example.org",
            "https://c.example.org/path",
            "https://c.example.org?x=1",
        ] {
            assert!(public_url(bad.to_owned()).is_err(), "{bad}");
        }
        assert_eq!(metadata(None).ok(), Some(Metadata::Sqlite));
        assert!(
            metadata(Some("mysql://root:secret@host".to_owned()))
                .is_err_and(|e| !e.to_string().contains("secret"))
        );
        assert!(objects(Some("s3://".to_owned())).is_err());
        assert!(trusted_proxy("10.0.0.0/8".to_owned()).is_ok());
        assert!(trusted_proxy("proxy.example.org".to_owned()).is_err());
        assert_eq!(objects(Some("s3://b/p".to_owned())).ok(), Some(ObjectsAt::S3("s3://b/p".to_owned())));
    }
}
