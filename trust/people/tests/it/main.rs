//! Accounts over a real SQLite file with a clock that the test moves.

use std::net::IpAddr;
use std::sync::Arc;

use candor_meta::{Database, Tenancy};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Clock, Random, Timestamp};
use candor_people::{FirstAccount, People, PeopleError, ReadRole, SESSION_IDLE_SECONDS, SESSION_SECONDS_MAX};

struct House {
    _folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    tenancy: Tenancy,
    people: People,
    database: Database,
}

async fn house() -> House {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.expect("opens");
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000)));
    let (as_clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::<ManualClock>::clone(&clock), Arc::new(Seeded::new(3)));
    let tenancy =
        Tenancy::open(database.clone(), Arc::clone(&as_clock), Arc::clone(&random)).await.expect("opens");
    let people = People::open(database.clone(), as_clock, random).await.expect("opens");
    House { _folder: folder, clock, tenancy, people, database }
}

const ADA: FirstAccount<'static> =
    FirstAccount { email: "Ada@example.com", password: "correct horse", org: Some("acme") };
const PEER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

#[tokio::test]
async fn the_setup_link_works_once_and_a_newer_one_replaces_it() {
    let House { people, tenancy, _folder, .. } = house().await;
    let first = people.issue_setup_token().await.expect("asks").expect("none yet");
    let second = people.issue_setup_token().await.expect("asks").expect("none yet");
    let refused = people.set_up(&tenancy, &first, &ADA).await;
    assert!(matches!(refused, Err(PeopleError::SetupToken)), "{refused:?}");
    let user = people.set_up(&tenancy, &second, &ADA).await.expect("sets up");
    assert_eq!(user.email, "ada@example.com");
    let again = people.set_up(&tenancy, &second, &ADA).await;
    assert!(matches!(again, Err(PeopleError::SetupDone)), "{again:?}");
    assert_eq!(people.issue_setup_token().await.expect("asks"), None);
    let orgs = tenancy.orgs_of(user.id).await.expect("lists");
    assert_eq!(
        orgs.iter().map(|(org, role)| (org.name.as_str(), role.name())).collect::<Vec<_>>(),
        [("acme", "owner")]
    );
}

#[tokio::test]
async fn a_refused_setup_leaves_nothing_behind() {
    let House { people, tenancy, _folder, .. } = house().await;
    let token = people.issue_setup_token().await.expect("asks").expect("none yet");
    for bad in [
        FirstAccount { email: "nobody", ..ADA },
        FirstAccount { password: "short", ..ADA },
        FirstAccount { org: Some("no spaces here"), ..ADA },
    ] {
        assert!(people.set_up(&tenancy, &token, &bad).await.is_err());
    }
    assert!(people.setup_needed().await.expect("asks"));
    people.set_up(&tenancy, &token, &ADA).await.expect("the link still works");
}

#[tokio::test]
async fn sessions_slide_and_end() {
    let House { people, tenancy, clock, _folder, .. } = house().await;
    people.set_up_as_admin(&tenancy, &ADA).await.expect("sets up");
    let wrong = people.sign_in("ada@example.com", "wrong horse", PEER).await;
    assert!(matches!(wrong, Err(PeopleError::Credentials)), "{wrong:?}");
    let nobody = people.sign_in("eve@example.com", "correct horse", PEER).await;
    assert!(matches!(nobody, Err(PeopleError::Credentials)), "{nobody:?}");
    let session = people.sign_in(" ADA@example.com", "correct horse", PEER).await.expect("signs in");
    let known = |secret: String| {
        let people = people.clone();
        async move { people.session(&secret).await.expect("asks").map(|user| user.email) }
    };
    assert_eq!(known(session.secret.clone()).await.as_deref(), Some("ada@example.com"));
    assert_eq!(known("made up".to_owned()).await, None);

    // Used daily it lives on past its first end, but not past the longest life.
    let day = 86_400 * Timestamp::SECOND;
    let mut days = 0;
    while known(session.secret.clone()).await.is_some() {
        clock.advance(day);
        days += 1;
        assert!(days < 200, "the session never ends");
    }
    assert!(days * 86_400 > SESSION_IDLE_SECONDS, "{days}");
    assert!((days - 1) * 86_400 <= SESSION_SECONDS_MAX, "{days}");

    let unused = people.sign_in("ada@example.com", "correct horse", PEER).await.expect("signs in");
    clock.advance((SESSION_IDLE_SECONDS + 1) * Timestamp::SECOND);
    assert_eq!(known(unused.secret).await, None);

    let left = people.sign_in("ada@example.com", "correct horse", PEER).await.expect("signs in");
    people.sign_out(&left.secret).await.expect("signs out");
    assert_eq!(known(left.secret).await, None);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let House { people, tenancy, clock, _folder, .. } = house().await;
    people.set_up_as_admin(&tenancy, &ADA).await.expect("sets up");
    for _ in 0..5 {
        let _ = people.sign_in("ada@example.com", "wrong horse", PEER).await;
    }
    let throttled = people.sign_in("ada@example.com", "correct horse", PEER).await;
    assert!(matches!(throttled, Err(PeopleError::Throttled { .. })), "{throttled:?}");
    let elsewhere = people.sign_in("ada@example.com", "correct horse", None).await;
    assert!(elsewhere.is_ok(), "the owner is not locked out: {elsewhere:?}");
    clock.advance(2 * Timestamp::SECOND);
    people.sign_in("ada@example.com", "correct horse", PEER).await.expect("after the wait");
}

#[tokio::test]
async fn guesses_at_once_are_slowed_down_as_those_one_by_one() {
    let House { people, tenancy, _folder, .. } = house().await;
    people.set_up_as_admin(&tenancy, &ADA).await.expect("sets up");
    let mut guesses = tokio::task::JoinSet::new();
    for n in 0..50 {
        let people = people.clone();
        guesses
            .spawn(async move { people.sign_in("ada@example.com", &format!("wrong horse {n}"), PEER).await });
    }
    let (mut checked, mut throttled) = (0, 0);
    while let Some(answer) = guesses.join_next().await {
        match answer.expect("ends") {
            Err(PeopleError::Credentials) => checked += 1,
            Err(PeopleError::Throttled { .. }) => throttled += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((checked, throttled), (5, 45));
}

#[test]
fn the_screen_asks_for_as_long_a_password_as_the_server() {
    let screen = include_str!("../../../../web/src/views/Doors.tsx");
    let length = candor_people::PASSWORD_CHARS_MIN;
    assert!(screen.contains(&format!("minLength={{{length}}}")), "minLength is {length}");
    assert!(screen.contains(&format!("{length} characters or more")), "the hint says {length}");
}

#[tokio::test]
async fn tokens_act_until_they_end_or_are_revoked() {
    let House { people, tenancy, clock, database, _folder } = house().await;
    let ada = people.set_up_as_admin(&tenancy, &ADA).await.expect("sets up");
    let (token, secret) = people.create_token(&ada, "ci", Some(60)).await.expect("makes one");
    let (_, forever) = people.create_token(&ada, "laptop", None).await.expect("makes one");
    assert!(people.create_token(&ada, "  ", None).await.is_err());
    assert_eq!(
        people.bearer(&secret).await.expect("asks").map(|(user, id)| (user.id, id)),
        Some((ada.id, token.id))
    );
    assert_eq!(people.bearer("candor_pat_made_up").await.expect("asks"), None);
    clock.advance(61 * Timestamp::SECOND);
    assert_eq!(people.bearer(&secret).await.expect("asks"), None);
    let (_, id) = people.bearer(&forever).await.expect("asks").expect("still works");
    assert_eq!(people.tokens(&ada).await.expect("lists").len(), 2);
    assert!(people.revoke_token(&ada, id).await.expect("revokes"));
    assert!(!people.revoke_token(&ada, id).await.expect("is gone"));
    assert_eq!(people.bearer(&forever).await.expect("asks"), None);
    let sql = "SELECT action FROM people_audit ORDER BY id DESC";
    let rows = database.query(sql, &[]).await.expect("lists");
    let actions: Vec<&str> = rows.iter().map(|row| row.text(0).expect("text")).collect();
    assert_eq!(actions, ["token.revoke", "token.create", "token.create", "user.create"]);
}

#[tokio::test]
async fn who_reads_is_known_where_nothing_can_be_written() {
    let House { people, tenancy, clock, _folder, .. } = house().await;
    let ada = people.set_up_as_admin(&tenancy, &ADA).await.expect("sets up");
    let (_, token) = people.create_token(&ada, "ci", None).await.expect("makes one");
    let session = people.begin_session(ada.clone()).await.expect("begins").secret;
    clock.advance(2 * 3600 * Timestamp::SECOND);
    // Another process has the file.
    let other = Database::open_sqlite(&_folder.path().join("meta.db"), &[]).await.expect("opens");
    let lock = other.begin().await.expect("begins");
    let began = std::time::Instant::now();
    assert_eq!(people.session(&session).await.expect("asks"), Some(ada.clone()));
    assert_eq!(people.bearer(&token).await.expect("asks").map(|(user, _)| user), Some(ada.clone()));
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
    drop(lock);
    // It is noted at a later use.
    while people.tokens(&ada).await.expect("lists")[0].used.is_none() {
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "never noted");
        people.bearer(&token).await.expect("asks");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn roles_are_given_to_members_and_nobody_reveals_without() {
    let House { people, tenancy, database, _folder, .. } = house().await;
    let ada = people.set_up_as_admin(&tenancy, &ADA).await.expect("sets up");
    let org = tenancy.default_org().await.expect("is there").id;
    let role = people.read_role(ada.id, org).await.expect("asks");
    assert_eq!(role, ReadRole::Viewer, "an owner sees codes as anybody does");
    let give = |email: &'static str, role| {
        let (people, tenancy) = (people.clone(), tenancy.clone());
        async move { people.set_read_role(&tenancy, "admin", email, org, role).await.expect("asks") }
    };
    assert_eq!(give("Ada@example.com ", ReadRole::Responder).await, Some(ada.id));
    assert_eq!(people.read_role(ada.id, org).await.expect("asks"), ReadRole::Responder);
    assert_eq!(give("ada@example.com", ReadRole::Operator).await, Some(ada.id));
    assert_eq!(people.read_role(ada.id, org).await.expect("asks"), ReadRole::Operator);
    assert_eq!(give("eve@example.com", ReadRole::Responder).await, None, "nobody has it");
    let other = tenancy.create_org("other").await.expect("makes one").id;
    let stranger =
        people.set_read_role(&tenancy, "admin", "ada@example.com", other, ReadRole::Responder).await;
    assert_eq!(stranger.expect("asks"), None, "no member there");
    assert_eq!(people.read_role(ada.id, other).await.expect("asks"), ReadRole::Viewer);
    let members = people.members(&tenancy, org).await.expect("lists");
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].email.as_str(), members[0].role), ("ada@example.com", ReadRole::Operator));
    let sql = "SELECT action FROM people_audit WHERE action LIKE 'role.%' ORDER BY id";
    let rows = database.query(sql, &[]).await.expect("lists");
    let actions: Vec<&str> = rows.iter().map(|row| row.text(0).expect("text")).collect();
    assert_eq!(actions, ["role.responder", "role.operator"]);
}
