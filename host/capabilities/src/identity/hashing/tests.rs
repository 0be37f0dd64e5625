use super::{super::tests::config, *};
use argon2::{PasswordHasher, PasswordVerifier};
use futures::future::join_all;

#[tokio::test]
async fn a_hash_has_the_configured_parameters_and_a_new_salt() {
    let hasher = Hasher::new(&config()).unwrap();
    let one = hasher.hash("correct horse".to_owned()).await.unwrap();
    let two = hasher.hash("correct horse".to_owned()).await.unwrap();
    assert!(one.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{one}");
    assert_ne!(one, two);
    let parsed = hasher.parse(&one).unwrap();
    assert!(hasher.verify("correct horse".to_owned(), Some(parsed)).await.unwrap());
}

#[tokio::test]
async fn other_implementations_of_argon2_agree_with_the_hash() {
    let hasher = Hasher::new(&config()).unwrap();
    let own = hasher.hash("correct horse".to_owned()).await.unwrap();
    assert!(Argon2::default().verify_password(b"correct horse", &PasswordHash::new(&own).unwrap()).is_ok());
    // Other parameters than the configured ones, and a shorter output.
    let params = Params::new(128, 3, 2, Some(24)).unwrap();
    let other = Argon2::from(params).hash_password_with_salt(b"correct horse", b"a salt of its own").unwrap();
    assert!(hasher.verify("correct horse".to_owned(), Some(other.clone())).await.unwrap());
    assert!(!hasher.verify("correct house".to_owned(), Some(other)).await.unwrap());
}

#[tokio::test]
async fn the_dummy_hash_costs_as_much_as_a_real_hash_and_matches_nothing() {
    let hasher = Hasher::new(&config()).unwrap();
    let real = hasher.hash(String::new()).await.unwrap();
    let real = hasher.parse(&real).unwrap();
    let dummy = hasher.dummy_hash().unwrap();
    assert_eq!(real.params, dummy.params);
    assert_eq!(real.algorithm, dummy.algorithm);
    let before = hasher.computed();
    assert!(!hasher.verify("x".to_owned(), None).await.unwrap());
    assert_eq!(hasher.computed(), before + 1);
}

#[test]
fn an_expensive_stored_hash_is_refused() {
    let hasher = Hasher::new(&config()).unwrap();
    let hash = |params: &str| {
        let text = format!("$argon2id$v=19${params}$c29tZXNhbHRzb21l$WOSbJLLOUwTOoMTSmHfqFQ");
        hasher.parse(&text).map(drop)
    };
    assert!(hash("m=19456,t=2,p=1").is_ok());
    for costly in ["m=4194304,t=1,p=1", "m=64,t=100000,p=1", "m=4096,t=1,p=64"] {
        assert!(matches!(hash(costly), Err(Error::Limit(_))), "{costly}");
    }
    for wrong in ["", "plain", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21l$WOSbJLLOUwTOoMTSmHfqFQ"] {
        assert!(matches!(hasher.parse(wrong), Err(Error::Limit(_))), "{wrong}");
    }
}

#[tokio::test]
async fn a_password_beyond_the_queue_is_refused_at_once() {
    let mut config = config();
    config.hashing_concurrency = 1;
    config.hashing_queue = 2;
    config.argon2.memory_kib = 8_192;
    let hasher = Hasher::new(&config).unwrap();
    let results = join_all((0..10).map(|_| hasher.hash("x".to_owned()))).await;
    let refused = results.iter().filter(|result| matches!(result, Err(Error::Unavailable(_)))).count();
    assert_eq!((refused, hasher.computed()), (7, 3));
}

#[tokio::test]
async fn a_queue_of_new_passwords_delays_no_check_and_takes_none_of_its_places() {
    let mut config = config();
    config.hashing_concurrency = 1;
    config.hashing_queue = 40;
    config.argon2.memory_kib = 4_096;
    let hasher = Hasher::new(&config).unwrap();
    let mut signing_up = join_all((0..60).map(|_| hasher.hash("x".to_owned())));
    // The places of new passwords are taken, and one of them has the thread.
    assert!(futures::poll!(&mut signing_up).is_pending());
    let before = hasher.computed();
    let (signed_in, signed_up) = tokio::join!(
        async {
            assert!(!hasher.verify("x".to_owned(), None).await.unwrap());
            hasher.computed() - before
        },
        signing_up
    );
    assert!(signed_in <= 5, "{signed_in} hashes came before the check");
    assert_eq!(signed_up.iter().filter(|result| result.is_ok()).count(), 41);
}
