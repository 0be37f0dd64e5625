//! The start without a data directory, with an earlier one, and with one whose
//! migrations have changed.

use crate::support::{Setup, edit_database, on_postgres};

#[tokio::test]
async fn a_host_starts_from_nothing() {
    let host = Setup::new().start().await;
    assert!(host.visitor().all("/api/tickets").await.is_empty());
    if on_postgres() {
        let components = host.database("host.db").await.number("SELECT count(*) FROM store_components").await;
        assert!(components >= 5, "{components}");
        assert!(!host.setup.database("host.db").exists() && !host.setup.database("components").exists());
        return;
    }
    for file in ["host.db", "payments.db", "components/auth.db", "components/orders.db", "components/tickets.db"] {
        assert!(host.setup.database(file).is_file(), "{file}");
    }
}

#[tokio::test]
async fn a_host_goes_on_where_an_earlier_one_ended() {
    let mut host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 10.0).await;
    for orderly in [true, false] {
        if orderly {
            host.stop().await;
        } else {
            host.kill().await;
        }
        host.start_again().await;
        let anna = host.again(&anna);
        assert_eq!(anna.current_user().await["id"], anna.id.as_str(), "a session survives a restart");
        assert_eq!(anna.ticket(&ticket.id).await, ticket);
        let mut again = host.visitor();
        again.sign_in(&anna.email).await;
        assert_eq!(again.id, anna.id);
    }
    let applied = host.database("components/tickets.db").await.number("SELECT count(*) FROM host_migrations").await;
    assert!(applied >= 1);
}

#[tokio::test]
async fn a_migration_that_changed_after_it_was_applied_stops_the_start() {
    let mut host = Setup::new().start().await;
    host.stop().await;
    edit_database(&host.setup, "components/orders.db", async |database| {
        sqlx::query("UPDATE host_migrations SET digest = 'another'").execute(database).await.unwrap();
    })
    .await;
    let output = host.setup.output("serve").await;
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("orders"), "{message}");
    assert!(message.contains("has changed since it was applied"), "{message}");
    assert!(output.stdout.is_empty(), "nothing is announced");
}
