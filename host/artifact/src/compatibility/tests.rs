use super::*;
use host_config::{offer::Offer, plugins::Grant};

const OFFERS: Offers = Offers(&[
    Offer { grant: Grant::Store, interfaces: &["platform:store/sql"] },
    Offer { grant: Grant::Random, interfaces: &["wasi:random/random"] },
]);

fn manifest(name: &str, more: &str) -> Manifest {
    Manifest::parse(&format!("name = '{name}'\nversion = '1.2.0'\n{more}")).unwrap()
}

fn interfaces(imports: &[&str]) -> Interfaces {
    let imports: String = imports.iter().map(|import| format!("(import {import:?} (instance))")).collect();
    Interfaces::read(&wat::parse_str(format!("(component {imports})")).unwrap()).unwrap()
}

fn route(method: &str, path: &str) -> Endpoint {
    Endpoint { method: method.into(), path: path.into(), private: false }
}

#[test]
fn a_first_revision_adds_everything_and_has_no_problem() {
    let manifest =
        manifest("shop", "routes = [{ path = '/a', methods = ['GET', 'POST'] }]\nmessaging.publishes = ['a.b']");
    let interfaces = interfaces(&["platform:store/sql@1.0.0", "wasi:random/random@0.2.0"]);
    let migration = Migration { name: "1.sql".into(), sql: "DROP TABLE x".into() };
    let info = RevisionInfo {
        revision: "1.2.0+ab".into(),
        digest: "ab".into(),
        size_bytes: 7,
        compile_ms: 3,
        from_cache: true,
    };
    let new_revision =
        ComparedRevision { manifest: &manifest, interfaces: &interfaces, events: &EventSchemas::default() };
    let verdict = compare(new_revision, &[migration], HostContext { offers: OFFERS, ..HostContext::default() }, info);
    assert_eq!(
        (verdict.plugin.as_str(), verdict.version.as_str(), verdict.revision.as_str()),
        ("shop", "1.2.0", "1.2.0+ab")
    );
    assert_eq!((verdict.size_bytes, verdict.compile_ms, verdict.from_cache), (7, 3, true));
    assert_eq!(verdict.against, None);
    assert_eq!(verdict.routes.added, [route("GET", "/a"), route("POST", "/a")]);
    assert_eq!(verdict.capabilities.wanted, ["random", "store"]);
    assert_eq!(verdict.capabilities.new, ["random", "store"]);
    assert_eq!(verdict.publishes.added, ["a.b"]);
    assert!(verdict.compatible && verdict.problems.is_empty() && verdict.migrations[0].compatible);
}

#[test]
fn differences_from_the_active_revision_are_listed_and_breaking_ones_are_problems() {
    let old = manifest(
        "shop",
        "routes = [{ path = '/a', methods = ['GET', 'POST'] }]
         messaging = { publishes = ['a.b', 'a.c', 'a.d'], subscribes = ['x'] }",
    );
    let new = manifest(
        "shop",
        "routes = [{ path = '/a', methods = ['GET'] }, { path = '/b', methods = ['GET'] }]
         messaging = { publishes = [], subscribes = ['y', { subject = 'z', from = 'now' }] }",
    );
    let reader = manifest("reader", "messaging.subscribes = ['a.b', 'a.c']");
    let second = manifest("second", "messaging = { subscribes = ['a.b'], publishes = ['a.c'] }");
    let (before, after) = (interfaces(&["wasi:random/random@0.2.0"]), interfaces(&["platform:store/sql@1.0.0"]));
    let migrations = [
        Migration { name: "1.sql".into(), sql: "CREATE TABLE t (a TEXT)".into() },
        Migration { name: "2.sql".into(), sql: "DROP TABLE t".into() },
    ];
    let host = HostContext {
        offers: OFFERS,
        active: Some(ComparedRevision { manifest: &old, interfaces: &before, events: &EventSchemas::default() }),
        active_revision: Some("1.1.0+cd"),
        others: &[&reader, &second, &old],
        applied: &[Applied::of(&migrations[0])],
    };
    let new_revision = ComparedRevision { manifest: &new, interfaces: &after, events: &EventSchemas::default() };
    let verdict = compare(new_revision, &migrations, host, RevisionInfo::default());
    assert_eq!(verdict.routes.added, [route("GET", "/b")]);
    assert_eq!(verdict.routes.removed, [route("POST", "/a")]);
    assert_eq!((verdict.subscribes.added.join(" "), verdict.subscribes.removed.join(" ")), ("y z".into(), "x".into()));
    assert_eq!(verdict.from_now, ["z"]);
    assert_eq!(verdict.capabilities, Capabilities { wanted: vec!["store".into()], new: vec!["store".into()] });
    assert_eq!(verdict.against.as_deref(), Some("1.1.0+cd"));
    assert!(verdict.migrations[0].applied && !verdict.migrations[1].applied);
    assert!(!verdict.compatible);
    assert_eq!(
        verdict.problems,
        [
            "no plugin would publish the subject a.b any more, but these plugins subscribe to it: reader, second",
            "migration 2.sql: the active revision does not work with it: it drops the TABLE t",
        ]
    );
}

#[test]
fn a_route_that_only_plugins_reach_from_now_on_is_listed() {
    let interfaces = interfaces(&[]);
    let route = |more: &str| manifest("shop", &format!("routes = [{{ path = '/a', methods = ['GET'] {more} }}]"));
    let (old, new) = (route(""), route(", visibility = 'plugins'"));
    let active = Some(ComparedRevision { manifest: &old, interfaces: &interfaces, events: &EventSchemas::default() });
    let host = HostContext { active, ..HostContext::default() };
    let new = ComparedRevision { manifest: &new, interfaces: &interfaces, events: &EventSchemas::default() };
    let routes = compare(new, &[], host, RevisionInfo::default()).routes;
    let texts = |endpoints: &[Endpoint]| endpoints.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (texts(&routes.removed), texts(&routes.added)),
        (vec!["GET /a".to_owned()], vec!["GET /a (plugins only)".to_owned()])
    );
}

#[test]
fn a_route_that_would_ignore_keys_is_a_problem() {
    let with_keys = "routes = [{ path = '/a', methods = ['GET', 'POST'], idempotent = true }]";
    let without = "routes = [{ path = '/a', methods = ['GET', 'POST'] }]";
    let interfaces = interfaces(&[]);
    let problems = |old: &str, new: &str| {
        let (old, new) = (manifest("shop", old), manifest("shop", new));
        let active =
            Some(ComparedRevision { manifest: &old, interfaces: &interfaces, events: &EventSchemas::default() });
        let new = ComparedRevision { manifest: &new, interfaces: &interfaces, events: &EventSchemas::default() };
        compare(new, &[], HostContext { active, ..HostContext::default() }, RevisionInfo::default()).problems
    };
    assert_eq!(problems(with_keys, without), ["POST /a would ignore the Idempotency-Key of its requests"]);
    for (old, new) in [(without, with_keys), (with_keys, with_keys), (without, without), (with_keys, "")] {
        assert!(problems(old, new).is_empty(), "{old} {new}");
    }
}

#[test]
fn a_schema_that_promises_less_is_a_problem() {
    let (manifest, interfaces) = (manifest("shop", "messaging.publishes = ['a.b']"), interfaces(&[]));
    let events = |schema: &str| EventSchemas::parse(format!("{{\"a.b\":{schema}}}").as_bytes(), &manifest).unwrap();
    let (more, less) = (events(r#"{"properties":{"x":{},"y":{}}}"#), events(r#"{"properties":{"x":{}}}"#));
    let compared = |new: &EventSchemas, old: &EventSchemas| {
        let of = |events| ComparedRevision { manifest: &manifest, interfaces: &interfaces, events };
        compare(of(new), &[], HostContext { active: Some(of(old)), ..HostContext::default() }, RevisionInfo::default())
    };
    let verdict = compared(&less, &more);
    assert_eq!(verdict.problems, ["the subscribers of an event may miss something: a.b, y: it is gone"]);
    assert!(!verdict.compatible && !verdict.schemas[0].compatible);
    let verdict = compared(&more, &less);
    assert!(verdict.compatible && verdict.schemas[0].compatible && verdict.problems.is_empty());
}
