//! Files that are no plugins, and plugins that the host must not accept.

use super::{super::loading::component, good};
use crate::support::{Host, PluginFile, Setup, chameleon_host, guest};
use host_test_support::wasm::{module, number, section, sized};
use serde_json::json;
use std::time::{Duration, Instant};

const MANIFEST: &str = "name = 'odd'\nversion = '1.0.0'";

/// A name, a file, and a part of the reason for its refusal.
type Case = (&'static str, Vec<u8>, &'static str);

/// A plugin with a core module that has this many items in each of these
/// sections.
fn bomb(sections: &[(u8, usize, &[u8])]) -> Vec<u8> {
    let component = [b"\0asm\x0d\0\x01\0", section(1, &module(sections)).as_slice()].concat();
    PluginFile::of(component, MANIFEST).bytes()
}

/// A plugin with this manifest and nothing else.
fn manifest(text: &str) -> Vec<u8> {
    PluginFile::of(wat::parse_str("(component)").unwrap(), text).bytes()
}

fn migrations(json: &str) -> Vec<u8> {
    component("", &format!("(@custom \"platform:migrations\" {json:?})"))
}

fn migration(sql: &str) -> Vec<u8> {
    PluginFile::of(wat::parse_str("(component)").unwrap(), MANIFEST).migration("0001.sql", sql).bytes()
}

fn no_webassembly() -> Vec<Case> {
    let whole = good();
    let noise: Vec<u8> = (0..100_000).map(|_| rand::random()).collect();
    let mut version = whole.clone();
    version[4] = 0xff;
    let mut overlong = whole.clone();
    overlong.extend([0, 0xff, 0xff, 0xff, 0x7f]);
    vec![
        ("nothing", Vec::new(), "not WebAssembly"),
        ("random bytes", noise, "not WebAssembly"),
        ("a text", b"<!doctype html>".to_vec(), "not WebAssembly"),
        ("a compressed file", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "not WebAssembly"),
        ("the first four bytes", b"\0asm".to_vec(), "not valid"),
        ("a half", whole[..whole.len() / 2].to_vec(), "not valid"),
        ("all but one byte", whole[..whole.len() - 1].to_vec(), "not valid"),
        ("more after the end", [whole.as_slice(), b"more"].concat(), "not valid"),
        ("a section longer than the file", overlong, "not valid"),
        ("a version to come", version, "not valid"),
        ("a core module", wat::parse_str("(module)").unwrap(), "core module"),
        ("a WIT package", component("", "(type $t (component)) (export \"odd\" (type $t))"), "cannot be read"),
    ]
}

fn manifests() -> Vec<Case> {
    let twice = format!("(@custom \"platform:manifest\" {MANIFEST:?})");
    vec![
        ("no manifest", wat::parse_str("(component)").unwrap(), "carries no manifest"),
        (
            "a manifest that is not text",
            wat::parse_str("(component (@custom \"platform:manifest\" \"\\ff\"))").unwrap(),
            "not UTF-8",
        ),
        ("two manifests", component("", &twice), "platform:manifest twice"),
        ("a manifest of nonsense", manifest("name: odd"), "manifest is not valid"),
        ("a long manifest", manifest(&format!("{MANIFEST}\n{}", "#".repeat(300_000))), "more than the 262144"),
        ("a manifest of brackets", manifest(&format!("{MANIFEST}\nx = {}", "[".repeat(200_000))), "not valid"),
        ("a manifest of dots", manifest(&format!("{MANIFEST}\n{}x = 1", "x.".repeat(100_000))), "not valid"),
        ("a table of dots", manifest(&format!("{MANIFEST}\n[{}x]", "x.".repeat(100_000))), "not valid"),
        ("a name that is a path", manifest("name = '../odd'\nversion = '1.0.0'"), "name must match"),
        ("a version that is none", manifest("name = 'odd'\nversion = '1'"), "manifest is not valid"),
        ("an unknown key", manifest(&format!("{MANIFEST}\nroot = true")), "unknown field `root`"),
        ("a limit out of bounds", component("[limits]\nmemory_mib = 100000", ""), "limits.memory_mib"),
        ("a pattern that is none", component("[[routes]]\npath = '/{a'\nmethods = ['GET']", ""), "routes[0].path"),
        (
            "a route that is not answered",
            component("[[routes]]\npath = '/odd'\nmethods = ['GET']", ""),
            "platform:http/handler",
        ),
        (
            "events that are not handled",
            component("[messaging]\nsubscribes = ['a.b']", ""),
            "platform:messaging/handler",
        ),
        ("migrations that are none", migrations("{"), "platform:migrations is not valid"),
        ("migrations of brackets", migrations(&"[".repeat(100_000)), "platform:migrations is not valid"),
        (
            "two migrations of a name",
            migrations("[{\"name\":\"a\",\"sql\":\"\"},{\"name\":\"a\",\"sql\":\"\"}]"),
            "a twice",
        ),
        ("a migration that leaves its database", migration("ATTACH 'other.db' AS other"), "migration 0001.sql: ATTACH"),
        ("a migration of the host's tables", migration("DROP TABLE host_outbox"), "migration 0001.sql"),
        ("a migration of parentheses", migration(&format!("SELECT {}", "(".repeat(100_000))), "migration 0001.sql"),
    ]
}

fn bombs() -> Vec<Case> {
    let elements = [&[1, 0][..], &number(2_000_001), &[0; 2_000_001]].concat();
    let locals = sized(&[&[1][..], &number(50_000), &[0x7f, 0x0b]].concat());
    let long = sized(&[&[0][..], &vec![1; 3 << 20], &[0x0b]].concat());
    let nested = format!("{}{}", "(component ".repeat(20), ")".repeat(20));
    let deep: String = (1..200).map(|level| format!("(type $t{level} (list $t{}))", level - 1)).collect();
    let wide: String =
        (1..12).map(|level| format!("(type $t{level} (tuple {}))", format!("$t{} ", level - 1).repeat(10))).collect();
    let instances = format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(2_000));
    vec![
        ("types", bomb(&[(1, 100_001, &[0x60, 0, 0])]), "more than 100000 core types"),
        ("functions", bomb(&[(3, 200_001, &[0])]), "more than 200000 functions"),
        ("memories", bomb(&[(5, 101, &[0, 0])]), "more than 100 memories"),
        ("data segments", bomb(&[(11, 50_001, &[1, 0])]), "more than 50000 data segments"),
        ("globals", bomb(&[(6, 100_001, &[0x7f, 0, 0x41, 0, 0x0b])]), "more than 100000 globals"),
        ("table elements", bomb(&[(9, 1, &elements)]), "more than 2000000 table elements"),
        ("locals", bomb(&[(1, 1, &[0x60, 0, 0]), (3, 101, &[0]), (10, 101, &locals)]), "5000000 local variables"),
        ("one long function", bomb(&[(1, 1, &[0x60, 0, 0]), (3, 1, &[0]), (10, 1, &long)]), "bytes in one function"),
        ("components in components", component("", &nested), "more than 16 levels"),
        ("deep types", component("", &format!("(type $t0 (list u8)) {deep}")), "not valid"),
        ("types that multiply", component("", &format!("(type $t0 (tuple u8)) {wide}")), "not valid"),
        ("instances", component("", &instances), "instances"),
        (
            "a memory of 4 GiB",
            component("", "(core module $m (memory 65536)) (core instance (instantiate $m))"),
            "memory",
        ),
        (
            "a table with millions of entries",
            component("", "(core module $m (table 9000000 funcref)) (core instance (instantiate $m))"),
            "table",
        ),
    ]
}

fn worlds() -> Vec<Case> {
    let import = |name: &str, inside: &str| component("", &format!("(import {name:?} (instance {inside}))"));
    let handler = "(core module $m (func (export \"handle\") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i \"handle\")))
        (instance $e (export \"handle\" (func $f)))
        (export \"platform:http/handler@1.0.0\" (instance $e))";
    let principal = "(type $p (record (field \"id\" string) (field \"email\" u32)))
        (export \"principal\" (type (eq $p)))";
    let rival = PluginFile::read(&guest("hello")).with("name = \"hello\"", "name = \"rival\"");
    let rival = rival.with("path = \"/hello\"", "path = \"/chameleon\"").with("health = \"/hello\"\n", "");
    vec![
        (
            "an import that no host has",
            import("acme:rocket/launch@1.0.0", ""),
            "acme:rocket/launch@1.0.0, which this host does not offer; it offers",
        ),
        ("an import of a store", import("wasi:keyvalue/store@0.2.0", ""), "wasi:keyvalue/store@0.2.0"),
        ("an import of a program", import("wasi:cli/run@0.2.0", ""), "wasi:cli/run@0.2.0"),
        ("an import without a grant", std::fs::read(guest("hostile")).unwrap(), "needs the grant store"),
        (
            "a record with a changed field",
            import("platform:http/types@1.0.0", principal),
            "record principal: field email is u32, but string in the host",
        ),
        (
            "a function that the host does not have",
            import("platform:identity/identity@1.0.0", "(export \"invent\" (func))"),
            "func invent: the host does not have it",
        ),
        ("a handler of another type", component("", handler), "func handle: its result is u32"),
        ("a route of another plugin", rival.bytes(), "belongs to chameleon already"),
    ]
}

#[tokio::test]
async fn every_hostile_file_is_refused_with_its_reason_and_leaves_nothing_behind() {
    let host = chameleon_host(Setup::without_components().private_cache()).await;
    let operator = host.operator();
    operator.deploy("chameleon", good()).await;
    let before = host.installed().await;
    let kinds: Vec<Case> = [no_webassembly(), manifests(), bombs(), worlds()].concat();
    assert!(kinds.len() >= 50, "{} kinds", kinds.len());
    for (what, bytes, reason) in &kinds {
        let begun = Instant::now();
        let reply = operator.upload(bytes.clone()).await;
        assert_eq!(reply.status, 422, "{what}: {reply:?}");
        assert!(reply.errors()[0].0.contains(reason), "{what}: {reply:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} took {:?}", begun.elapsed());
        assert_eq!(host.installed().await, before, "{what}");
    }
    assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "green");
    let audit = operator.get("/audit?limit=1000").await.json();
    let refused =
        audit.as_array().unwrap().iter().filter(|row| row["action"] == "upload" && row["outcome"] == "refused");
    assert_eq!(refused.count(), kinds.len(), "each refusal is in the audit log");
}

/// A component whose core module runs this code at its start.
fn starting(with: &str) -> Vec<u8> {
    let module = format!("(core module $m (memory 1) (func $f {with}) (start $f)) (core instance (instantiate $m))");
    component("[limits]\nwall_time_ms = 300\nmemory_mib = 4", &module)
}

async fn is_never_active(host: &Host, what: &str, bytes: Vec<u8>) {
    let operator = host.operator();
    let plugins = operator.get("/plugins").await.json().as_array().unwrap().len();
    let reply = operator.upload(bytes).await;
    if reply.status == 201 {
        let revision = reply.json()["revision"].clone();
        let begun = Instant::now();
        let body = json!({ "revision": revision, "force": true });
        let reply = operator.post("/plugins/odd/activate", body).await;
        assert_eq!(reply.status, 422, "{what}: {reply:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} took {:?}", begun.elapsed());
    } else {
        assert_eq!(reply.status, 422, "{what}: {reply:?}");
    }
    assert_eq!(operator.get("/plugins").await.json().as_array().unwrap().len(), plugins, "{what}");
    assert_eq!(operator.get("/plugins/odd").await.status, 404, "{what}");
    assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "green", "{what}");
}

#[tokio::test]
async fn a_component_that_misbehaves_in_its_start_is_never_active() {
    let host = chameleon_host(Setup::without_components()).await;
    host.operator().deploy("chameleon", good()).await;
    for (what, code) in [
        ("a loop", "(loop br 0)"),
        ("a trap", "unreachable"),
        ("a deep recursion", "call $f"),
        ("memory without end", "(loop (drop (memory.grow (i32.const 1000))) br 0)"),
        ("an access outside", "(drop (i32.load (i32.const -8)))"),
    ] {
        is_never_active(&host, what, starting(code)).await;
    }
}
