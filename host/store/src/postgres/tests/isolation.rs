//! Tests that the database itself isolates the components.

use super::{databases, patient, pool_of};
use crate::{Databases, conformance, postgres::accounts};
use host_test_support::postgres;
use sqlx::AssertSqlSafe;

/// Statements that the database refuses. The test runs them as the component's
/// role, without the gate.
const FORBIDDEN: &[&str] = &[
    "SELECT * FROM \"c_others\".\"treasure\"",
    "INSERT INTO \"c_others\".\"treasure\" VALUES ('x')",
    "DROP SCHEMA \"c_others\" CASCADE",
    "CREATE TABLE \"c_others\".mine (a TEXT)",
    "SELECT * FROM ticketing_host.store_components",
    "SELECT * FROM ticketing_host.store_outbox",
    "INSERT INTO ticketing_host.store_inbox VALUES ('things', 'e', 1)",
    "SELECT * FROM ticketing_host.store_requests",
    "UPDATE ticketing_host.store_requests SET answer = NULL",
    "DELETE FROM ticketing_host.store_timers",
    "UPDATE ticketing_host.store_migrations SET digest = 'x'",
    "SELECT * FROM ticketing_host.schema_steps",
    "SELECT ticketing_host.store_append('guess', '{i}', '{s}', '{s}', '{1}', '{NULL}', '{NULL}')",
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
    let other_role = accounts::find_or_create(&databases.host, "others").await.unwrap().role;
    let pool = pool_of(&databases, "things", 1).await;
    let mut lease = pool.acquire().await.unwrap();
    let role = lease.connection().unwrap();
    let mut wrong = Vec::new();
    let become_other = format!("SET ROLE \"{other_role}\"");
    for statement in FORBIDDEN.iter().copied().chain([become_other.as_str()]) {
        if let Ok(done) = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *role).await {
            // `pg_terminate_backend` succeeds for no rows: the role sees no other
            // session.
            wrong.push(format!("{statement}: {done:?}"));
        }
    }
    wrong.retain(|line| !line.contains("pg_terminate_backend"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The role is unchanged and can use its own tables.
    sqlx::raw_sql("INSERT INTO things (id, n) VALUES ('a', 1)").execute(role).await.unwrap();
    let rows = others.query("SELECT id FROM treasure", vec![]).await.unwrap();
    assert_eq!(format!("{:?}", rows.rows), r#"[[Value::Text("gold")]]"#);
    let mut owner = postgres::connect(&url).await.unwrap();
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM ticketing_host.store_outbox").fetch_one(&mut owner).await.unwrap();
    assert_eq!(left, 0);
}

/// The functions of the host run with its rights. A component that got past the
/// gate could define functions and operators in its own schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_component_cannot_redefine_names_for_the_functions_of_the_host() {
    let (databases, _url) = databases(patient()).await;
    databases.open("things").await.unwrap();
    let place = accounts::find_or_create(&databases.host, "things").await.unwrap();
    let pool = pool_of(&databases, "things", 1).await;
    let mut lease = pool.acquire().await.unwrap();
    let role = lease.connection().unwrap();
    let definitions = format!(
        "SET search_path = {0}, pg_catalog;
         CREATE FUNCTION equal(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
         CREATE OPERATOR {0}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {0}.equal);
         CREATE FUNCTION store_caller(text) RETURNS text LANGUAGE sql STABLE AS $$SELECT 'things'$$;",
        place.schema
    );
    sqlx::raw_sql(AssertSqlSafe(definitions)).execute(&mut *role).await.unwrap();
    let is_fooled: bool = sqlx::query_scalar("SELECT 'a'::text = 'b'::text").fetch_one(&mut *role).await.unwrap();
    assert!(is_fooled, "the definitions of the component hold in its own statements");
    for call in [
        "store_schedule('guess', 'k', 1, '', NULL)",
        "store_cancel_timer('guess', 'k')",
        "store_append('guess', '{i}', '{s}', '{s}', '{1}', '{NULL}', '{NULL}')",
        "store_migration('guess', 'm')",
        "store_note_migration('guess', 'm', 'd', 1)",
    ] {
        let sql = AssertSqlSafe(format!("SELECT ticketing_host.{call}"));
        let called = sqlx::raw_sql(sql).execute(&mut *role).await;
        let refused = called.unwrap_err().to_string();
        assert!(refused.contains("insufficient_privilege"), "{call}: {refused}");
    }
}
