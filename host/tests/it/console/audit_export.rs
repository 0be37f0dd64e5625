//! The audit as a file.

use super::Browser;
use crate::{
    plugin_cli::Shell,
    support::{Setup, chameleon, chameleon_host},
};
use serde_json::{Value, json};

#[tokio::test]
async fn the_audit_is_downloaded_with_its_filter_as_csv_and_as_json_lines() {
    let host = chameleon_host(Setup::without_components()).await;
    let (admin, operator) = (Browser::admin(&host).await, host.operator());
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let page = admin.page("/console/audit?plugin=chameleon").await;
    assert!(page.contains("formaction=\"/console/audit/export\"") && page.contains("value=\"csv\""), "{page}");

    let csv = admin.get("/console/audit/export?format=csv&plugin=chameleon&action=activate&actor=").await;
    assert_eq!((csv.status, csv.header("content-type")), (200, Some("text/csv; charset=utf-8")), "{csv:?}");
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"audit.csv\""));
    assert_eq!(csv.header("x-content-type-options"), Some("nosniff"));
    let lines: Vec<&str> = csv.text.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("\"id\",\"time\",\"actor\","), "{lines:?}");
    assert!(lines[1].contains(",\"operator\",\"activate\",\"chameleon\","), "{lines:?}");

    let file = admin.get("/console/audit/export?format=jsonl&plugin=chameleon").await;
    let rows: Vec<Value> = file.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(rows), operator.get("/audit?plugin=chameleon").await.json());
    for wrong in ["", "?format=xls", "?format=csv&more=1"] {
        assert_eq!(operator.get(&format!("/audit/export{wrong}")).await.status, 400, "{wrong}");
    }
    assert_eq!(admin.get("/console/audit/export?format=xls").await.status, 400);
    assert_eq!(host.outsider().get("/audit/export?format=csv").await.status, 401);
    let printed = Shell::of(&host).host("plugin audit --export csv --plugin chameleon --action activate").await;
    assert_eq!(printed.done(), csv.text);
}

#[tokio::test]
async fn a_file_has_every_row_once_and_none_that_the_caller_must_not_see() {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    let token = operator.make_token(json!({ "name": "ci", "role": "deploy", "plugins": ["hello"] })).await;
    let bound = host.bearer(&token.text);
    // More rows than the host reads at once. Each refusal is one.
    for _ in 0..520 {
        assert_eq!(bound.delete("/plugins/other").await.status, 403);
    }
    let all = operator.get("/audit/export?format=jsonl&actor=ci").await;
    let ids: Vec<i64> =
        all.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap()).collect();
    assert!(ids.len() == 520 && ids.windows(2).all(|pair| pair[0] > pair[1]), "{} rows", ids.len());
    let rest = operator.get(&format!("/audit/export?format=jsonl&actor=ci&before={}", ids[500])).await;
    assert_eq!(rest.text.lines().count(), 19);
    let own = bound.get("/audit/export?format=csv").await;
    assert!(own.status == 200 && own.text.lines().count() == 1 && !own.text.contains("other"), "{own:?}");
}
