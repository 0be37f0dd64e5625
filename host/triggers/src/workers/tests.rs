use super::*;
use crate::Redelivery;
use async_trait::async_trait;
use host_artifact::Schedule;
use host_base::{Event, Secret, clock::now_ms};
use host_bus::{DeadLetterPage, EmbeddedBus, Subjects};
use host_config::store::StoreConfig;
use host_database::HostDatabase;
use host_engine::{Handled, Outcome, handler::Handler};
use host_sql::Migration;
use host_store::{Databases, DueTimer, PostgresDatabases, SqliteDatabases, Timer, Transaction, Value};
use host_test_support::{TestDatabase, on_both_engines};
use std::time::Instant;

/// The behaviour of the component under test, for an event or timer of this
/// name and this attempt.
type Behaviour = fn(&str, u32) -> Act;

enum Act {
    Done,
    Retry(Option<u64>),
    Reject,
    Trap,
    Panic,
    Slow(Duration),
}

struct Script(Behaviour, Vec<Schedule>);

impl Script {
    /// Inserts the name into the component's own table, publishes an event, and
    /// behaves.
    async fn run(&self, name: &str, attempt: u32, mut transaction: Box<dyn Transaction>) -> Handled {
        let sql = "INSERT INTO seen (name, attempt) VALUES ($1, $2)";
        let values = vec![Value::Text(name.into()), Value::Integer(i64::from(attempt))];
        transaction.execute(sql, values).await.unwrap();
        let done = event(&format!("done-{name}-{attempt}"), "done");
        transaction.publish(&done).await.unwrap();
        match (self.0)(name, attempt) {
            Act::Done => Ok(transaction),
            Act::Retry(delay_ms) => Err(Outcome::Retry {
                after: delay_ms.map(Duration::from_millis),
                reason: "it asked for another attempt".into(),
            }),
            Act::Reject => Err(Outcome::DeadLetter("never".into())),
            Act::Trap => Err(Outcome::retry("trap")),
            Act::Panic => panic!("as the test wants it"),
            Act::Slow(duration) => {
                tokio::time::sleep(duration).await;
                Ok(transaction)
            }
        }
    }
}

#[async_trait]
impl Handler for Script {
    fn delivery_attempts(&self) -> u32 {
        3
    }

    fn schedules(&self) -> &[Schedule] {
        &self.1
    }

    async fn handle_event(&self, event: &Event, attempt: u32, transaction: Box<dyn Transaction>) -> Handled {
        self.run(&event.id, attempt, transaction).await
    }

    async fn handle_timer(&self, timer: &DueTimer, transaction: Box<dyn Transaction>) -> Handled {
        self.run(&timer.timer.key, timer.attempt, transaction).await
    }
}

/// The active revision of the only component, and its schedules. None at first.
#[derive(Default)]
struct Active(Mutex<Option<Behaviour>>, Mutex<Vec<Schedule>>);

impl Handlers for Active {
    fn current(&self, component: &str) -> Option<Arc<dyn Handler>> {
        assert_eq!(component, "things");
        self.0.lock().map(|behaviour| Arc::new(Script(behaviour, self.1.lock().clone())) as Arc<dyn Handler>)
    }
}

struct Fixture {
    triggers: Triggers,
    active: Arc<Active>,
    bus: Arc<dyn Bus>,
    databases: Arc<dyn Databases>,
    database: Arc<dyn Database>,
    host: HostDatabase,
}

/// The subjects of the only host.
fn subjects(this_host: &[&str]) -> Subjects {
    Subjects { this_host: this_host.iter().map(|subject| (*subject).to_owned()).collect(), ..Subjects::default() }
}

impl Fixture {
    async fn open(place: &TestDatabase, behaviour: Option<Behaviour>) -> Self {
        let settings = MessagingConfig {
            concurrency: 4,
            backoff: Duration::from_millis(20),
            max_backoff: Duration::from_millis(200),
            retention: Duration::from_secs(3_600),
            retained_bytes: 64 << 20,
            nats: None,
        };
        let host: HostDatabase = place.open().await;
        let bus: Arc<dyn Bus> = Arc::new(EmbeddedBus::open(host.clone(), &settings, None).await.unwrap());
        let store = StoreConfig {
            database_url: None,
            readers: 2,
            queue_wait: Duration::from_secs(5),
            disk_reserve_bytes: 0,
            memory_bytes: 64 << 20,
        };
        let databases: Arc<dyn Databases> = match place {
            TestDatabase::Sqlite(folder) => {
                Arc::new(SqliteDatabases::new(&folder.path().join("components"), &store).unwrap())
            }
            TestDatabase::Postgres(url) => {
                Arc::new(PostgresDatabases::connect(&Secret::new(url), &host, &store).await.unwrap())
            }
        };
        let database = databases.open("things").await.unwrap();
        let sql = "CREATE TABLE seen (name TEXT NOT NULL, attempt BIGINT NOT NULL)".to_owned();
        database.migrate(&[Migration { name: "0001.sql".into(), sql }]).await.unwrap();
        let active = Arc::new(Active(Mutex::new(behaviour), Mutex::default()));
        let triggers = Triggers::new(active.clone(), bus.clone(), settings);
        triggers.watch("things", database.clone(), subjects(&["thing"])).await.unwrap();
        triggers.start();
        Self { triggers, active, bus, databases, database, host }
    }

    async fn seen(&self) -> Vec<(String, i64)> {
        let rows = self.database.query("SELECT name, attempt FROM seen ORDER BY name", vec![]).await.unwrap();
        let row = |row: Vec<Value>| match row.as_slice() {
            [Value::Text(name), Value::Integer(attempt)] => (name.clone(), *attempt),
            other => panic!("{other:?}"),
        };
        rows.rows.into_iter().map(row).collect()
    }

    async fn wait_for(&self, expected: &[(&str, i64)]) {
        let expected: Vec<(String, i64)> = expected.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let begun = Instant::now();
        while self.seen().await != expected {
            assert!(begun.elapsed().as_secs() < 10, "{:?} is not {expected:?}", self.seen().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn wait_for_dead_letters(&self, count: usize) -> Vec<host_bus::DeadLetterSummary> {
        let begun = Instant::now();
        loop {
            let letters = self.bus.dead_letters(&DeadLetterPage::newest(10)).await.unwrap();
            if letters.len() == count {
                return letters;
            }
            assert!(begun.elapsed().as_secs() < 10, "{letters:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The timers of schedules that are not due, once there are so many.
    async fn scheduled(&self, count: usize) -> Vec<Timer> {
        let begun = Instant::now();
        loop {
            let timers = self.database.schedule_timers().await.unwrap();
            if timers.len() == count && timers.iter().all(|timer| timer.due_ms > now_ms()) {
                return timers;
            }
            assert!(begun.elapsed().as_secs() < 10, "{timers:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn schedule(&self, key: &str, in_ms: u64) {
        let mut transaction = self.database.begin().await.unwrap();
        let timer = Timer { key: key.into(), due_ms: now_ms() + in_ms, payload: vec![7] };
        transaction.schedule(&timer, None).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn close(self) {
        assert!(self.triggers.stop().await);
        self.databases.close().await;
        self.host.close().await;
    }
}

fn event(id: &str, subject: &str) -> Event {
    Event {
        id: id.into(),
        subject: subject.into(),
        source: "things".into(),
        time_ms: now_ms(),
        traceparent: None,
        payload: vec![1],
    }
}

on_both_engines! {
    a_committed_event_travels_and_is_applied_once
    a_poisonous_event_becomes_a_dead_letter_and_holds_up_nobody
    timers_fire_in_time_and_fail_like_events
    due_work_waits_for_an_active_revision_and_survives_a_restart
    a_schedule_goes_on_after_each_time_and_ends_with_its_manifest
}

async fn a_committed_event_travels_and_is_applied_once(place: TestDatabase) {
    let fixture = Fixture::open(&place, Some(|_, _| Act::Done)).await;
    let others = fixture.bus.consumer("others", subjects(&["done"])).await.unwrap();
    let mut transaction = fixture.database.begin().await.unwrap();
    for id in ["a", "b", "c"] {
        transaction.publish(&event(id, "thing")).await.unwrap();
    }
    transaction.commit().await.unwrap();
    fixture.wait_for(&[("a", 1), ("b", 1), ("c", 1)]).await;
    // A second delivery changes nothing.
    fixture.bus.redeliver("things", &event("a", "thing")).await.unwrap();
    fixture.bus.publish(&[event("d", "thing")]).await.unwrap();
    fixture.wait_for(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]).await;
    let mut announced = Vec::new();
    for _ in 0..4 {
        announced.push(others.next().await.unwrap().event.id);
    }
    announced.sort();
    assert_eq!(announced, ["done-a-1", "done-b-1", "done-c-1", "done-d-1"]);
    fixture.close().await;
}

async fn a_poisonous_event_becomes_a_dead_letter_and_holds_up_nobody(place: TestDatabase) {
    let behaviour: Behaviour = |name, attempt| match (name, attempt) {
        ("trap", _) => Act::Trap,
        ("panic", _) => Act::Panic,
        ("reject", _) => Act::Reject,
        ("later", 1) => Act::Retry(Some(30)),
        ("later", 2) => Act::Retry(None),
        _ => Act::Done,
    };
    let fixture = Fixture::open(&place, Some(behaviour)).await;
    let others = fixture.bus.consumer("others", subjects(&["done"])).await.unwrap();
    let events = ["trap", "panic", "reject", "later", "fine"].map(|id| event(id, "thing"));
    fixture.bus.publish(&events).await.unwrap();
    fixture.wait_for(&[("fine", 1), ("later", 3)]).await;
    let letters = fixture.wait_for_dead_letters(3).await;
    let mut why: Vec<_> = letters.iter().map(|l| (l.subject_id.as_str(), l.attempts, l.reason.as_str())).collect();
    why.sort_unstable();
    assert_eq!(
        why,
        [
            ("panic", 3, "given up after 3 attempts: the host panicked"),
            ("reject", 1, "never"),
            ("trap", 3, "given up after 3 attempts: trap"),
        ]
    );
    // No event of a rolled back transaction was published.
    let announced = [others.next().await.unwrap().event.id, others.next().await.unwrap().event.id];
    assert_eq!(announced, ["done-fine-1", "done-later-3"]);

    // The next revision can handle it.
    *fixture.active.0.lock() = Some(|_, _| Act::Done);
    let redelivery = Redelivery::new(fixture.bus.clone(), fixture.databases.clone());
    let trap = letters.iter().find(|letter| letter.subject_id == "trap").unwrap();
    redelivery.redeliver(&trap.id).await.unwrap();
    assert!(redelivery.redeliver(&trap.id).await.is_err());
    fixture.wait_for(&[("fine", 1), ("later", 3), ("trap", 1)]).await;
    assert_eq!(fixture.bus.dead_letters(&DeadLetterPage::newest(10)).await.unwrap().len(), 2);
    fixture.close().await;
}

async fn timers_fire_in_time_and_fail_like_events(place: TestDatabase) {
    let behaviour: Behaviour = |name, attempt| match (name, attempt) {
        ("trap", _) => Act::Trap,
        ("later", 1) => Act::Retry(Some(50)),
        _ => Act::Done,
    };
    let fixture = Fixture::open(&place, Some(behaviour)).await;
    fixture.schedule("replaced", 400).await;
    fixture.schedule("replaced", 60_000).await;
    fixture.schedule("far", 60_000).await;
    fixture.schedule("trap", 0).await;
    fixture.schedule("later", 0).await;
    fixture.schedule("soon", 600).await;
    let set = Instant::now();
    fixture.wait_for(&[("later", 2), ("soon", 1)]).await;
    let took = set.elapsed().as_millis();
    assert!((550..1_600).contains(&took), "{took} ms");
    let letters = fixture.wait_for_dead_letters(1).await;
    let letter = fixture.bus.dead_letter(&letters[0].id).await.unwrap().unwrap();
    assert_eq!((letter.subject_id.as_str(), letter.payload.as_slice()), ("trap", [7].as_slice()));

    *fixture.active.0.lock() = Some(|_, _| Act::Done);
    let redelivery = Redelivery::new(fixture.bus.clone(), fixture.databases.clone());
    redelivery.redeliver(&letters[0].id).await.unwrap();
    fixture.wait_for(&[("later", 2), ("soon", 1), ("trap", 1)]).await;
    let left = fixture.database.upcoming_timers(u64::MAX, 10).await.unwrap();
    assert_eq!(left.iter().map(|due| due.timer.key.as_str()).collect::<Vec<_>>(), ["replaced", "far"]);
    fixture.close().await;
}

async fn a_schedule_goes_on_after_each_time_and_ends_with_its_manifest(place: TestDatabase) {
    let behaviour: Behaviour = |name, _| if name == "schedule:bad" { Act::Reject } else { Act::Done };
    let schedule = |name: &str, cron: &str| Schedule { name: name.into(), cron: cron.into(), zone: "UTC".into() };
    let fixture = Fixture::open(&place, None).await;
    *fixture.active.1.lock() = vec![schedule("good", "0 3 * * *"), schedule("bad", "0 4 * * *")];
    *fixture.active.0.lock() = Some(behaviour);
    let first = fixture.scheduled(2).await;
    assert!(first.iter().all(|timer| timer.due_ms > now_ms() && timer.due_ms % 3_600_000 == 0), "{first:?}");

    // Both are due. One is handled, the other one becomes a dead letter, and both go on.
    let mut transaction = fixture.database.begin().await.unwrap();
    for timer in &first {
        transaction.schedule(&Timer { due_ms: now_ms(), ..timer.clone() }, None).await.unwrap();
    }
    transaction.commit().await.unwrap();
    fixture.wait_for(&[("schedule:good", 1)]).await;
    let letters = fixture.wait_for_dead_letters(1).await;
    assert_eq!(letters[0].subject_id, "schedule:bad");
    let again = fixture.scheduled(2).await;
    let times = |timers: &[Timer]| timers.iter().map(|timer| (timer.key.clone(), timer.due_ms)).collect::<Vec<_>>();
    assert_eq!(times(&again), times(&first));

    // Another revision changes one of them and has the other one no more.
    fixture.close().await;
    let fixture = Fixture::open(&place, None).await;
    *fixture.active.1.lock() = vec![schedule("good", "30 3 * * *")];
    *fixture.active.0.lock() = Some(behaviour);
    let changed = fixture.scheduled(1).await;
    assert_eq!(changed[0].due_ms % 3_600_000, 1_800_000, "{changed:?}");
    fixture.close().await;
}

async fn due_work_waits_for_an_active_revision_and_survives_a_restart(place: TestDatabase) {
    let fixture = Fixture::open(&place, None).await;
    let mut transaction = fixture.database.begin().await.unwrap();
    transaction.publish(&event("a", "thing")).await.unwrap();
    transaction.commit().await.unwrap();
    fixture.schedule("timer", 0).await;
    fixture.bus.publish(&[event("b", "thing")]).await.unwrap();
    fixture.close().await;

    let fixture = Fixture::open(&place, None).await;
    assert!(fixture.seen().await.is_empty());
    *fixture.active.0.lock() = Some(|_, _| Act::Done);
    fixture.wait_for(&[("a", 1), ("b", 1), ("timer", 1)]).await;
    fixture.close().await;
    let fixture = Fixture::open(&place, Some(|_, _| Act::Done)).await;
    fixture.bus.publish(&[event("c", "thing")]).await.unwrap();
    fixture.wait_for(&[("a", 1), ("b", 1), ("c", 1), ("timer", 1)]).await;
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_work_in_flight_and_begins_no_more() {
    let place = TestDatabase::sqlite();
    let behaviour: Behaviour = |name, _| {
        if name == "slow" { Act::Slow(Duration::from_millis(300)) } else { Act::Done }
    };
    let fixture = Fixture::open(&place, Some(behaviour)).await;
    fixture.bus.publish(&[event("slow", "thing")]).await.unwrap();
    // The handler runs once it has the write lock.
    let begun = Instant::now();
    while tokio::time::timeout(Duration::from_millis(50), fixture.database.begin()).await.is_ok() {
        assert!(begun.elapsed().as_secs() < 10);
    }
    assert!(fixture.triggers.stop().await);
    fixture.bus.publish(&[event("late", "thing")]).await.unwrap();
    fixture.wait_for(&[("slow", 1)]).await;
    fixture.databases.close().await;
    fixture.host.close().await;
    let fixture = Fixture::open(&place, Some(behaviour)).await;
    fixture.wait_for(&[("late", 1), ("slow", 1)]).await;
    fixture.close().await;
}
