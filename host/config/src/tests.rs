use super::*;
use std::{io::Write, os::unix::fs::PermissionsExt};

fn load(file: &str, flags: &Flags, environment: &[(&str, &str)]) -> Result<Config, String> {
    let mut written = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    let flags = Flags { config: Some(written.path().to_owned()), ..flags.clone() };
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::load(&flags, environment).map_err(|error| error.to_string())
}

fn problem(file: &str, environment: &[(&str, &str)]) -> String {
    load(file, &Flags::default(), environment).unwrap_err()
}

#[test]
fn nothing_set_gives_the_defaults() {
    let config = Config::load(&Flags::default(), []).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.operator.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.data_dir, Path::new("./data"));
    assert_eq!(config.cache_dir(), Path::new("./data/cache"));
    assert_eq!(config.identity.argon2.memory_kib, 19_456);
    assert!(config.plugins.bundled.includes("anything"));
    assert!(config.warnings.is_empty());
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let file = "[http]\nlisten = '127.0.0.1:1'";
    let variable = [("TICKETING_LISTEN", "127.0.0.1:2")];
    let flag = Flags { listen: Some("127.0.0.1:3".to_owned()), ..Flags::default() };
    let listen = |config: Result<Config, String>| config.unwrap().http.listen.to_string();
    assert_eq!(listen(load(file, &Flags::default(), &[])), "127.0.0.1:1");
    assert_eq!(listen(load(file, &Flags::default(), &variable)), "127.0.0.1:2");
    assert_eq!(listen(load(file, &flag, &variable)), "127.0.0.1:3");
}

#[test]
fn hosts_that_share_everything_need_one_session_key() {
    let shared =
        [("TICKETING_DATABASE_URL", "postgres://me:secret@localhost/mine"), ("TICKETING_NATS_URL", "nats://one:4222")];
    assert!(problem("", &shared).contains("JWT_KEY"));
    let [database, nats] = shared;
    for settings in [vec![database], vec![nats], vec![database, nats, ("JWT_KEY", "0123456789abcdefghijklmnopqrstuv")]]
    {
        assert!(load("", &Flags::default(), &settings).is_ok(), "{settings:?}");
    }
}

#[test]
fn every_variable_reaches_its_setting() {
    let config = load(
        "",
        &Flags::default(),
        &[
            ("TICKETING_ADMIN_LISTEN", "[::1]:9"),
            ("TICKETING_ADMIN_TOKEN", "operator-token-of-a-test"),
            ("TICKETING_DATABASE_URL", "postgres://me:secret@localhost/mine"),
            ("TICKETING_DATA_DIR", "/somewhere"),
            ("TICKETING_HOST_NAME", "here"),
            ("TICKETING_LOG", "warn,ticketing=debug"),
            ("TICKETING_LOG_FORMAT", "json"),
            ("TICKETING_NATS_URL", "nats://user:p%40ss@one:4222,two"),
            ("JWT_KEY", "5uYvRq0nWc7eKx2dHs9mBf4tJz8gLp3a"),
            ("STRIPE_KEY", KEY),
        ],
    )
    .unwrap();
    assert_eq!(config.operator.listen.to_string(), "[::1]:9");
    assert_eq!(config.operator.token.unwrap().expose(), "operator-token-of-a-test");
    assert_eq!(config.store.database_url.unwrap().expose(), "postgres://me:secret@localhost/mine");
    assert_eq!(config.data_dir, Path::new("/somewhere"));
    assert_eq!(config.cluster.name, "here");
    assert_eq!(config.log.filter, "warn,ticketing=debug");
    assert_eq!(config.log.format, log::LogFormat::Json);
    assert_eq!(config.identity.jwt_key.unwrap().expose().len(), 32);
    let nats = config.messaging.nats.unwrap();
    assert_eq!(nats.servers_shown(), "one:4222, two:4222");
    assert_eq!(nats.credentials(), Some(("user".to_owned(), Some("p@ss".to_owned()))));
}

#[test]
fn the_file_is_found_through_the_environment() {
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(b"bundled = ['one']").unwrap();
    let variable = (OsString::from("TICKETING_CONFIG"), written.path().as_os_str().to_owned());
    let config = Config::load(&Flags::default(), [variable]).unwrap();
    assert!(config.plugins.bundled.includes("one"));
    assert!(!config.plugins.bundled.includes("two"));
}

#[test]
fn an_unknown_key_is_named_with_its_file_and_line() {
    let text = problem("\n[http]\nlissten = 'x'", &[]);
    assert!(text.contains(".toml line 3 (http"), "{text}");
    assert!(text.contains("unknown field `lissten`"), "{text}");
    assert!(problem("[htpp]", &[]).contains("unknown field `htpp`"));
    assert!(problem("[plugins.a.limits]\nx = 1", &[]).contains("unknown field `x`"));
    assert!(problem("[[plugin]]\npath = 'x'\ngrant = []", &[]).contains("unknown field `grant`"));
}

#[test]
fn a_malformed_value_is_named_with_its_source() {
    let text = problem("[http]\nmax_in_flight_requests = 'many'", &[]);
    assert!(text.contains("line 2 (http.max_in_flight_requests)"), "{text}");
    let text = problem("[http]\nmax_in_flight_requests = 0", &[]);
    assert!(text.contains(".toml (http.max_in_flight_requests): 0 is out of range"), "{text}");
    let text = problem("", &[("TICKETING_LISTEN", "8080")]);
    assert!(text.starts_with("TICKETING_LISTEN (http.listen): `8080`"), "{text}");
    let text = problem("", &[("TICKETING_LOG_FORMAT", "xml")]);
    assert!(text.starts_with("TICKETING_LOG_FORMAT (log.format): `xml`"), "{text}");
    let text = problem("", &[("TICKETING_LOG", "a=b=c")]);
    assert!(text.starts_with("TICKETING_LOG (log.filter): "), "{text}");
    let text = problem("", &[("TICKETING_DATA_DIR", "")]);
    assert!(text.starts_with("TICKETING_DATA_DIR (data_dir): "), "{text}");
    let text = problem("[payments]\nprovider = 'acme'", &[]);
    assert!(text.contains("(payments.provider)"), "{text}");
    let flags = Flags { admin_listen: Some("here".to_owned()), ..Flags::default() };
    let text = load("", &flags, &[]).unwrap_err();
    assert!(text.starts_with("--admin-listen (operator.listen): `here`"), "{text}");
}

#[test]
fn all_problems_are_told_at_once() {
    let text = problem("[engine]\nmax_instances = 0", &[("TICKETING_LISTEN", "x"), ("JWT_KEY", "short")]);
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let flags = Flags { config: Some("no-such-file.toml".into()), ..Flags::default() };
    let text = Config::load(&flags, []).unwrap_err().to_string();
    assert!(text.starts_with("no-such-file.toml: "), "{text}");
}

#[test]
fn a_weak_secret_is_refused_or_warned_of_and_never_shown() {
    let text = problem("", &[("JWT_KEY", "fifteen-bytes-x")]);
    assert!(text.starts_with("JWT_KEY (identity.jwt_key): "), "{text}");
    assert!(!text.contains("fifteen"), "{text}");
    let text = problem("", &[("TICKETING_ADMIN_TOKEN", "with space")]);
    assert!(text.starts_with("TICKETING_ADMIN_TOKEN (operator.token): "), "{text}");
    assert!(!text.contains("with space"), "{text}");

    let config = load("", &Flags::default(), &[("TICKETING_ADMIN_TOKEN", "fifteen-bytes-x")]).unwrap();
    assert!(config.warnings[0].contains("16 bytes"), "{:?}", config.warnings);
    assert!(!format!("{config:?}").contains("fifteen"));
}

#[test]
fn unknown_variables_wait_for_the_plugins_and_are_refused_then() {
    let config = load("", &Flags::default(), &[("TICKETING_LISSTEN", "x")]).unwrap();
    let error = config.plugins.check_all_used([]).unwrap_err();
    assert!(error.to_string().starts_with("TICKETING_LISSTEN: "));
}

#[test]
fn generated_secrets_are_private_and_survive_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let flags = Flags { data_dir: Some(folder.path().to_owned()), ..Flags::default() };
    let config = load("", &flags, &[]).unwrap();
    let first = config.secrets().unwrap();
    let second = config.secrets().unwrap();
    assert_eq!(first.jwt_key.expose(), second.jwt_key.expose());
    assert_eq!(first.admin_token.expose(), second.admin_token.expose());
    assert_ne!(first.jwt_key.expose(), first.admin_token.expose());
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(config.admin_token_path()), 0o600);
    assert_eq!(mode(config.data_dir.join("jwt-key")), 0o600);
    fs::write(config.data_dir.join("jwt-key"), "a".repeat(64)).unwrap();
    let refused = config.secrets().unwrap_err().to_string();
    assert!(refused.contains("jwt-key: the key has only 1 different bytes"), "{refused}");
}

#[test]
fn a_secret_that_is_set_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let flags = Flags { data_dir: Some(folder.path().to_owned()), ..Flags::default() };
    let config = load("", &flags, &[("TICKETING_ADMIN_TOKEN", "operator-token-of-a-test")]).unwrap();
    let secrets = config.secrets().unwrap();
    assert_eq!(secrets.admin_token.expose(), "operator-token-of-a-test");
    assert!(!config.admin_token_path().exists());
}

#[test]
fn a_wrong_database_is_named_without_its_password() {
    for url in ["mysql://me:hidden@host/db", "postgres://me:hidden@host:port/db", "hidden"] {
        let problem = problem("", &[("TICKETING_DATABASE_URL", url)]);
        assert!(problem.contains("store.database_url") || problem.contains("TICKETING_DATABASE_URL"), "{problem}");
        assert!(!problem.contains("hidden"), "{problem}");
    }
    let config = load("", &Flags::default(), &[("TICKETING_DATABASE_URL", "postgres://me:hidden@host/db")]).unwrap();
    assert!(!format!("{config:?}").contains("hidden"));
}

#[test]
fn the_broker_is_checked_and_its_credentials_are_never_shown() {
    let url = [("TICKETING_NATS_URL", "nats://user:tell-nobody@nats.example:4223")];
    let config = load("[messaging.nats]\nstream_replicas = 3", &Flags::default(), &url).unwrap();
    assert!(!format!("{config:?}").contains("tell-nobody"));
    let nats = config.messaging.nats.unwrap();
    assert_eq!((nats.stream_replicas, nats.subject_prefix.as_str()), (3, "ticketing"));
    assert_eq!((nats.inbox_prefix, nats.jetstream_domain), (None, None));
    let own = "[messaging.nats]\ninbox_prefix = '_INBOX.shop'\njetstream_domain = 'hub'";
    let nats = load(own, &Flags::default(), &url).unwrap().messaging.nats.unwrap();
    assert_eq!(nats.inbox_prefix.as_deref(), Some("_INBOX.shop"));
    assert_eq!(nats.jetstream_domain.as_deref(), Some("hub"));
    for (file, url, reason) in [
        ("", "", "is empty"),
        ("", "https://user:tell-nobody@x", "nats:// or tls://"),
        ("", "nats://", "is not the address of a server"),
        ("[messaging.nats]\nsubject_prefix = 'a.b'", "nats://x", "subject_prefix"),
        ("[messaging.nats]\nstream_replicas = 2", "nats://x", "stream_replicas"),
        ("[messaging.nats]\ninbox_prefix = 'a..b'", "nats://x", "inbox_prefix"),
        ("[messaging.nats]\ninbox_prefix = '>'", "nats://x", "inbox_prefix"),
        ("[messaging.nats]\njetstream_domain = 'a.b'", "nats://x", "jetstream_domain"),
        ("[messaging.nats]\ntls_cert_file = 'x'", "nats://x", "tls_key_file"),
        ("[messaging.nats]\nack_wait_ms = 1", "nats://x", "ack_wait_ms"),
    ] {
        let text = problem(file, &[("TICKETING_NATS_URL", url)]);
        assert!(text.contains(reason) && !text.contains("tell-nobody"), "{text}");
    }
}

/// None of them is a key of anybody.
const KEY: &str = "sk_test_ofNobodyAtAll0123";
const LIVE_KEY: &str = "sk_live_ofNobodyAtAll0123";
const STRIPE: &str = "[payments]\nprovider = 'stripe'\n";

#[test]
fn stripe_needs_its_key_and_says_so_in_one_line_without_showing_it() {
    for (key, reason) in [
        (None, "is not set"),
        (Some(""), "is not set"),
        (Some("pk_test_ofNobodyAtAll0123"), "publishable"),
        (Some("ofNobodyAtAll0123456789"), "not a secret key"),
        (Some("sk_test_short"), "not a secret key"),
        (Some("sk_test_ofNobodyAtAll0123\n"), "not a secret key"),
        (Some("sk_test_ofNobodyAtAll0123\u{e4}"), "not a secret key"),
    ] {
        let variables: Vec<_> = key.map(|key| ("STRIPE_KEY", key)).into_iter().collect();
        let text = problem(STRIPE, &variables);
        assert!(text.contains("payments.stripe.key") && text.contains("STRIPE_KEY") && text.contains(reason), "{text}");
        assert!(text.lines().count() == 1 && !text.contains("ofNobody"), "{text}");
        // Nobody needs it otherwise, and a quick start may bring it along.
        assert!(load("", &Flags::default(), &variables).is_ok());
    }
    let config = load(STRIPE, &Flags::default(), &[("STRIPE_KEY", KEY)]).unwrap();
    assert!(!format!("{config:?}").contains("ofNobody"));
    assert!(config.warnings.iter().any(|warning| warning.contains("no money moves")), "{:?}", config.warnings);
    let payments::ProviderConfig::Stripe(stripe) = config.payments.provider else { panic!("another provider") };
    assert_eq!((stripe.api_url.as_str(), stripe.key.expose()), ("https://api.stripe.com/", KEY));
    assert!(load(STRIPE, &Flags::default(), &[("STRIPE_KEY", LIVE_KEY)]).unwrap().warnings.is_empty());
}

#[test]
fn the_key_of_stripe_goes_nowhere_unprotected_and_a_live_one_nowhere_else() {
    let at = |url: &str| format!("{STRIPE}[payments.stripe]\napi_url = '{url}'");
    let load = |url: &str, key| load(&at(url), &Flags::default(), &[("STRIPE_KEY", key)]);
    for url in ["https://proxy.example", "http://127.0.0.1:12111", "http://[::1]:12111/", "http://localhost:1"] {
        assert!(load(url, KEY).is_ok(), "{url}");
        let text = load(url, LIVE_KEY).unwrap_err();
        assert!(text.contains("payments.stripe.api_url") && text.contains("live"), "{text}");
    }
    assert!(load("https://api.stripe.com", LIVE_KEY).is_ok());
    for url in [
        "http://api.stripe.com",
        "http://127.0.0.1.example:1",
        "ftp://x",
        "api.stripe.com",
        "",
        "https://me:tell-nobody@x",
        "https://x/v1",
        "https://x?a",
    ] {
        let text = load(url, KEY).unwrap_err();
        assert!(text.contains("payments.stripe.api_url") && !text.contains("tell-nobody"), "{text}");
    }
    assert!(problem("[payments.stripe]\napi_uri = 'x'", &[]).contains("unknown field `api_uri`"));
}
