use super::*;
use crate::bindings::platform::identity::identity::Host;
use futures::future::join_all;
use host_config::{Config, flags::Flags};
use tempfile::TempDir;

/// The cheapest parameters of argon2id.
pub(super) fn config() -> host_config::identity::IdentityConfig {
    let mut config = Config::load(&Flags::default(), []).unwrap().identity;
    config.argon2 = host_config::identity::Argon2Config { memory_kib: 64, iterations: 1, parallelism: 1 };
    config
}

async fn identity(config: host_config::identity::IdentityConfig) -> (Identity, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let database = HostDatabase::open(&folder.path().join("host.db")).await.unwrap();
    let key = Secret::new("a key of a test, 32 bytes or more");
    let identity = Identity::open(&config, &key, database).await.unwrap();
    (identity, folder)
}

async fn guess(identity: &Identity, password: &str, hash: Option<&str>) -> Result<bool, Error> {
    identity.verify_password("ann", None, password.to_owned(), hash).await
}

#[tokio::test]
async fn the_right_password_is_accepted_and_a_wrong_one_is_not() {
    let (identity, _folder) = identity(config()).await;
    let hash = identity.hash_password("open sesame".to_owned()).await.unwrap();
    assert!(guess(&identity, "open sesame", Some(&hash)).await.unwrap());
    assert!(!guess(&identity, "Open sesame", Some(&hash)).await.unwrap());
}

#[tokio::test]
async fn an_unknown_account_costs_as_much_as_a_known_one() {
    let (identity, _folder) = identity(config()).await;
    let hash = identity.hash_password("x".to_owned()).await.unwrap();
    for hash in [Some(hash.as_str()), None] {
        let before = identity.hashes_computed();
        assert!(!guess(&identity, "wrong", hash).await.unwrap());
        assert_eq!(identity.hashes_computed(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_guesses_at_once_are_compared_no_more_often_than_the_limit() {
    let (identity, _folder) = identity(config()).await;
    let hash = identity.hash_password("right".to_owned()).await.unwrap();
    let before = identity.hashes_computed();
    let identity = Arc::new(identity);
    let guesses = (0..100).map(|number| {
        let (identity, hash) = (identity.clone(), hash.clone());
        tokio::spawn(async move { guess(&identity, &format!("guess {number}"), Some(&hash)).await })
    });
    let verdicts = join_all(guesses).await;
    let compared = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Ok(false)))).count();
    let refused = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Err(Error::Throttled(1..))))).count();
    assert_eq!((compared, refused), (10, 90));
    assert_eq!(identity.hashes_computed() - before, 10);

    let right = guess(&identity, "right", Some(&hash)).await;
    assert!(matches!(right, Err(Error::Throttled(_))), "{right:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_right_passwords_at_once_are_all_accepted() {
    let (identity, _folder) = identity(config()).await;
    let hash = identity.hash_password("right".to_owned()).await.unwrap();
    let verdicts = join_all((0..100).map(|_| guess(&identity, "right", Some(&hash)))).await;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Ok(true))));
}

#[tokio::test]
async fn an_attempt_that_was_never_compared_is_not_counted() {
    let mut config = config();
    config.hashing_concurrency = 1;
    config.hashing_queue = 0;
    config.failed_attempts_per_account = 50;
    let (identity, _folder) = identity(config).await;
    let hash = identity.hash_password("right".to_owned()).await.unwrap();
    let verdicts = join_all((0..50).map(|_| guess(&identity, "wrong", Some(&hash)))).await;
    assert!(verdicts.iter().any(|verdict| matches!(verdict, Err(Error::Unavailable(_)))));
    assert!(guess(&identity, "right", Some(&hash)).await.unwrap());
}

#[tokio::test]
async fn arguments_have_limits() {
    let (identity, _folder) = identity(config()).await;
    let long = "x".repeat(MAX_PASSWORD_BYTES + 1);
    let hashed = identity.hash_password(long.clone()).await;
    assert!(matches!(hashed, Err(Error::Limit(_))));
    assert!(matches!(guess(&identity, &long, None).await, Err(Error::Limit(_))));
    let verdict = identity.verify_password(&"x".repeat(2_000), None, String::new(), None).await;
    assert!(matches!(verdict, Err(Error::Limit(_))));
    assert_eq!(identity.hashes_computed(), 0);
}

#[tokio::test]
async fn a_guest_signs_in_and_out() {
    let (identity, _folder) = identity(config()).await;
    let principal = Principal { id: "1".to_owned(), email: "ann@example.com".to_owned() };
    let mut view =
        IdentityView { identity: &identity, client_address: None, session: None, secure: true, issued: None };
    let cookie = Host::issue(&mut view, principal).await.unwrap().unwrap();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{cookie}");

    let pair = cookie.split(';').next().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(http::header::COOKIE, pair.parse().unwrap());
    let session = identity.session(&headers, true).unwrap();
    view.session = Some(&session);
    let cleared = Host::revoke(&mut view).await.unwrap().unwrap();
    assert!(cleared.starts_with("__Host-session=; Path=/; Max-Age=0;"), "{cleared}");
    assert!(identity.session(&headers, true).is_none());

    view.session = None;
    assert!(Host::revoke(&mut view).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_cookie_of_another_application_does_not_hide_the_session() {
    let (identity, _folder) = identity(config()).await;
    let principal = Principal { id: "1".to_owned(), email: "ann@example.com".to_owned() };
    let cookie = identity.issue(&principal, false).unwrap();
    let pair = cookie.split(';').next().unwrap();
    let found = |cookies: &str| {
        let headers = [(http::header::COOKIE, cookies.parse().unwrap())].into_iter().collect();
        identity.session(&headers, false).is_some()
    };
    assert!(found(&format!("session=rubbish; {pair}")));
    assert!(found(&format!("{pair}; session=rubbish")));
    assert!(found(&format!("session=; session=x.y.z; {pair}")));
    assert!(!found("session=rubbish; session=x.y.z"));
}
