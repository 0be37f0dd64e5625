use super::{
    super::{
        Databases,
        conformance::{self, Store},
    },
    *,
};
use host_base::secret::Secret;
use host_database::HostDatabase;
use host_test_support::postgres;

mod duties;
mod pool;

/// The databases of one host in a new PostgreSQL database, and its URL.
async fn databases(limits: Limits) -> (PostgresDatabases, String) {
    let url = postgres::new_database().await;
    (host(&url, limits).await, url)
}

async fn host(url: &str, limits: Limits) -> PostgresDatabases {
    let secret = Secret::new(url);
    let host = HostDatabase::connect(&secret).await.unwrap();
    PostgresDatabases::with_limits(&secret, &host, limits).await.unwrap()
}

fn patient() -> Limits {
    Limits { wait_ms: 60_000, ..Limits::default() }
}

macro_rules! conforms {
    ($($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "needs PostgreSQL"]
        async fn $case() {
            let (databases, _url) = databases(patient()).await;
            let store: Store = databases.open("things").await.unwrap();
            conformance::$case(store).await;
        }
    )*};
}

conforms! {
    values_come_back_as_they_were
    nobody_sees_a_change_before_its_commit
    what_is_dropped_or_rolled_back_leaves_nothing
    a_statement_in_flight_is_rolled_back_with_its_transaction
    writers_one_after_another_lose_nothing
    a_violation_names_the_constraint_and_the_transaction_goes_on
    a_statement_that_fails_takes_nothing_else_with_it
    failures_in_a_long_transaction_take_nothing_with_them
    a_commit_whose_caller_has_gone_wakes_all_the_same
    an_event_is_marked_once
    the_outbox_keeps_the_order_of_commits
    timers_are_replaced_cancelled_put_off_and_taken_once
    migrations_run_once_and_must_not_change
    a_query_outside_a_transaction_only_reads
    what_the_gate_lets_through_is_understood
    nothing_gets_out_and_nothing_is_harmed
    statements_mean_the_same_on_every_engine
}

/// What SQL of a component that got past the gate would still run into: it is
/// run as the component's role, without the gate.
const FORBIDDEN: &[&str] = &[
    "SELECT * FROM \"c_others\".\"treasure\"",
    "INSERT INTO \"c_others\".\"treasure\" VALUES ('x')",
    "DROP SCHEMA \"c_others\" CASCADE",
    "CREATE TABLE \"c_others\".mine (a TEXT)",
    "SELECT * FROM ticketing_host.store_components",
    "SELECT * FROM ticketing_host.store_outbox",
    "INSERT INTO ticketing_host.store_inbox VALUES ('things', 'e', 1)",
    "DELETE FROM ticketing_host.store_timers",
    "UPDATE ticketing_host.store_migrations SET digest = 'x'",
    "SELECT * FROM ticketing_host.schema_steps",
    "SELECT ticketing_host.store_publish('guess', 'i', 's', 's', 1, NULL, '')",
    "SELECT ticketing_host.store_cancel_timer('', 'k')",
    "SELECT ticketing_host.store_note_migration(NULL, 'm', 'd', 1)",
    "CREATE TABLE ticketing_host.mine (a TEXT)",
    "CREATE FUNCTION ticketing_host.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE public.mine (a TEXT)",
    "CREATE TEMPORARY TABLE t (a TEXT)",
    "CREATE SCHEMA mine",
    "CREATE DATABASE mine",
    "CREATE ROLE mine",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE CURRENT_USER CREATEROLE",
    "CREATE EXTENSION dblink",
    "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc.so.6', 'getpid'",
    "SET ROLE tests",
    "SET SESSION AUTHORIZATION tests",
    "SELECT set_config('role', 'tests', false)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "COPY (SELECT 1) TO '/tmp/out'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "SELECT * FROM pg_authid",
    "SELECT rolpassword FROM pg_catalog.pg_shadow",
    "ALTER SYSTEM SET fsync = off",
    "SELECT pg_reload_conf()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tests'",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_role_reaches_its_own_schema_and_nothing_else() {
    let (databases, url) = databases(patient()).await;
    let (store, others) = (databases.open("things").await.unwrap(), databases.open("others").await.unwrap());
    conformance::tables(&store).await;
    let treasure =
        conformance::migration("0001.sql", "CREATE TABLE treasure (id TEXT); INSERT INTO treasure VALUES ('gold')");
    others.migrate(&[treasure]).await.unwrap();
    let other_role = provision::place(&databases.host, "others").await.unwrap().role;
    let place = provision::place(&databases.host, "things").await.unwrap();
    let pool = databases.pool(&place, 1, true).unwrap();
    let mut lease = pool.acquire().await.unwrap();
    let role = lease.connection().unwrap();
    let mut wrong = Vec::new();
    let become_other = format!("SET ROLE \"{other_role}\"");
    for statement in FORBIDDEN.iter().copied().chain([become_other.as_str()]) {
        if let Ok(done) = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *role).await {
            // Who may signal nobody sees nobody to signal.
            wrong.push(format!("{statement}: {done:?}"));
        }
    }
    wrong.retain(|line| !line.contains("pg_terminate_backend"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The role was still what it is, and can do its own work.
    sqlx::raw_sql("INSERT INTO things (id, n) VALUES ('a', 1)").execute(role).await.unwrap();
    let rows = others.query("SELECT id FROM treasure", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), r#"[[Value::Text("gold")]]"#);
    let mut owner = postgres::connect(&url).await.unwrap();
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM ticketing_host.store_outbox").fetch_one(&mut owner).await.unwrap();
    assert_eq!(left, 0);
}

/// The host's functions run with its rights, and a component that got past the
/// gate could say what words mean in its own schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn words_of_a_component_mean_nothing_to_the_functions_of_the_host() {
    let (databases, _url) = databases(patient()).await;
    databases.open("things").await.unwrap();
    let place = provision::place(&databases.host, "things").await.unwrap();
    let pool = databases.pool(&place, 1, true).unwrap();
    let mut lease = pool.acquire().await.unwrap();
    let role = lease.connection().unwrap();
    let words = format!(
        "SET search_path = {0}, pg_catalog;
         CREATE FUNCTION equal(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
         CREATE OPERATOR {0}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {0}.equal);
         CREATE FUNCTION store_caller(text) RETURNS text LANGUAGE sql STABLE AS $$SELECT 'things'$$;",
        place.schema
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(words)).execute(&mut *role).await.unwrap();
    let is_fooled: bool = sqlx::query_scalar("SELECT 'a'::text = 'b'::text").fetch_one(&mut *role).await.unwrap();
    assert!(is_fooled, "here they mean what the component says");
    for call in [
        "store_publish('guess', 'i', 's', 's', 1, NULL, '')",
        "store_schedule('guess', 'k', 1, '', NULL)",
        "store_cancel_timer('guess', 'k')",
        "store_take_timer('guess', 'k', 1, 1)",
        "store_mark_applied('guess', 'e', 1)",
        "store_append('guess', '{i}', '{s}', '{s}', '{1}', '{NULL}', '{NULL}')",
        "store_migration('guess', 'm')",
    ] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT ticketing_host.{call}"));
        let called = sqlx::raw_sql(sql).execute(&mut *role).await;
        let refused = called.unwrap_err().to_string();
        assert!(refused.contains("insufficient_privilege"), "{call}: {refused}");
    }
}

async fn add(store: &Store, id: &str) -> Result<(), Error> {
    let mut transaction = store.begin().await?;
    let values = vec![conformance::text(id)];
    transaction.execute("INSERT INTO things (id, n) VALUES ($1, 1)", values).await?;
    transaction.publish(&conformance::event(id)).await?;
    transaction.commit().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn hosts_take_turns_and_no_event_is_passed_over() {
    let (one, url) = databases(patient()).await;
    let other = host(&url, patient()).await;
    let (here, there) = (one.open("things").await.unwrap(), other.open("things").await.unwrap());
    conformance::tables(&here).await;
    // The first has taken its number and commits late. Were the second let in,
    // it would commit a higher one before, and whoever has read that one never
    // looks for a lower one again.
    let mut late = here.begin().await.unwrap();
    late.publish(&conformance::event("late")).await.unwrap();
    let waiting = {
        let there = there.clone();
        tokio::spawn(async move { add(&there, "second").await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "it has not waited for its turn");
    assert!(here.outbox(0, 10).await.unwrap().is_empty());
    late.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
    let seen = here.outbox(0, 10).await.unwrap();
    let ids: Vec<_> = seen.iter().map(|event| event.event.id.as_str()).collect();
    assert_eq!(ids, ["late", "second"]);

    // Many at once from both: whatever is seen first, nothing comes below it.
    let adding: Vec<_> = (0..40)
        .map(|number| {
            let store = if number % 2 == 0 { here.clone() } else { there.clone() };
            tokio::spawn(async move { add(&store, &format!("many-{number}")).await.unwrap() })
        })
        .collect();
    let mut carried: Vec<i64> = seen.iter().map(|event| event.sequence).collect();
    while carried.len() < 42 {
        let after = carried.last().copied().unwrap_or(0);
        carried.extend(there.outbox(after, 7).await.unwrap().iter().map(|event| event.sequence));
    }
    for task in adding {
        task.await.unwrap();
    }
    assert_eq!(there.outbox(0, 100).await.unwrap().len(), 42);
    assert!(carried.is_sorted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn connections_that_were_cut_are_made_again() {
    let (databases, url) = databases(patient()).await;
    let store: Store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    add(&store, "before").await.unwrap();
    store.query("SELECT 1", vec![]).await.unwrap();
    let mut open = store.begin().await.unwrap();
    open.execute("INSERT INTO things (id, n) VALUES ('lost', 1)", vec![]).await.unwrap();
    let mut owner = postgres::connect(&url).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'ticketing_%' AND datname = current_database()";
    sqlx::raw_sql(cut).execute(&mut owner).await.unwrap();
    let after = open.execute("INSERT INTO things (id, n) VALUES ('more', 1)", vec![]).await;
    assert!(matches!(after, Err(Error::Unavailable(_))), "{after:?}");
    assert!(matches!(open.commit().await, Err(Error::Unavailable(_))));
    let rows = store.query("SELECT id FROM things", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), r#"[[Value::Text("before")]]"#);
    add(&store, "after").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn what_takes_too_long_or_is_too_much_is_ended_and_the_database_goes_on() {
    let limits = Limits { statement_ms: 1_000, readers: 1, result_rows: 10, result_bytes: 900, ..patient() };
    let (databases, _url) = databases(limits).await;
    let store: Store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    let mut transaction = store.begin().await.unwrap();
    for number in 0..300 {
        let values = vec![conformance::text(&number.to_string()), Value::Blob(vec![1; 100])];
        transaction.execute("INSERT INTO things (id, n, b) VALUES ($1, 0, $2)", values).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let heavy =
        "SELECT count(*) FROM things a, things b, things c, things d, things e WHERE a.n + b.n + c.n + d.n + e.n < 0";
    assert!(matches!(store.query(heavy, vec![]).await, Err(Error::Timeout)));
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("UPDATE things SET n = 5 WHERE id = '1'", vec![]).await.unwrap();
    let change = transaction.execute(&format!("UPDATE things SET n = ({heavy})"), vec![]).await;
    assert!(matches!(change, Err(Error::Timeout)), "{change:?}");
    assert!(matches!(transaction.execute("DELETE FROM things", vec![]).await, Err(Error::Timeout)));
    assert!(matches!(transaction.commit().await, Err(Error::Timeout)));
    let rows = store.query("SELECT count(*), sum(n) FROM things", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), "[[Value::Integer(300), Value::Integer(0)]]");

    let limit = |result: Result<Rows, Error>| match result {
        Err(Error::Limit(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(store.query("SELECT id FROM things", vec![]).await), "a result of more than 10 rows");
    assert_eq!(limit(store.query("SELECT b FROM things LIMIT 10", vec![]).await), "a result of more than 900 bytes");
    // Whose caller is gone makes way.
    assert!(timeout(Duration::from_millis(50), store.query(heavy, vec![])).await.is_err());
    store.query("SELECT 1", vec![]).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    assert!(matches!(transaction.query("SELECT id FROM things", vec![]).await, Err(Error::Limit(_))));
    transaction.execute("DELETE FROM things WHERE n = 0", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.query("SELECT id FROM things", vec![]).await.unwrap().rows.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn whoever_waits_too_long_for_a_turn_is_told() {
    let (databases, url) = databases(Limits { wait_ms: 1_000, ..Limits::default() }).await;
    let patient = host(&url, patient()).await.open("things").await.unwrap();
    conformance::tables(&patient).await;
    let store: Store = databases.open("things").await.unwrap();
    let holder = patient.begin().await.unwrap();
    assert!(matches!(store.begin().await.map(drop), Err(Error::Timeout)));
    drop(holder);
    add(&patient, "a").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn what_was_committed_is_there_for_the_next_host() {
    let (databases, url) = databases(patient()).await;
    let store: Store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    add(&store, "a").await.unwrap();
    databases.close().await;
    assert!(matches!(store.begin().await.map(drop), Err(Error::Unavailable(_))));
    assert!(matches!(store.query("SELECT 1", vec![]).await, Err(Error::Unavailable(_))));
    let store: Store = host(&url, patient()).await.open("things").await.unwrap();
    conformance::tables(&store).await;
    assert_eq!(store.query("SELECT id FROM things", vec![]).await.unwrap().rows.len(), 1);
    assert_eq!(store.outbox(0, 10).await.unwrap()[0].event, conformance::event("a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_schema_that_another_host_has_changed_is_seen() {
    let (one, url) = databases(patient()).await;
    let other = host(&url, patient()).await;
    let (here, there) = (one.open("things").await.unwrap(), other.open("things").await.unwrap());
    conformance::tables(&here).await;
    let all = "SELECT * FROM things";
    assert_eq!(there.query(all, vec![]).await.unwrap().columns.len(), 4);
    let mut transaction = there.begin().await.unwrap();
    transaction.query(all, vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    here.migrate(&[conformance::migration("0002.sql", "ALTER TABLE things ADD COLUMN more TEXT")]).await.unwrap();
    assert_eq!(there.query(all, vec![]).await.unwrap().columns.len(), 5);
    let mut transaction = there.begin().await.unwrap();
    assert_eq!(transaction.query(all, vec![]).await.unwrap().columns.len(), 5);
    transaction.commit().await.unwrap();
}
