//! Which names say that a value identifies a person: OpenTelemetry's, Sentry's, and what loggers write.
//!
//! A name is judged by its last parts, so that `user.id`, `extra.user.id` and `{"user": {"id": …}}` are one, and
//! without regard to case, `_` and `-`, so that `userId`, `user_id` and `User-Id` are one.
//!
//! OpenTelemetry: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/> (user, enduser, client, source,
//! network, session, device, app). Sentry: <https://develop.sentry.dev/sdk/data-model/event-payloads/user/>.

use candor_model::{Anchors, SubjectKind};

use crate::collect::place::{self, Place};
use crate::collect::squash;

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It identifies a person.
    Identifier(SubjectKind),
    /// It is an address of a person's machine.
    Address,
    /// It describes a person: an object of identifiers and traits, or, where it is text, a name.
    Person,
    /// It is a trait of a person that identifies nobody by itself.
    Trait,
    /// It is what a browser or client calls itself.
    Agent(Agent),
    /// It is where a person is.
    Place(Place),
    /// Nothing of the kind.
    Plain,
}

/// What of a browser's or client's name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agent {
    /// All of it.
    Whole,
    /// Its family.
    Family,
    /// Its version.
    Version,
    /// More than family and version: what the browser calls high-entropy hints.
    Detail,
}

use SubjectKind::{Device, Email, Name, Replay, Session, User};

/// Objects whose members describe a person.
const PERSONS: [&str; 4] = ["user", "usr", "enduser", "currentuser"];

/// Machines of our own side: their addresses identify nobody.
const OWN_MACHINES: [&str; 16] = [
    "host",
    "server",
    "local",
    "pod",
    "k8s",
    "node",
    "container",
    "cluster",
    "destination",
    "dst",
    "upstream",
    "instance",
    "service",
    "backend",
    "listen",
    "bind",
];

/// Whose `user` or `username` is an account of software, not a person.
const ACCOUNTS: [&str; 12] = [
    "db",
    "database",
    "postgres",
    "mysql",
    "redis",
    "mongodb",
    "messaging",
    "smtp",
    "process",
    "proxy",
    "container",
    "os",
];

/// Where a bare `user` is a person's name.
const BAGS: [&str; 10] =
    ["", "tags", "extra", "attributes", "labels", "mdc", "fields", "meta", "metadata", "context"];

/// What names are asked for beside those of identifiers. Where nobody asks they say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wants {
    pub agents: bool,
    pub places: bool,
}

/// Judges a dotted name.
pub(super) fn classify(path: &str, wants: Wants) -> Class {
    if wants != Wants::default()
        && MORE_HINTS.may_be_in(path.as_bytes())
        && let Some(class) = of_collect(path, wants)
    {
        return class;
    }
    if !may_identify(path) {
        return Class::Plain;
    }
    let mut parts = path.rsplit('.').map(squash);
    let last = parts.next().unwrap_or_default();
    let before = parts.next().unwrap_or_default();
    let earlier = parts.next().unwrap_or_default();
    if PERSONS.contains(&before.as_str()) && last != "agent" {
        return of_person(&last);
    }
    match (before.as_str(), last.as_str()) {
        ("pseudo", "id") if PERSONS.contains(&earlier.as_str()) => Class::Identifier(User),
        // Sentry's `user.geo` and OpenTelemetry's `user_agent` tell of no person.
        ("geo", _) => Class::Plain,
        ("session", "id" | "previousid" | "sid") => Class::Identifier(Session),
        ("device", "id" | "uuid" | "udid" | "uniqueid") | ("installation", "id") => Class::Identifier(Device),
        ("replay", "id") => Class::Identifier(Replay),
        (
            "client" | "source" | "src" | "peer" | "remote" | "socket",
            "address" | "addr" | "ip" | "ipaddress",
        ) => Class::Address,
        (owner, "ip" | "ipaddress") if OWN_MACHINES.contains(&owner) => Class::Plain,
        (owner, "username" | "login") if ACCOUNTS.contains(&owner) => Class::Plain,
        (bag, "user" | "usr" | "enduser" | "currentuser") if BAGS.contains(&bag) => Class::Person,
        _ => by_last(&last),
    }
}

/// A name that tells of a user agent or a place.
fn of_collect(path: &str, wants: Wants) -> Option<Class> {
    let mut parts = path.rsplit('.').map(squash);
    let mut next = || parts.next().unwrap_or_default();
    let (last, before, earlier) = (next(), next(), next());
    let agent = match (before.as_str(), last.strip_prefix("http").unwrap_or(&last)) {
        (_, "useragent") | ("useragent", "original") => Some(Agent::Whole),
        ("useragent" | "browser", "name") => Some(Agent::Family),
        ("useragent" | "browser", "version") | (_, "browserversion") => Some(Agent::Version),
        (_, "secchua" | "secchuamobile") => Some(Agent::Family),
        (_, hint) if hint.starts_with("secchua") => Some(Agent::Detail),
        _ => None,
    };
    match agent.filter(|_| wants.agents) {
        Some(agent) => Some(Class::Agent(agent)),
        None if wants.places => place::classify(&last, &before, &earlier).map(Class::Place),
        None => None,
    }
}

/// The member of a person.
fn of_person(last: &str) -> Class {
    match last {
        "id" | "uid" | "hash" | "uuid" | "sub" | "userid" => Class::Identifier(User),
        "email" | "mail" | "emailaddress" | "useremail" => Class::Identifier(Email),
        "name" | "username" | "fullname" | "displayname" | "login" | "nickname" | "firstname"
        | "lastname" | "givenname" | "familyname" => Class::Identifier(Name),
        "ip" | "ipaddress" | "address" => Class::Address,
        "geo" => Class::Plain,
        _ => Class::Trait,
    }
}

/// What a name says wherever it stands.
fn by_last(last: &str) -> Class {
    // CGI variables of headers: `HTTP_X_FORWARDED_FOR`.
    let last = last.strip_prefix("http").filter(|rest| !rest.is_empty()).unwrap_or(last);
    match last {
        "ip" => Class::Address,
        "userid" | "enduserid" | "usrid" | "useruuid" => Class::Identifier(User),
        "email" | "useremail" | "emailaddress" | "mailaddress" | "enduseremail" | "usremail" => {
            Class::Identifier(Email)
        }
        "username" | "userfullname" | "userlogin" | "usrname" | "remoteuser" => Class::Identifier(Name),
        "sessionid" => Class::Identifier(Session),
        "deviceid" | "deviceuuid" | "deviceuniqueidentifier" | "deviceapphash" | "installationid" => {
            Class::Identifier(Device)
        }
        "replayid" => Class::Identifier(Replay),
        "ipaddress"
        | "ipaddr"
        | "clientip"
        | "clientipaddress"
        | "clientaddr"
        | "clientaddress"
        | "userip"
        | "useripaddress"
        | "remoteip"
        | "remoteaddr"
        | "remoteaddress"
        | "remotehost"
        | "sourceip"
        | "srcip"
        | "sourceaddress"
        | "peerip"
        | "peeraddr"
        | "peeraddress"
        | "xforwardedfor"
        | "xoriginalforwardedfor"
        | "forwardedfor"
        | "forwarded"
        | "xrealip"
        | "xclientip"
        | "xclusterclientip"
        | "cfconnectingip"
        | "cfconnectingipv6"
        | "trueclientip"
        | "flyclientip"
        | "fastlyclientip"
        | "xazureclientip"
        | "xappengineuserip"
        | "xenvoyexternaladdress" => Class::Address,
        _ => Class::Plain,
    }
}

/// Each name of this module has one of these in it, cut where `_` and `-` may stand.
static HINTS: Anchors = Anchors::new(&[
    b"usr", b"user", b"mail", b"name", b"sess", b"devi", b"inst", b"repl", b"ip", b"addr", b"forw", b"host",
]);

/// The same of names that tell of user agents and places.
static MORE_HINTS: Anchors =
    Anchors::new(&[b"agen", b"brow", b"ch-u", b"ch_u", b"lat", b"lon", b"lng", b"geo"]);

/// As [`may_identify`], of what is asked for beside identifiers.
pub(super) fn may_tell(path: &str, wants: Wants) -> bool {
    wants != Wants::default() && MORE_HINTS.may_be_in(path.as_bytes())
}

/// A cheap look before the parts are taken apart: most names have none of the hints in them.
pub(super) fn may_identify(path: &str) -> bool {
    HINTS.may_be_in(path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_identifiers_are_known_in_every_spelling() {
        for (kind, names) in [
            (
                User,
                "user.id enduser.id user_id userId User-Id usr.id user.hash extra.user.id enduser.pseudo.id",
            ),
            (Email, "user.email email user_email userEmail contact.email enduser.email usr.email"),
            (Name, "user.name user.full_name username user.username enduser.name REMOTE_USER"),
            (Session, "session.id sessionId session_id session.previous_id"),
            (Device, "device.id deviceId contexts.app.device_app_hash app.installation.id"),
            (Replay, "replay_id replay.id contexts.replay.replay_id sentry.replay_id"),
        ] {
            for name in names.split(' ') {
                assert_eq!(classify(name, Wants::default()), Class::Identifier(kind), "{name}");
            }
        }
        for name in "client.address client.socket.address net.peer.ip net.sock.peer.addr network.peer.address \
                     source.address http.client_ip user.ip_address user.ip X-Forwarded-For X-Real-IP REMOTE_ADDR \
                     HTTP_X_FORWARDED_FOR http.request.header.x-forwarded-for request.env.REMOTE_ADDR ip \
                     ip_address CF-Connecting-IP network.client.ip actor.ip resource.ip otel.scope.ip vars.ip \
                     breadcrumbs.data.ip contexts.x.ip a.ip"
            .split_ascii_whitespace()
        {
            assert_eq!(classify(name, Wants::default()), Class::Address, "{name}");
        }
        assert_eq!(classify("user", Wants::default()), Class::Person);
        assert_eq!(classify("tags.user", Wants::default()), Class::Person);
        // Where Logflare's and Better Stack's clients put what a logger was given.
        for bag in ["metadata", "context", "metadata.context", "fields"] {
            assert_eq!(classify(&format!("{bag}.user"), Wants::default()), Class::Person, "{bag}");
            assert_eq!(classify(&format!("{bag}.ip"), Wants::default()), Class::Address, "{bag}");
        }
        assert_eq!(classify("user.plan", Wants::default()), Class::Trait);
        assert_eq!(classify("enduser.role", Wants::default()), Class::Trait);
    }

    #[test]
    fn names_of_everything_else_are_left() {
        for name in "service.name host.name host.ip server.ip backend.ip node.ip_address server.address k8s.pod.ip k8s.pod.name os.name user_agent.original \
                     user_agent.name user.geo.city user.geo db.user db.username thread.name exception.type \
                     http.request.method url.full messaging.destination.name process.username id name description \
                     shipping.address net.peer.port client.port device.model.name device.manufacturer session \
                     telemetry.sdk.name http.user_agent user_agent host.id trace_id span_id vars.user zip recipe repository.full_name \
                     alert.display_name"
            .split_ascii_whitespace()
        {
            assert_eq!(classify(name, Wants::default()), Class::Plain, "{name}");
        }
    }

    #[test]
    fn user_agents_and_places_are_known_where_they_are_asked_for() {
        let all = Wants { agents: true, places: true };
        for (name, expected) in [
            ("user_agent.original", Class::Agent(Agent::Whole)),
            ("request.headers.User-Agent", Class::Agent(Agent::Whole)),
            ("request.env.HTTP_USER_AGENT", Class::Agent(Agent::Whole)),
            ("http.user_agent", Class::Agent(Agent::Whole)),
            ("contexts.browser.version", Class::Agent(Agent::Version)),
            ("user_agent.version", Class::Agent(Agent::Version)),
            ("user_agent.name", Class::Agent(Agent::Family)),
            ("request.headers.Sec-CH-UA-Model", Class::Agent(Agent::Detail)),
            ("user.geo.city", Class::Place(Place::City)),
            ("geo.location.lat", Class::Place(Place::Coordinate)),
            ("user.id", Class::Identifier(User)),
        ] {
            assert_eq!(classify(name, all), expected, "{name}");
        }
        for name in ["user_agent.original", "user.geo.city", "browser.version"] {
            assert_eq!(classify(name, Wants::default()), Class::Plain, "{name}");
        }
    }
}
