use super::*;
use crate::{Database, limits::Limits, sqlite::SqliteDatabase};
use host_base::clock::now_ms;
use host_test_support::eventually;
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

struct Fixture {
    _folder: TempDir,
    database: Arc<dyn Database>,
    table: ResourceTable,
    publishes: Vec<String>,
    wait: Histogram,
    held: Option<HeldMemory>,
    waits: CallWaits,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { wait_ms: 1_000, ..Limits::default() };
        let database = SqliteDatabase::open(&folder.path().join("x.db"), limits).await.unwrap();
        Self {
            _folder: folder,
            database,
            table: ResourceTable::new(),
            publishes: vec!["thing.created".into()],
            wait: Histogram::noop(),
            held: None,
            waits: CallWaits::default(),
        }
    }

    fn view(&mut self) -> StoreView<'_> {
        StoreView {
            table: &mut self.table,
            database: Some(&*self.database),
            claim: None,
            publishes: &self.publishes,
            component: "things",
            traceparent: Some("trace"),
            transaction_ms: 200,
            event_bytes: 10,
            wait: &self.wait,
            held: &mut self.held,
            turns: None,
            waits: &mut self.waits,
        }
    }

    async fn begin(&mut self) -> Resource<OpenTransaction> {
        self.view().begin().await.unwrap().unwrap()
    }

    async fn send_live(
        &mut self,
        handle: &Resource<OpenTransaction>,
        channel: &str,
        name: &str,
        data: &str,
    ) -> Result<(), Error> {
        let mut view = self.view();
        live::Host::notify(&mut view, again(handle), channel.into(), name.into(), data.into()).await.unwrap()
    }
}

fn again(handle: &Resource<OpenTransaction>) -> Resource<OpenTransaction> {
    Resource::new_own(handle.rep())
}

#[tokio::test]
async fn a_transaction_is_cut_off_at_its_deadline_even_when_nothing_is_called() {
    let mut fixture = Fixture::new().await;
    let handle = fixture.begin().await;
    let begun_again = async || fixture.view().begin().await.unwrap().ok();
    // The second transaction begins although the guest never dropped the first.
    let second = eventually("another begins", begun_again, Option::is_some).await.unwrap();
    let mut view = fixture.view();
    let query = view.select(again(&handle)).await;
    assert!(matches!(query, Err(Error::Timeout)), "{query:?}");
    assert!(matches!(view.commit(handle).await.unwrap(), Err(Error::Timeout)));
    assert!(view.commit(second).await.unwrap().is_ok());
}

impl StoreView<'_> {
    async fn select(&mut self, handle: Resource<OpenTransaction>) -> Result<Rows, Error> {
        HostTransaction::query(self, handle, "SELECT 1".into(), vec![]).await.unwrap()
    }
}

#[tokio::test]
async fn a_stale_handle_is_an_error_and_not_a_trap() {
    let mut fixture = Fixture::new().await;
    let handle = fixture.begin().await;
    let mut view = fixture.view();
    view.select(again(&handle)).await.unwrap();
    let stale = again(&handle);
    view.commit(handle).await.unwrap().unwrap();
    assert!(matches!(view.select(again(&stale)).await, Err(Error::Invalid(_))));
    assert!(matches!(view.commit(again(&stale)).await.unwrap(), Err(Error::Invalid(_))));
    view.rollback(stale).await.unwrap();
}

#[tokio::test]
async fn events_and_timers_obey_the_manifest_and_the_limits() {
    let mut fixture = Fixture::new().await;
    let handle = fixture.begin().await;
    let mut view = fixture.view();
    let timer = |key: String, bytes| Timer { key, due_ms: now_ms(), payload: vec![0; bytes] };
    assert!(matches!(view.publish(again(&handle), "other".into(), vec![]).await.unwrap(), Err(Error::Invalid(_))));
    let large = view.publish(again(&handle), "thing.created".into(), vec![0; 11]).await.unwrap();
    assert!(matches!(large, Err(Error::Limit(_))));
    let zero = view.schedule(again(&handle), timer("a\0b".into(), 0)).await.unwrap();
    assert!(matches!(zero, Err(Error::Invalid(_))), "PostgreSQL cannot store it");
    for refused in [timer(String::new(), 0), timer("k".repeat(201), 0), timer("k".into(), 65_537)] {
        assert!(matches!(view.schedule(again(&handle), refused).await.unwrap(), Err(Error::Limit(_))));
    }
    let id = view.publish(again(&handle), "thing.created".into(), vec![1]).await.unwrap().unwrap();
    view.schedule(again(&handle), timer("k".into(), 1)).await.unwrap().unwrap();
    assert!(view.cancel_timer(again(&handle), "k".into()).await.unwrap().unwrap());
    view.commit(handle).await.unwrap().unwrap();
    let outbox = fixture.database.read_outbox(0, 10).await.unwrap();
    assert_eq!((outbox[0].event.id.as_str(), outbox[0].event.traceparent.as_deref()), (id.as_str(), Some("trace")));
}

#[tokio::test]
async fn dropping_a_handle_rolls_back_and_frees_the_write_lock() {
    let mut fixture = Fixture::new().await;
    let handle = fixture.begin().await;
    let mut view = fixture.view();
    view.publish(again(&handle), "thing.created".into(), vec![1]).await.unwrap().unwrap();
    HostTransaction::drop(&mut view, handle).await.unwrap();
    let next = tokio::time::timeout(Duration::from_millis(100), fixture.begin()).await.unwrap();
    fixture.view().commit(next).await.unwrap().unwrap();
    assert!(fixture.database.read_outbox(0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_timer_for_a_time_in_the_past_is_due_now() {
    let mut fixture = Fixture::new().await;
    let begun_ms = now_ms();
    let handle = fixture.begin().await;
    let mut view = fixture.view();
    let timer = Timer { key: "t".into(), due_ms: now_ms() - 60_000, payload: vec![] };
    view.schedule_in(&handle, timer).await.unwrap();
    view.commit(handle).await.unwrap().unwrap();
    let due = fixture.database.upcoming_timers(now_ms(), 1).await.unwrap();
    assert!(due[0].timer.due_ms >= begun_ms, "the timer seems to be late: {due:?}");
}

#[tokio::test]
async fn a_due_time_in_another_unit_is_refused_with_a_hint() {
    let mut fixture = Fixture::new().await;
    let handle = fixture.begin().await;
    let mut view = fixture.view();
    let now = now_ms();
    let mut schedule = async |due_ms: u64| {
        let timer = Timer { key: "t".into(), due_ms, payload: vec![] };
        view.schedule_in(&handle, timer).await
    };
    for wrong in [1, now / 1_000, 978_307_199_999, 4_102_444_800_001, now * 1_000, now * 1_000_000, u64::MAX] {
        let refused = schedule(wrong).await;
        let Err(Error::Invalid(text)) = refused else { panic!("{wrong}: {refused:?}") };
        assert!(text.contains(&wrong.to_string()) && text.contains("milliseconds"), "{text}");
    }
    for right in [0, 978_307_200_000, now, now + 1, 4_102_444_800_000] {
        schedule(right).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_with_an_open_transaction_begins_no_other_one() {
    let mut fixture = Fixture::new().await;
    let handle = fixture.begin().await;
    let mut view = fixture.view();
    let begun = std::time::Instant::now();
    let refusals = [
        view.begin().await.unwrap().err(),
        sql::Host::execute(&mut view, "DELETE FROM things".into(), vec![]).await.unwrap().err(),
    ];
    for refusal in refusals {
        let Some(Error::Invalid(text)) = refusal else { panic!("{refusal:?}") };
        assert!(text.contains("has a transaction open"), "{text}");
    }
    assert!(begun.elapsed() < Duration::from_millis(200), "it does not wait for its own transaction");
    view.rollback(handle).await.unwrap();
    let next = view.begin().await.unwrap().unwrap();
    view.commit(next).await.unwrap().unwrap();
    let last = view.begin().await.unwrap().unwrap();
    HostTransaction::drop(&mut view, last).await.unwrap();
    assert!(view.begin().await.unwrap().is_ok());
}

#[tokio::test]
async fn the_handler_of_an_event_begins_no_other_transaction_after_its_first_use() {
    let mut fixture = Fixture::new().await;
    let inner = fixture.database.begin().await.unwrap();
    let lazy = OpenTransaction::lazy(inner, 5_000, &fixture.waits.transaction());
    let handle = fixture.table.push(lazy).unwrap();
    let mut view = fixture.view();
    assert!(!view.waits.has_transaction(), "it has not begun");
    view.select(again(&handle)).await.unwrap();
    assert!(matches!(view.begin().await.unwrap(), Err(Error::Invalid(_))));
    view.commit(handle).await.unwrap().unwrap();
    assert!(view.begin().await.unwrap().is_ok());
}

#[tokio::test]
async fn a_dropped_transaction_loses_changes_only_if_it_has_some() {
    let mut fixture = Fixture::new().await;
    let handle = fixture.begin().await;
    let mut view = fixture.view();
    view.select(again(&handle)).await.unwrap();
    assert!(!view.open(&handle).unwrap().would_lose_changes());
    view.publish(again(&handle), "thing.created".into(), vec![1]).await.unwrap().unwrap();
    assert!(view.open(&handle).unwrap().would_lose_changes());
    view.rollback(handle).await.unwrap();
    let handle = view.begin().await.unwrap().unwrap();
    let timer = Timer { key: "t".into(), due_ms: now_ms(), payload: vec![] };
    view.schedule_in(&handle, timer).await.unwrap();
    assert!(view.open(&handle).unwrap().would_lose_changes());
}

#[tokio::test]
async fn the_time_of_a_lazy_transaction_counts_from_its_first_use() {
    let mut fixture = Fixture::new().await;
    let inner = fixture.database.begin().await.unwrap();
    let handle = fixture.table.push(OpenTransaction::lazy(inner, 200, &fixture.waits.transaction())).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(fixture.view().select(again(&handle)).await.is_ok());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let late = fixture.view().select(again(&handle)).await;
    assert!(matches!(late, Err(Error::Timeout)), "{late:?}");
}

#[tokio::test]
async fn a_transaction_sends_a_limited_number_of_live_events() {
    let mut fixture = Fixture::new().await;
    let handle = fixture.begin().await;
    for number in 0..100 {
        fixture.send_live(&handle, "a", "n", &number.to_string()).await.unwrap();
    }
    assert!(matches!(fixture.send_live(&handle, "a", "n", "").await, Err(Error::Limit(_))));
    fixture.view().commit(handle).await.unwrap().unwrap();
    assert_eq!(fixture.database.read_live(0).await.unwrap().len(), 100);
    let (handle, large) = (fixture.begin().await, "x".repeat(64 << 10));
    for number in 0..17 {
        let sent = fixture.send_live(&handle, "a", "", &large).await;
        assert_eq!(sent.is_ok(), number < 16, "{number}: {sent:?}");
    }
    fixture.view().rollback(handle).await.unwrap();
    assert_eq!(fixture.database.read_live(100).await.unwrap(), []);
}

#[tokio::test]
async fn a_live_event_that_could_forge_others_is_refused() {
    let mut fixture = Fixture::new().await;
    let handle = fixture.begin().await;
    for (channel, name, data) in
        [("a\nid: 9", "n", ""), ("", "n", ""), ("a", "n\ndata: x", ""), ("a", "reset", ""), ("a", "n", "\0")]
    {
        let sent = fixture.send_live(&handle, channel, name, data).await;
        assert!(sent.is_err(), "{channel:?} {name:?} {data:?}");
    }
    fixture.view().commit(handle).await.unwrap().unwrap();
    assert_eq!(fixture.database.read_live(0).await.unwrap(), []);
}
