//! Tests of the roles that components log in with.

use super::{add, databases, host, patient};
use crate::{Databases, Error, conformance, limits::Limits, postgres::PostgresDatabases};
use host_base::id;
use host_test_support::{PostgresServer, eventually, postgres};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

async fn run(owner: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(owner).await.unwrap();
}

async fn text(owner: &mut PgConnection, sql: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(owner).await.unwrap()
}

/// The role of the component `things`.
async fn role(owner: &mut PgConnection) -> String {
    text(owner, "SELECT role FROM ticketing_host.store_components WHERE component = 'things'").await
}

/// Ends the sessions of a role, so that the next statement has to log in.
async fn end_sessions(owner: &mut PgConnection, role: &str) {
    let sql = format!("SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE usename = '{role}'");
    run(owner, &sql).await;
}

/// A component with tables, and the owner of its database.
async fn things(limits: Limits) -> (PostgresDatabases, conformance::Store, PgConnection, String) {
    let (databases, url) = databases(limits).await;
    let store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    let owner = postgres::connect(&url).await.unwrap();
    (databases, store, owner, url)
}

/// What operators, managed services and restores do to a role. `$R` is the
/// role, `$D` the database.
const DAMAGES: &[&str] = &[
    "ALTER ROLE $R PASSWORD 'another'",
    "ALTER ROLE $R PASSWORD NULL",
    "ALTER ROLE $R VALID UNTIL '2020-01-01'",
    "ALTER ROLE $R NOLOGIN",
    "REVOKE CONNECT ON DATABASE $D FROM PUBLIC, $R",
    "REVOKE USAGE ON SCHEMA ticketing_host FROM $R",
    "REASSIGN OWNED BY $R TO CURRENT_USER; DROP OWNED BY $R; DROP ROLE $R",
    "REASSIGN OWNED BY $R TO CURRENT_USER",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_host_that_starts_sets_the_roles_right() {
    let (first, _store, mut owner, url) = things(patient()).await;
    first.close().await;
    let (role, database) = (role(&mut owner).await, text(&mut owner, "SELECT current_database()::text").await);
    for damage in DAMAGES {
        let statement = damage.replace("$R", &format!("\"{role}\"")).replace("$D", &database);
        run(&mut owner, &statement).await;
        let again = host(&url, patient()).await;
        let opened = again.open("things").await;
        let store = opened.unwrap_or_else(|error| panic!("{damage}: {error:?}"));
        add(&store, &id::new().to_string()).await.unwrap_or_else(|error| panic!("{damage}: {error:?}"));
        assert!(store.query("SELECT id FROM things", vec![]).await.is_ok(), "{damage}");
        again.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_role_that_is_changed_while_the_host_runs_is_set_right() {
    let (databases, store, mut owner, _url) = things(patient()).await;
    let (role, database) = (role(&mut owner).await, text(&mut owner, "SELECT current_database()::text").await);
    for damage in &DAMAGES[..5] {
        let statement = damage.replace("$R", &format!("\"{role}\"")).replace("$D", &database);
        run(&mut owner, &statement).await;
        end_sessions(&mut owner, &role).await;
        // A role is not repaired again at once.
        let added = async || add(&store, &id::new().to_string()).await;
        eventually(damage, added, |added: &Result<(), Error>| added.is_ok()).await.unwrap();
        assert_eq!(databases.problem(), None, "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL"]
async fn several_hosts_set_a_role_right_at_once_and_none_locks_another_out() {
    let (first, _store, mut owner, url) = things(patient()).await;
    let role = role(&mut owner).await;
    let others = [host(&url, patient()).await, host(&url, patient()).await, host(&url, patient()).await];
    run(&mut owner, &format!("ALTER ROLE \"{role}\" PASSWORD 'another' VALID UNTIL '2020-01-01'")).await;
    end_sessions(&mut owner, &role).await;
    let hosts = [&first, &others[0], &others[1], &others[2]];
    for round in 0..2 {
        let work = hosts.iter().map(async |host| {
            let store = host.open("things").await.unwrap();
            add(&store, &id::new().to_string()).await.unwrap();
        });
        futures::future::join_all(work).await;
        // The password that all of them know is the one that counts.
        end_sessions(&mut owner, &role).await;
        assert!(hosts.iter().all(|host| host.problem().is_none()), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn no_password_stands_in_a_statement_or_a_parameter() {
    let server = PostgresServer::start().await;
    server.execute(&["ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"]).await;
    let url = server.database().await;
    let databases = host(&url, patient()).await;
    let store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    let mut owner = postgres::connect(&url).await.unwrap();
    let role = role(&mut owner).await;
    run(&mut owner, &format!("ALTER ROLE \"{role}\" PASSWORD NULL")).await;
    end_sessions(&mut owner, &role).await;
    add(&store, "a").await.unwrap();
    let password = text(&mut owner, "SELECT password FROM ticketing_host.store_components").await;
    let log = server.log();
    assert!(password.len() >= 64 && !log.contains(&password), "the password stands in the log");
    // The control: the log has the statements that set the password.
    assert_eq!(log.matches("PASSWORD 'SCRAM-SHA-256$4096:").count(), 2, "{log}");
    assert!(log.contains("INSERT INTO store_components"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_role_that_the_host_may_not_repair_is_a_problem_with_a_cure_until_it_is_repaired() {
    let server = PostgresServer::start().await;
    let url = server.database().await;
    let database = url.rsplit('/').next().unwrap();
    let own = format!("ALTER DATABASE {database} OWNER TO plain");
    server.execute(&["CREATE ROLE plain LOGIN CREATEROLE PASSWORD 'plain'", &own]).await;
    let plain = url.replace("tests:of-the-tests", "plain:plain");
    let databases = host(&plain, Limits { wait_ms: 3_000, ..Limits::default() }).await;
    let store = databases.open("things").await.unwrap();
    conformance::tables(&store).await;
    let mut owner = postgres::connect(&url).await.unwrap();
    let role = role(&mut owner).await;
    run(&mut owner, "ALTER ROLE plain NOCREATEROLE").await;
    run(&mut owner, &format!("ALTER ROLE \"{role}\" PASSWORD 'another'")).await;
    end_sessions(&mut owner, &role).await;
    let refused = add(&store, "a").await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let problem = databases.problem().expect("a problem");
    assert!(problem.contains("things") && problem.contains("WITH ADMIN OPTION"), "{problem}");
    assert!(!problem.contains("another"), "{problem}");
    run(&mut owner, "ALTER ROLE plain CREATEROLE").await;
    eventually("the problem ends by itself", async || databases.problem(), Option::is_none).await;
    add(&store, "b").await.unwrap();
    owner.close().await.unwrap();
}

/// A database that somebody restored has the accounts of another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_host_alone_with_an_account_of_its_own_logs_in_after_a_restore_on_the_same_server() {
    let (first, _store, mut owner, url) = things(patient()).await;
    add(&first.open("things").await.unwrap(), "kept").await.unwrap();
    first.close().await;
    let dump = std::process::Command::new(postgres::program("pg_dump")).args(["-Fc", &url]).output().unwrap();
    assert!(dump.status.success());
    // Meanwhile a host ran on an empty database with the same name, so the role
    // has another password.
    let role = role(&mut owner).await;
    run(&mut owner, &format!("ALTER ROLE \"{role}\" PASSWORD 'of a database that is gone'")).await;
    let empty = postgres::new_database().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &dump.stdout).unwrap();
    let restore = std::process::Command::new(postgres::program("pg_restore"))
        .args(["--exit-on-error", "--dbname", &empty])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    let restored = host(&empty, patient()).await;
    let store = restored.open("things").await.unwrap();
    let rows = store.query("SELECT id FROM things WHERE id = 'kept'", vec![]).await.unwrap();
    assert_eq!(rows.rows.len(), 1);
    add(&store, "new").await.unwrap();
}
