use super::*;
use host_test_support::{TestDatabase, on_both_engines};

const KEY: &str = "a key of a test, 32 bytes or more";

async fn sessions(database: &TestDatabase, key: &str, ttl: Duration) -> Sessions {
    Sessions::open(&Secret::new(key), ttl, database.open().await).await.unwrap()
}

fn ann() -> Principal {
    Principal { id: "1".to_owned(), email: "ann@example.com".to_owned() }
}

const HOUR: Duration = Duration::from_secs(3_600);

on_both_engines! {
    a_revoked_session_stays_revoked_after_reopening_and_others_go_on
    a_caller_that_gives_up_leaves_no_half_revoked_session
    expired_revocations_are_pruned
}

#[tokio::test]
async fn a_token_names_its_principal_and_session() {
    let sessions = sessions(&TestDatabase::sqlite(), KEY, HOUR).await;
    let (one, two) = (sessions.issue(&ann()).unwrap(), sessions.issue(&ann()).unwrap());
    let session = sessions.verify(&one).unwrap();
    assert_eq!(session.principal.id, "1");
    assert_eq!(session.principal.email, "ann@example.com");
    assert!(session.expires_at > now_seconds() + 3_000);
    assert_ne!(session.jti, sessions.verify(&two).unwrap().jti);
}

async fn a_revoked_session_stays_revoked_after_reopening_and_others_go_on(database: TestDatabase) {
    let first = sessions(&database, KEY, HOUR).await;
    let (out, stays) = (first.issue(&ann()).unwrap(), first.issue(&ann()).unwrap());
    let session = first.verify(&out).unwrap();
    first.revoke(&session).await.unwrap();
    first.revoke(&session).await.unwrap();
    assert!(first.verify(&out).is_none());
    assert!(first.verify(&stays).is_some());
    first.revocations.database.close().await;

    let second = sessions(&database, KEY, HOUR).await;
    assert!(second.verify(&out).is_none());
    assert!(second.verify(&stays).is_some());
}

async fn a_caller_that_gives_up_leaves_no_half_revoked_session(database: TestDatabase) {
    let sessions = sessions(&database, KEY, HOUR).await;
    let token = sessions.issue(&ann()).unwrap();
    let session = sessions.verify(&token).unwrap();
    let mut revoke = Box::pin(sessions.revoke(&session));
    assert!(futures::poll!(&mut revoke).is_pending());
    drop(revoke);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while sessions.verify(&token).is_some() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_token_of_another_key_or_algorithm_is_refused() {
    let sessions = sessions(&TestDatabase::sqlite(), KEY, HOUR).await;
    let now = now_seconds();
    let claims =
        Claims { sub: "1".to_owned(), email: "x".to_owned(), iat: now, exp: now + 60, jti: Uuid::new_v4().to_string() };
    let signed = |algorithm, key: &str| {
        let key = EncodingKey::from_secret(key.as_bytes());
        encode(&Header::new(algorithm), &claims, &key).unwrap()
    };
    let genuine = signed(Algorithm::HS256, KEY);
    assert!(sessions.verify(&genuine).is_some());
    assert!(sessions.verify(&signed(Algorithm::HS256, "another key, 32 bytes or more too")).is_none());
    assert!(sessions.verify(&signed(Algorithm::HS512, KEY)).is_none());

    // {"alg":"none","typ":"JWT"}
    let header = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let payload = genuine.split('.').nth(1).unwrap();
    let signature = genuine.split('.').nth(2).unwrap();
    assert!(sessions.verify(&format!("{header}.{payload}.")).is_none());
    assert!(sessions.verify(&format!("{header}.{payload}.{signature}")).is_none());
    for rubbish in ["", ".", "..", "a.b.c", &"x".repeat(5_000)] {
        assert!(sessions.verify(rubbish).is_none());
    }
}

#[tokio::test]
async fn an_expired_token_is_refused_even_if_it_was_seen_before() {
    let sessions = sessions(&TestDatabase::sqlite(), KEY, Duration::from_secs(1)).await;
    let token = sessions.issue(&ann()).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while sessions.verify(&token).is_some() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sessions.verified.invalidate_all();
    assert!(sessions.verify(&token).is_none());
}

#[tokio::test]
async fn a_token_without_expiry_or_identifier_is_refused() {
    let sessions = sessions(&TestDatabase::sqlite(), KEY, HOUR).await;
    let key = EncodingKey::from_secret(KEY.as_bytes());
    let token = |claims: serde_json::Value| encode(&Header::default(), &claims, &key).unwrap();
    let exp = now_seconds() + 60;
    let jti = Uuid::new_v4().to_string();
    let whole = serde_json::json!({"sub": "1", "email": "e", "iat": 1, "exp": exp, "jti": jti});
    assert!(sessions.verify(&token(whole.clone())).is_some());
    for missing in ["exp", "jti", "sub"] {
        let mut claims = whole.clone();
        claims.as_object_mut().unwrap().remove(missing);
        assert!(sessions.verify(&token(claims)).is_none(), "{missing}");
    }
}

async fn expired_revocations_are_pruned(database: TestDatabase) {
    let sessions = sessions(&database, KEY, HOUR).await;
    let revocations = &sessions.revocations;
    let now = now_seconds();
    let (old, new) = (Uuid::new_v4(), Uuid::new_v4());
    revocations.add(old, now + 10).await.unwrap();
    revocations.add(new, now + 11).await.unwrap();
    revocations.prune(now + 10 + KEEP_SECONDS).await.unwrap();
    assert!(!revocations.contains(old));
    assert!(revocations.contains(new));
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM identity_revoked")
        .fetch_one(&revocations.database.read)
        .await
        .unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn a_claim_over_the_limit_is_refused() {
    let sessions = sessions(&TestDatabase::sqlite(), KEY, HOUR).await;
    let principal = Principal { email: "x".repeat(2_000), ..ann() };
    assert!(matches!(sessions.issue(&principal), Err(Error::Limit(_))));
}
