//! A backup by the instructions of deploy/README.md: an operator copies the
//! files while the process is paused, or dumps the database, and another host
//! serves from the copy.

use crate::support::{Acknowledged, Bus, Host, Load, MarketState, PATIENCE, Setup, copy_folder, eventually, postgres};
use std::sync::Arc;
use tokio::{process::Command, time::timeout};

const BUYERS: usize = 4;
const ENOUGH_ORDERS: usize = 10;

#[tokio::test]
async fn a_backup_of_a_busy_host_has_all_that_was_acknowledged() {
    let mut host = Setup::new().start().await;
    let seller = host.user("seller").await;
    let buyers = host.users("buyer", BUYERS).await;
    let acknowledged = Arc::new(Acknowledged::default());
    let loads: Vec<_> = buyers.iter().map(|buyer| Load::start(&host, &seller, buyer, &acknowledged)).collect();
    let orders = async || acknowledged.counts().orders;
    eventually("the host is busy", &orders, |orders| *orders >= ENOUGH_ORDERS).await;

    let elsewhere = Setup::new();
    let on_jetstream = matches!(host.setup.bus, Bus::JetStream { .. });
    if on_jetstream {
        // A dump has no event that is on the broker: without requests, the host applies all of them.
        host.kill().await;
        host.start_again().await;
        host.settles().await;
    }
    let at_the_copy = back_up(&host, &acknowledged, &elsewhere).await;
    if !on_jetstream {
        // The users notice no more than a pause.
        let before = acknowledged.counts().orders;
        eventually("the host goes on", &orders, |orders| *orders > before + 1).await;
    }
    host.kill().await;
    for load in loads {
        load.breaks_off().await;
    }

    let restored = elsewhere.start().await;
    restored.settles().await;
    let state = MarketState::read(&restored).await;
    at_the_copy.is_in(&state);
    state.is_consistent();
    assert!(restored.dead_letters().await.is_empty());
    at_the_copy.agrees_with_the_money(&restored).await;
    let buyer = restored.again(&buyers[0]);
    assert!(buyer.current_user().await.is_object(), "sessions stay valid, because their key is in the backup");
    let ticket = restored.again(&seller).sell("after the restore", 10.0).await;
    buyer.reserve(&ticket.id).await;
    restored.settles().await;
}

/// Makes a backup and restores it elsewhere. Returns the changes that the
/// backup must contain.
async fn back_up(host: &Host, acknowledged: &Acknowledged, elsewhere: &Setup) -> Acknowledged {
    let Some(url) = host.setup.database_url().await else {
        host.signal("STOP").await;
        eventually("the process is paused", async || host.state(), |state| *state == 'T').await;
        let at_the_copy = acknowledged.copy();
        copy_folder(&host.setup.data(), &elsewhere.data(), &[]);
        host.signal("CONT").await;
        return at_the_copy;
    };
    let at_the_copy = acknowledged.copy();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut dump = Command::new(postgres::program("pg_dump"));
    run(dump.arg("--format=custom").arg("--file").arg(file.path()).arg(url)).await;
    let mut restore = Command::new(postgres::program("pg_restore"));
    let empty = elsewhere.database_url().await.unwrap();
    run(restore.args(["--exit-on-error", "--dbname", empty]).arg(file.path())).await;
    // The key that signs sessions is a file.
    copy_folder(&host.setup.data(), &elsewhere.data(), &[]);
    at_the_copy
}

async fn run(command: &mut Command) {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
