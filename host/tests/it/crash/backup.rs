//! A backup as deploy/README.md has it made: the files are copied while the
//! process is paused, or the database is dumped, and serve again elsewhere.

use super::{
    Load,
    facts::{self, Facts, World},
};
use crate::support::{Bus, Host, PATIENCE, Setup, eventually, postgres};
use rand::{SeedableRng, rngs::StdRng};
use std::{fs, path::Path, sync::Arc};
use tokio::{process::Command, time::timeout};

const BUYERS: usize = 4;
const ENOUGH_ORDERS: usize = 10;

#[tokio::test]
async fn a_backup_of_a_busy_host_has_all_that_was_acknowledged() {
    let mut host = Setup::new().start().await;
    let seller = host.user("seller").await;
    let buyers = host.users("buyer", BUYERS).await;
    let facts = Arc::new(Facts::default());
    let load = buyers.iter().map(|buyer| {
        let (seller, buyer) = (host.again(&seller), host.again(buyer));
        tokio::spawn(Load { seller, buyer, facts: facts.clone(), random: StdRng::seed_from_u64(rand::random()) }.run())
    });
    let load: Vec<_> = load.collect();
    let busy = async || facts.counts().orders;
    eventually("the host is busy", &busy, |orders| *orders >= ENOUGH_ORDERS).await;

    let elsewhere = Setup::new();
    let on_jetstream = matches!(host.setup.bus, Bus::JetStream { .. });
    if on_jetstream {
        // What is on that bus is in no dump: nobody is let in, and it drains.
        host.kill().await;
        host.start_again().await;
        host.settles().await;
    }
    let at_the_copy = back_up(&host, &facts, &elsewhere).await;
    if !on_jetstream {
        // Nobody has noticed more than a pause.
        let then = facts.counts().orders;
        eventually("it goes on", &busy, |orders| *orders > then + 1).await;
    }
    host.kill().await;
    for task in load {
        task.await.unwrap();
    }

    let restored = elsewhere.start().await;
    restored.settles().await;
    let world = World::read(&restored).await;
    at_the_copy.are_in(&world);
    world.is_consistent();
    assert!(restored.dead_letters().await.is_empty());
    facts::money_agrees(&restored, &at_the_copy).await;
    let buyer = restored.again(&buyers[0]);
    assert!(buyer.current_user().await.is_object(), "sessions go on, for their key is in the backup as well");
    let ticket = restored.again(&seller).sell("after the restore", 10.0).await;
    buyer.reserve(&ticket.id).await;
    restored.settles().await;
}

/// Makes a backup and puts it in place elsewhere; what had been told when it
/// was made has to be in it.
async fn back_up(host: &Host, facts: &Facts, elsewhere: &Setup) -> Facts {
    let Some(url) = host.setup.database_url().await else {
        host.signal("STOP").await;
        eventually("it is paused", async || host.state(), |state| *state == 'T').await;
        let told = facts.copy();
        copy(&host.setup.data(), &elsewhere.data());
        host.signal("CONT").await;
        return told;
    };
    let told = facts.copy();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut dump = Command::new(postgres::program("pg_dump"));
    run(dump.arg("--format=custom").arg("--file").arg(file.path()).arg(url)).await;
    let mut restore = Command::new(postgres::program("pg_restore"));
    let empty = elsewhere.database_url().await.unwrap();
    run(restore.args(["--exit-on-error", "--dbname", empty]).arg(file.path())).await;
    // The key that signs sessions is a file.
    copy(&host.setup.data(), &elsewhere.data());
    told
}

async fn run(command: &mut Command) {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match source.is_dir() {
            true => copy(&source, &target),
            false => drop(fs::copy(&source, &target).unwrap()),
        }
    }
}
