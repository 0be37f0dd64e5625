use super::*;
use host_test_support::{TestDatabase, on_both_engines};

on_both_engines! {
    refusals_are_bounded_and_push_out_no_other_rows
    rows_are_listed_by_plugin
    rows_cannot_be_changed_and_long_texts_are_truncated
}

async fn open(place: &TestDatabase, max_rows: u32) -> Audit {
    Audit::open(place.open().await, max_rows).await.unwrap()
}

async fn count(audit: &Audit, outcome: &str) -> usize {
    let rows = audit.list(&AuditScope::All, &AuditFilter::default(), None, 1_000).await.unwrap();
    rows.iter().filter(|row| row.outcome == outcome).count()
}

async fn refusals_are_bounded_and_push_out_no_other_rows(place: TestDatabase) {
    let audit = open(&place, 20).await;
    let ci = "ci";
    for _ in 0..5 {
        audit.record(ci, &Entry::new("activate", Outcome::Done)).await.unwrap();
    }
    for _ in 0..200 {
        audit.record(ci, &Entry::new("activate", Outcome::Refused)).await.unwrap();
    }
    assert_eq!(count(&audit, "done").await, 5);
    assert!((20..20 + 32).contains(&count(&audit, "refused").await));
    for _ in 0..200 {
        audit.record(ci, &Entry::new("activate", Outcome::Done)).await.unwrap();
    }
    assert!((20..20 + 32).contains(&count(&audit, "done").await));
}

async fn rows_are_listed_by_plugin(place: TestDatabase) {
    let audit = open(&place, 100).await;
    for plugin in [Some("a"), Some("b"), None] {
        let entry = Entry { plugin, ..Entry::new("x", Outcome::Done) };
        audit.record(actor::OPERATOR, &entry).await.unwrap();
    }
    let listed = async |scope: AuditScope| {
        let rows = audit.list(&scope, &AuditFilter::default(), None, 10).await.unwrap();
        rows.into_iter().map(|row| row.plugin.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(listed(AuditScope::All).await, ["", "b", "a"]);
    assert_eq!(listed(AuditScope::Plugins).await, ["b", "a"]);
    assert_eq!(listed(AuditScope::Named(BTreeSet::from(["a".to_owned()]))).await, ["a"]);
    let filtered =
        async |scope: AuditScope, filter: AuditFilter| audit.list(&scope, &filter, None, 10).await.unwrap().len();
    let plugin = |name: &str| AuditFilter { plugin: Some(name.to_owned()), ..AuditFilter::default() };
    let actor = |name: &str| AuditFilter { actor: Some(name.to_owned()), ..plugin("a") };
    let of_b = || AuditScope::Named(BTreeSet::from(["b".to_owned()]));
    assert_eq!(filtered(AuditScope::All, plugin("a")).await, 1);
    assert_eq!(filtered(of_b(), plugin("a")).await, 0, "a filter widens no scope");
    assert_eq!(filtered(of_b(), plugin("b")).await, 1);
    assert_eq!(filtered(AuditScope::All, actor("' OR 1=1 --")).await, 0);
}

async fn rows_cannot_be_changed_and_long_texts_are_truncated(place: TestDatabase) {
    let audit = open(&place, 100).await;
    let long = "ä".repeat(2_000);
    let entry = Entry { plugin: Some(&long), ..Entry::new("x", Outcome::Failed) };
    audit.record(actor::HOST, &entry).await.unwrap();
    let rows = audit.list(&AuditScope::All, &AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!(rows[0].plugin.as_ref().unwrap().len(), MAX_TEXT_BYTES);
    assert!(sqlx::query("UPDATE audit SET actor = 'x'").execute(&audit.database.write).await.is_err());
    let before =
        audit.list(&AuditScope::All, &AuditFilter::default(), Some(rows[0].id.unsigned_abs()), 10).await.unwrap();
    assert!(before.is_empty());
}
