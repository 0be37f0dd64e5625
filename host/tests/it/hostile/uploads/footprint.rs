//! Components that need more at their start than the limits allow. They are
//! refused when they are uploaded, not when they are activated.

use super::super::loading::component;
use crate::{
    adversary::with_module,
    support::{Host, PluginFile, Setup, guest},
};
use serde_json::json;

/// A component with one instance of a core module with these parts.
fn with(manifest: &str, parts: &str) -> Vec<u8> {
    component(manifest, &format!("(core module $m {parts}) (core instance (instantiate $m))"))
}

/// A component of `wasi:http` with one more module.
fn wasi_http(parts: &str) -> Vec<u8> {
    let module = format!("(module {parts})");
    PluginFile::read(&guest("streaming")).map_component(|component| with_module(component, &module)).bytes()
}

async fn is_refused(host: &Host, what: &str, bytes: Vec<u8>, reason: &str) {
    let operator = host.operator();
    for query in ["", "?dry_run=true"] {
        let reply = operator.upload_to(&format!("/plugins{query}"), bytes.clone()).await.unwrap();
        assert_eq!(reply.status, 422, "{what}{query}: {reply:?}");
        assert!(reply.errors()[0].0.contains(reason), "{what}{query}: {reply:?}");
    }
}

#[tokio::test]
async fn a_component_that_cannot_begin_within_its_limits_is_refused_at_its_upload() {
    let host = Setup::without_components().engine("max_memory_mib = 80\nmax_core_instances = 30\n").start().await;
    let nested = "(component $c (core module $m (memory 800)) (core instance (instantiate $m)))
        (instance (instantiate $c)) (instance (instantiate $c))";
    let handed = "(component $c (import \"m\" (core module $m)) (core instance (instantiate $m)))
        (core module $m (memory 1100)) (instance (instantiate $c (with \"m\" (core module $m))))";
    for (what, bytes, reason) in [
        ("a memory", with("", "(memory 1025)"), "65 MiB of memory, more than limits.memory_mib = 64"),
        (
            "a small limit",
            with("[limits]\nmemory_mib = 2", "(memory 33)"),
            "3 MiB of memory, more than limits.memory_mib = 2",
        ),
        ("two memories", with("", "(memory 600) (memory 600)"), "75 MiB of memory, more than limits.memory_mib = 64"),
        ("nested", component("", nested), "100 MiB of memory, more than limits.memory_mib = 64"),
        ("handed over", component("", handed), "69 MiB of memory, more than limits.memory_mib = 64"),
        ("the engine", with("[limits]\nmemory_mib = 100", "(memory 1500)"), "more than engine.max_memory_mib = 80"),
        ("a table", with("", "(table 20001 funcref)"), "20001 elements in a table, more than the host's limit"),
        ("memories", with("", "(memory 1) (memory 1) (memory 1)"), "3 memories, more than limits.memories = 2"),
        ("tables", with("", &"(table 1 funcref)".repeat(21)), "21 tables, more than limits.tables = 20"),
        (
            "instances",
            component("", &format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(31))),
            "31 core instances, more than engine.max_core_instances = 30",
        ),
        (
            "a memory of a wasi:http component",
            wasi_http("(memory 1025)"),
            "MiB of memory, more than limits.memory_mib = 64",
        ),
        ("a table of a wasi:http component", wasi_http("(table 20001 funcref)"), "20001 elements in a table"),
    ] {
        is_refused(&host, what, bytes, reason).await;
    }
    let fits = with("", "(memory 1024) (table 20000 funcref)");
    assert_eq!(host.operator().upload(fits).await.status, 201);
}

#[tokio::test]
async fn the_limits_that_an_operator_has_set_hold_at_the_upload() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    operator.deploy("odd", with("", "(memory 16)")).await;
    assert_eq!(operator.put("/plugins/odd/limits", json!({ "memory_mib": 4 })).await.status, 200);
    is_refused(&host, "a lower limit", with("", "(memory 65)"), "5 MiB of memory, more than limits.memory_mib = 4")
        .await;
}

#[tokio::test]
async fn the_ceilings_of_a_policy_hold_at_the_upload_and_the_refusal_says_how_to_raise_them() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    let ceilings = json!({ "memory_mib": 2, "core_instances": 3, "memories": 1, "tables": 4 });
    let policy = json!({ "policy": { "limits": ceilings } });
    assert_eq!(operator.put("/plugins/odd/policy", policy).await.status, 200);
    let instances =
        |count: usize| component("", &format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(count)));
    for (what, bytes, limit, value, ceiling) in [
        ("core instances", instances(4), "core_instances", 4, 3),
        ("memories", with("", "(memory 1) (memory 1)"), "memories", 2, 1),
        ("tables", with("", &"(table 1 funcref)".repeat(5)), "tables", 5, 4),
        ("MiB of memory", with("", "(memory 33)"), "memory_mib", 3, 2),
    ] {
        let reason = format!(
            "{value} {what}, more than limits.{limit} = {ceiling}, which is the ceiling in its policy; \
             an administrator can: ticketing plugin policy odd --limit {limit}={value}"
        );
        is_refused(&host, what, bytes, &reason).await;
    }
    // The author may want less than the policy allows.
    let declared = component(
        "[limits]\ncore_instances = 2",
        &format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(3)),
    );
    is_refused(&host, "a declared limit", declared, "3 core instances, more than limits.core_instances = 2").await;

    let revision = operator.stage(instances(3)).await;
    let lower = json!({ "policy": { "limits": { "core_instances": 1 } } });
    assert_eq!(operator.put("/plugins/odd/policy", lower).await.status, 200);
    let reply = operator.activate("odd", &revision).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    assert!(reply.errors()[0].0.contains("limits.core_instances = 1"), "{reply:?}");
}
