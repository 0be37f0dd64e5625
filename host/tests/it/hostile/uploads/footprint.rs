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
        ("memories", with("", "(memory 1) (memory 1) (memory 1)"), "3 memories, more than engine.max_memories = 2"),
        ("tables", with("", &"(table 1 funcref)".repeat(21)), "21 tables, more than engine.max_tables = 20"),
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
