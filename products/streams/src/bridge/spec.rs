//! What a bridge is told to do: which cluster, which way, which topics, under which names.

use serde::{Deserialize, Serialize};

use super::BridgeError;

/// Longest name of a bridge: it stands in the names of its group and its transactions.
const NAME_MAX: usize = 60;

/// Longest topic name (Kafka's `Topic.MAX_NAME_LENGTH`), so longest pattern and prefix too.
const TOPIC_MAX: usize = 249;

/// Servers to begin with, and patterns of topics: more than people write by hand.
const LIST_MAX: usize = 200;

/// Longest certificate bundle, bytes: a system's whole one has some 200 KiB.
const CA_BYTES_MAX: usize = 256 << 10;

/// Longest user name, password or host, bytes.
const TEXT_MAX: usize = 512;

/// Topics in which Apache Kafka keeps its own state. They say nothing anywhere else.
const NEVER: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// How names of topics begin that only a pattern that begins so too takes.
const MARKED: [&str; 3] = ["__", "_schemas", SIGNALS];

/// How the names of signals begin.
const SIGNALS: &str = "candor.";

/// Which way records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the other cluster into the project.
    Pull,
    /// From the project into the other cluster.
    Push,
}

/// Where a topic is begun that was not mirrored yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the oldest record that its log has.
    #[default]
    Earliest,
    /// With what comes from now on; one that is made later with its oldest record too.
    Latest,
}

/// How the other cluster is logged in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// The password as it is.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 7677.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with the longer hash.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    /// The name in SASL.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A password. It is never shown and never written in the clear.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Secret(pub(super) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Who logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// How.
    pub mechanism: Mechanism,
    /// As whom.
    pub username: String,
    /// Given when the bridge is made; kept sealed beside it.
    #[serde(default, skip_serializing)]
    pub(super) password: Option<Secret>,
}

/// What a bridge is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name, one in a project.
    pub name: String,
    /// Which way records go.
    pub direction: Direction,
    /// The other cluster's servers to begin with, as `host:port`.
    pub bootstrap: Vec<String>,
    /// Whether it is spoken to over TLS.
    #[serde(default)]
    pub tls: bool,
    /// Certificates to trust (PEM) in the place of the system's.
    #[serde(default)]
    pub ca: Option<String>,
    /// Who logs in; nobody has to where there is none.
    #[serde(default)]
    pub sasl: Option<Login>,
    /// Names of topics, `*` standing for any characters.
    #[serde(default = "all")]
    pub topics: Vec<String>,
    /// Those of them that are left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// What names begin with on the other side.
    #[serde(default)]
    pub prefix: String,
    /// Where a topic is begun.
    #[serde(default)]
    pub start: Start,
    /// Whether the offsets of consumer groups are carried over.
    #[serde(default)]
    pub groups: bool,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

fn is_name(text: &str, more: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c) || more.contains(c))
}

/// Parts `host:port`, IPv6 in brackets.
pub(super) fn server(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_host = !host.is_empty() && host.len() <= TEXT_MAX && !host.contains(['/', '@', ' ']);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    is_host.then(|| (host.to_owned(), port))
}

/// Whether a host is this machine by what it is called.
fn is_loopback(host: &str) -> bool {
    let is_address = |ip: std::net::IpAddr| ip.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_address)
}

/// Whether a name is as the pattern says, `*` standing for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

impl Spec {
    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> Result<(), BridgeError> {
        self.check_but_password()?;
        match &self.sasl {
            Some(Login { password: None, .. }) => {
                Err(BridgeError::Refused("a log in takes a password".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The same where a password is known already.
    pub(super) fn check_but_password(&self) -> Result<(), BridgeError> {
        let refused = |why: String| Err(BridgeError::Refused(why));
        if self.name.is_empty() || self.name.len() > NAME_MAX || !is_name(&self.name, "") {
            return refused(format!(
                "a bridge's name has 1 to {NAME_MAX} letters, digits, dots, dashes and underscores"
            ));
        }
        if self.bootstrap.is_empty() || self.bootstrap.len() > LIST_MAX {
            return refused("name at least one server of the other cluster, as host:port".to_owned());
        }
        if let Some(wrong) = self.bootstrap.iter().find(|text| server(text).is_none()) {
            return refused(format!("{wrong:?} is no server: give host:port, as in kafka.example.org:9092"));
        }
        if self.topics.is_empty() || self.topics.len().max(self.exclude.len()) > LIST_MAX {
            return refused(format!("name 1 to {LIST_MAX} topics or patterns"));
        }
        for pattern in self.topics.iter().chain(&self.exclude) {
            if pattern.is_empty() || pattern.len() > TOPIC_MAX || !is_name(pattern, "*") {
                return refused(format!(
                    "{pattern:?} is no topic: letters, digits, dots, dashes, underscores, and * for any"
                ));
            }
        }
        if self.prefix.len() > TOPIC_MAX / 2 || !is_name(&self.prefix, "") {
            return refused("a prefix is made of letters, digits, dots, dashes and underscores".to_owned());
        }
        if self.ca.as_ref().is_some_and(|_| !self.tls) {
            return refused("certificates to trust say nothing without TLS".to_owned());
        }
        if let Some(ca) = &self.ca {
            if ca.len() > CA_BYTES_MAX {
                return refused(format!("the certificates are longer than {CA_BYTES_MAX} bytes"));
            }
            super::client::tls::roots(ca).map_err(BridgeError::Refused)?;
        }
        if let Some(login) = &self.sasl {
            let is_text = |text: &str| !text.is_empty() && text.len() <= TEXT_MAX && !text.contains('\0');
            if !is_text(&login.username) || login.password.as_ref().is_some_and(|given| !is_text(&given.0)) {
                return refused("a log in takes a user's name and password".to_owned());
            }
            let far =
                self.bootstrap.iter().find(|text| server(text).is_some_and(|(host, _)| !is_loopback(&host)));
            if let Some(far) = far.filter(|_| login.mechanism == Mechanism::Plain && !self.tls) {
                return refused(format!(
                    "PLAIN without TLS would send the password to {far} for everybody on the way to read: turn TLS \
                     on, or log in by SCRAM-SHA-512"
                ));
            }
        }
        Ok(())
    }

    /// Whether a password that was given for `before` may be used for this: it goes to the same servers, as secretly,
    /// for the same user. Else whoever changes a bridge could have it sent to a server of his own.
    pub(super) fn is_logged_in_as(&self, before: &Spec) -> bool {
        let who = |spec: &Spec| spec.sasl.as_ref().map(|login| (login.mechanism, login.username.clone()));
        (&self.bootstrap, self.tls, &self.ca, who(self))
            == (&before.bootstrap, before.tls, &before.ca, who(before))
    }

    /// Whether a topic of the source is mirrored. Internal ones and signals are taken only where they are meant.
    pub(super) fn takes(&self, topic: &str) -> bool {
        let is_meant = |pattern: &&String| {
            MARKED.iter().all(|mark| !topic.starts_with(mark) || pattern.starts_with(mark))
                && matches(pattern, topic)
        };
        !NEVER.contains(&topic)
            && self.topics.iter().any(|pattern| is_meant(&pattern))
            && !self.exclude.iter().any(|pattern| matches(pattern, topic))
    }

    /// Its name at the target; why it cannot have one else.
    pub(super) fn target(&self, topic: &str) -> Result<String, String> {
        let target = format!("{}{topic}", self.prefix);
        if target.len() > TOPIC_MAX {
            return Err(format!("its name would be longer than {TOPIC_MAX} characters with the prefix"));
        }
        if self.direction == Direction::Pull && target.starts_with(SIGNALS) {
            return Err(format!(
                "names that begin with {SIGNALS} are Candor's own: give the bridge a prefix"
            ));
        }
        Ok(target)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn spec(topics: &[&str], exclude: &[&str]) -> Spec {
        let list = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Spec {
            name: "b".to_owned(),
            direction: Direction::Pull,
            bootstrap: vec!["localhost:9092".to_owned()],
            tls: false,
            ca: None,
            sasl: None,
            topics: list(topics),
            exclude: list(exclude),
            prefix: String::new(),
            start: Start::Earliest,
            groups: false,
        }
    }

    #[test]
    fn patterns_say_which_topics_are_meant() {
        for (pattern, name, is) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "abc", true),
            ("*", "", true),
            ("*c", "abc", true),
            ("*b", "abc", false),
            ("a*c", "abbc", true),
            ("a*b*c", "axbyc", true),
            ("a*b*c", "axcyb", false),
            ("ab*ba", "aba", false),
            ("a**", "a", true),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
        let every = spec(&["*"], &["no-*"]);
        for (name, is) in [
            ("orders", true),
            ("no-orders", false),
            ("__consumer_offsets", false),
            ("__own", false),
            ("_schemas", false),
            ("candor.logs", false),
        ] {
            assert_eq!(every.takes(name), is, "{name}");
        }
        let named = spec(&["__*", "_schemas", "candor.logs"], &[]);
        for (name, is) in
            [("__consumer_offsets", false), ("__own", true), ("_schemas", true), ("candor.logs", true)]
        {
            assert_eq!(named.takes(name), is, "{name}");
        }
        assert!(named.target("candor.logs").is_err());
        let prefixed = Spec { prefix: "eu.".to_owned(), ..named };
        assert_eq!(prefixed.target("candor.logs").unwrap(), "eu.candor.logs");
        assert!(prefixed.target(&"x".repeat(247)).is_err());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        spec(&["a"], &[]).check().unwrap();
        let sasl = |password: Option<&str>| {
            let password = password.map(|text| Secret(text.to_owned()));
            Some(Login { mechanism: Mechanism::Plain, username: "u".to_owned(), password })
        };
        let base = || spec(&["a"], &[]);
        let wrong = [
            Spec { name: "a b".to_owned(), ..base() },
            Spec { bootstrap: vec![], ..base() },
            Spec { bootstrap: vec!["kafka".to_owned()], ..base() },
            Spec { bootstrap: vec!["http://kafka:1".to_owned()], ..base() },
            Spec { bootstrap: vec!["kafka:0".to_owned()], ..base() },
            Spec { topics: vec![], ..base() },
            Spec { topics: vec!["a b".to_owned()], ..base() },
            Spec { prefix: "a/".to_owned(), ..base() },
            Spec { ca: Some("x".to_owned()), ..base() },
            Spec { ca: Some("x".to_owned()), tls: true, ..base() },
            Spec { sasl: sasl(None), ..base() },
            Spec { sasl: sasl(Some("")), ..base() },
            Spec { sasl: sasl(Some("p")), bootstrap: vec!["kafka:9092".to_owned()], ..base() },
            Spec {
                sasl: sasl(Some("p")),
                bootstrap: vec!["[::1]:1".to_owned(), "10.0.0.1:1".to_owned()],
                ..base()
            },
        ];
        for (index, wrong) in wrong.iter().enumerate() {
            assert!(wrong.check().is_err(), "{index}");
        }
        let far = || vec!["kafka:9092".to_owned()];
        Spec { sasl: sasl(Some("p")), ..base() }.check().unwrap();
        Spec { sasl: sasl(Some("p")), bootstrap: far(), tls: true, ..base() }.check().unwrap();
        let named = || Spec { sasl: sasl(None), bootstrap: far(), tls: true, ..base() };
        let other = |mechanism, username: &str| {
            Some(Login { mechanism, username: username.to_owned(), password: None })
        };
        assert!(
            Spec { topics: vec!["b".to_owned()], prefix: "p".to_owned(), ..named() }
                .is_logged_in_as(&named())
        );
        for other in [
            Spec { bootstrap: vec!["elsewhere:9092".to_owned()], ..named() },
            Spec { tls: false, ..named() },
            Spec { ca: Some("x".to_owned()), ..named() },
            Spec { sasl: other(Mechanism::ScramSha256, "u"), ..named() },
            Spec { sasl: other(Mechanism::Plain, "v"), ..named() },
            Spec { sasl: None, ..named() },
        ] {
            assert!(!other.is_logged_in_as(&named()), "{other:?}");
        }
        assert_eq!(server("[::1]:9092"), Some(("::1".to_owned(), 9092)));
        let shown = serde_json::to_string(&Spec { sasl: sasl(Some("geheim")), ..base() }).unwrap();
        assert!(!shown.contains("geheim") && !format!("{:?}", sasl(Some("geheim"))).contains("geheim"));
    }
}
