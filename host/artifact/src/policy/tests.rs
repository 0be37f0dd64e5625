use super::*;

fn manifest(more: &str) -> Manifest {
    Manifest::parse(&format!("name = 'hello'\nversion = '1.0.0'\n{more}")).unwrap()
}

fn rights(policy: &Policy) -> Rights<'_> {
    Rights { plugin: "hello", policy }
}

fn set(entries: &[&str]) -> BTreeSet<String> {
    entries.iter().map(|&entry| entry.to_owned()).collect()
}

#[test]
fn a_new_plugin_owns_the_paths_and_subjects_of_its_name_and_nothing_else() {
    let policy = Policy::default();
    let rights = rights(&policy);
    for path in ["/hello", "/hello/", "/hello/{id}", "/hello/{*rest}", "/hello/a/b"] {
        assert!(rights.may_answer(path), "{path}");
    }
    for path in ["/", "/{*all}", "/{any}", "/helloes", "/hell", "/api/hello", "/hello{x}", "/{a}/hello"] {
        assert!(!rights.may_answer(path), "{path}");
    }
    assert!(rights.may_publish("hello.greeted") && rights.may_subscribe("hello.greeted.twice"));
    for subject in ["hello", "helloes.greeted", "order.created", "hell.o"] {
        assert!(!rights.may_publish(subject) && !rights.may_subscribe(subject), "{subject}");
    }
}

#[test]
fn an_entry_allows_one_name_or_all_below_it() {
    let policy = Policy {
        publishes: set(&["a.b", "c.*"]),
        subscribes: set(&["d.*"]),
        paths: set(&["/api/x", "/api/y/*", "/p/{id}"]),
        ..Policy::default()
    };
    let rights = rights(&policy);
    assert!(rights.may_publish("a.b") && rights.may_publish("c.d.e") && rights.may_subscribe("d.x"));
    assert!(!rights.may_publish("a.b.c") && !rights.may_publish("c") && !rights.may_publish("cc.d"));
    assert!(!rights.may_subscribe("a.b") && !rights.may_publish("d.x"));
    for path in ["/api/x", "/api/x/", "/api/y/{id}", "/api/y/{*rest}", "/p/{id}"] {
        assert!(rights.may_answer(path), "{path}");
    }
    for path in ["/api/x/y", "/api/{any}", "/api/y", "/p/1", "/api/{*rest}"] {
        assert!(!rights.may_answer(path), "{path}");
    }
}

#[test]
fn a_verdict_lists_each_request_beyond_the_policy_with_the_command_that_allows_it() {
    let asking = manifest(
        "routes = [{ path = '/hello', methods = ['GET'] }, { path = '/{*all}', methods = ['GET'] }]
         limits = { memory_mib = 512 }
         [messaging]\npublishes = ['hello.greeted', 'payment.created']\nsubscribes = ['order.created']
         [requests]\nplugins = ['hello', 'mailer']",
    );
    let policy = Policy::default();
    let listed: Vec<(String, String)> = rights(&policy)
        .excesses(&asking, &[Grant::Store].into())
        .into_iter()
        .map(|excess| (excess.asks, excess.command.replace("ticketing plugin policy hello ", "")))
        .collect();
    let expected = [
        ("needs the grant store", "--grant store"),
        ("publishes payment.created", "--publish payment.created"),
        ("subscribes to order.created", "--subscribe order.created"),
        ("answers /{*all}", "--path '/{*all}'"),
        ("calls the plugin mailer", "--plugin mailer"),
        ("wants the limit memory_mib = 512", "--limit memory_mib=512"),
    ];
    assert_eq!(listed, expected.map(|(asks, flag)| (asks.to_owned(), flag.to_owned())));

    let policy = Policy { grants: [Grant::Store].into(), ..policy };
    let narrowed = rights(&policy).narrow(&asking);
    assert_eq!(narrowed.routes.len(), 1);
    assert_eq!(narrowed.messaging.publishes, set(&["hello.greeted"]));
    assert!(narrowed.messaging.subscribes.is_empty());
    assert_eq!(narrowed.requests.plugins, set(&["hello"]));
    assert_eq!(narrowed.limits.memory_mib, Limits::ceilings().memory_mib);
}

#[test]
fn a_policy_that_is_made_of_a_manifest_allows_all_of_it() {
    let asking = manifest(
        "routes = [{ path = '/', methods = ['GET'] }, { path = '/hello/{id}', methods = ['GET'] }]
         limits = { memory_mib = 512, concurrency = 3 }
         [messaging]\npublishes = ['order.created']\nsubscribes = ['hello.greeted', 'order.created']
         [requests]\nplugins = ['hello', 'mailer']",
    );
    let policy = policy_of(&asking, [Grant::Store].into());
    assert_eq!(policy.paths, set(&["/"]));
    assert_eq!(policy.subscribes, set(&["order.created"]));
    assert_eq!(policy.plugins, set(&["mailer"]));
    assert_eq!(policy.limits, LimitOverrides { memory_mib: Some(512), ..LimitOverrides::default() });
    assert_eq!(rights(&policy).excesses(&asking, &[Grant::Store].into()), []);
    assert_eq!(rights(&policy).narrow(&asking).routes.len(), 2);
    assert_eq!(rights(&policy).ceilings().memory_mib, 512);
}

#[test]
fn a_default_above_a_low_ceiling_is_no_request_and_is_lowered() {
    let limits = LimitOverrides { wall_time_ms: Some(1_000), ..LimitOverrides::default() };
    let policy = Policy { limits, ..Policy::default() };
    assert_eq!(rights(&policy).excesses(&manifest(""), &BTreeSet::new()), []);
    assert_eq!(rights(&policy).narrow(&manifest("")).limits.wall_time_ms, 1_000);
    assert_eq!(rights(&policy).excesses(&manifest("limits = { wall_time_ms = 10_001 }"), &BTreeSet::new()).len(), 1);
}

#[test]
fn an_entry_that_means_nothing_is_refused_with_its_field() {
    let field = |policy: Policy| check_policy(&policy).err().map(|(field, _)| field);
    assert_eq!(field(Policy { publishes: set(&["*"]), ..Policy::default() }), Some("publishes"));
    assert_eq!(field(Policy { subscribes: set(&["Order.*"]), ..Policy::default() }), Some("subscribes"));
    for path in ["api", "*", "/a/../b", "/%61", "/a//b", "/a?x"] {
        assert_eq!(field(Policy { paths: set(&[path]), ..Policy::default() }), Some("paths"), "{path}");
    }
    assert_eq!(field(Policy { plugins: set(&["Mailer"]), ..Policy::default() }), Some("plugins"));
    for registry in [
        "",
        "hello",
        "me/hello",
        "oci://ghcr.io/me",
        "ghcr.io/Me",
        "ghcr.io/me/",
        "ghcr.io/me:1",
        "ghcr.io//me",
        "[::1]:5000",
    ] {
        assert_eq!(
            field(Policy { registries: set(&[registry]), ..Policy::default() }),
            Some("registries"),
            "{registry}"
        );
    }
    let registries = set(&["ghcr.io", "ghcr.io/me/hello", "localhost:5000/hello", "127.0.0.1:5000"]);
    assert_eq!(field(Policy { registries, ..Policy::default() }), None);
    let limits = LimitOverrides { memory_mib: Some(100_000), ..LimitOverrides::default() };
    assert_eq!(field(Policy { limits, ..Policy::default() }), Some("limits"));
    assert_eq!(field(Policy { lowest_version: Some("x".to_owned()), ..Policy::default() }), Some("lowest_version"));
    let fine = Policy { publishes: set(&["a.*"]), paths: set(&["/*", "/a/{id}"]), ..Policy::default() };
    assert_eq!(field(fine), None);
}
