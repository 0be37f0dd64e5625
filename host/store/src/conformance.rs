//! The conformance suite: tests that hold for every engine, as functions over
//! [`Database`]. The tests of each engine run all of them, each with an empty
//! database.

pub(crate) mod costs;
pub(crate) mod deliveries;
pub(crate) mod disk_use;
pub(crate) mod keyed_requests;
pub(crate) mod live;
pub(crate) mod migrations;
pub(crate) mod signals;
pub(crate) mod statements;
pub(crate) mod transactions;

use super::{Database, Error, IdempotencyKey, Timer, Value};
use host_base::event::Event;
use host_sql::Migration;
use std::sync::Arc;

pub(crate) type Store = Arc<dyn Database>;

/// Calls a macro with the modules of the suite and the names of their tests.
macro_rules! conformance_suite {
    ($each:ident) => {
        $each! {
            transactions {
                values_come_back_as_they_were
                a_change_is_invisible_before_its_commit
                a_dropped_or_rolled_back_transaction_leaves_nothing
                a_running_statement_is_rolled_back_with_its_transaction
                concurrent_writers_lose_no_change
                a_violation_names_the_constraint_and_the_transaction_continues
                a_failed_statement_undoes_nothing_else
                failed_statements_in_a_long_transaction_undo_nothing_else
            }
            costs {
                each_function_ends_with_its_largest_operands
                a_column_that_is_too_long_for_a_function_is_an_error
                a_text_that_is_appended_to_stays_within_the_limit
                a_result_is_counted_before_it_is_held
                an_abandoned_statement_ends_soon
            }
            deliveries {
                a_commit_whose_caller_was_dropped_still_wakes_the_workers
                an_event_is_claimed_once
                the_outbox_keeps_the_order_of_commits
                timers_are_replaced_cancelled_postponed_and_claimed_once
                timers_are_counted_up_to_a_limit
            }
            disk_use {
                events_over_the_quota_are_refused_until_the_relay_has_carried_some
                timers_over_the_quota_are_refused_until_some_are_gone
                a_database_over_its_quota_can_be_read_and_emptied
                tables_are_measured_without_those_of_the_host
            }
            keyed_requests {
                a_key_belongs_to_the_first_call_that_commits
                a_call_that_changed_nothing_leaves_no_claim
                the_answer_belongs_to_one_request_for_a_day
                of_fifty_calls_with_one_key_one_changes_something
                without_a_claim_each_of_two_calls_changes_something
                a_visitor_and_a_component_have_a_limited_number_of_keys
                old_requests_are_deleted
                stored_answers_count_as_part_of_the_database
            }
            live {
                a_commit_logs_its_events_in_order_and_wakes_the_reader
                only_a_commit_logs_events
                events_of_concurrent_transactions_have_no_gaps
                the_log_keeps_the_last_thousand_events
                the_log_keeps_a_limited_number_of_bytes
                old_events_are_deleted_except_the_last_one
                a_database_over_its_quota_sends_no_events
            }
            migrations {
                migrations_run_once_and_must_not_change
                an_emptied_database_is_as_a_new_one
            }
            signals {
                a_commit_wakes_the_listeners_to_its_topics
                only_a_commit_wakes_listeners
                a_topic_that_cannot_be_is_refused
            }
            statements {
                a_query_outside_a_transaction_only_reads
                every_permitted_statement_runs
                every_refused_statement_has_no_effect
                values_that_an_engine_cannot_store_are_refused_on_both
                numbers_mean_the_same_on_every_engine
                statements_mean_the_same_on_every_engine
            }
        }
    };
}
pub(crate) use conformance_suite;

pub(crate) fn migration(name: &str, sql: &str) -> Migration {
    Migration { name: name.into(), sql: sql.into() }
}

pub(crate) fn key(event_id: &str) -> IdempotencyKey {
    IdempotencyKey::Event(event_id.into())
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.into())
}

pub(crate) fn event(id: &str) -> Event {
    Event {
        id: id.into(),
        subject: "thing.created".into(),
        source: "things".into(),
        time_ms: 17,
        traceparent: Some("00-1-2-01".into()),
        payload: vec![0, 159, 146, 150],
    }
}

fn timer(key: &str, due_ms: u64) -> Timer {
    Timer { key: key.into(), due_ms, payload: key.as_bytes().to_vec() }
}

/// Creates the tables that most tests use.
pub(crate) async fn tables(store: &Store) {
    let sql = "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT NOT NULL, d DOUBLE PRECISION, b BLOB, CONSTRAINT positive CHECK (n >= 0));
        CREATE UNIQUE INDEX one_seven ON things (n) WHERE n = 7;
        CREATE TABLE parts (id TEXT PRIMARY KEY, thing TEXT NOT NULL REFERENCES things (id));";
    store.migrate(&[migration("0001_tables.sql", sql)]).await.unwrap();
}

pub(crate) async fn count(store: &Store) -> i64 {
    let rows = store.query("SELECT count(*) FROM things", vec![]).await.unwrap();
    match rows.rows[0][0] {
        Value::Integer(count) => count,
        ref other => panic!("{other:?}"),
    }
}

async fn insert(store: &Store, id: &str, n: i64) -> Result<(), Error> {
    let mut transaction = store.begin().await?;
    transaction.execute("INSERT INTO things (id, n) VALUES ($1, $2)", vec![text(id), Value::Integer(n)]).await?;
    transaction.commit().await
}
