//! Swaps during requests, events and timers.

use super::{all_applied, audit};
use crate::support::{Client, PluginFile, Setup, Status, chameleon, chameleon_host, component, guest};
use futures::future::join_all;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

#[tokio::test]
async fn a_swap_reports_what_it_did_and_a_rollback_returns() {
    let host = chameleon_host(Setup::without_components()).await;
    let (operator, visitor) = (host.operator(), host.visitor());
    let first = operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    assert_eq!(first["migrations"], json!(["0001_tables"]));
    assert_eq!(first["probe"], json!({ "path": "/chameleon/health", "status": 204 }));
    assert!(first.get("old").is_none(), "{first}");

    let second = operator.deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    assert_eq!(second["old"], first["new"]);
    assert_eq!((&second["dropped"], &second["cut_off"], &second["migrations"]), (&json!(0), &json!(0), &json!([])));
    assert!(second["warm_instances"].as_u64().unwrap() >= 1);
    assert_eq!(visitor.colour().await, "red");
    assert_eq!(operator.plugin("chameleon").await["previous"], first["new"]);

    let back = operator.post("/plugins/chameleon/rollback", json!({})).await.json();
    assert_eq!((&back["old"], &back["new"]), (&second["new"], &first["new"]));
    assert_eq!(visitor.colour().await, "green");
    let again = operator.activate("chameleon", first["new"].as_str().unwrap()).await;
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(operator.activate("chameleon", "9.9.9+00000000").await.status, 404);
    let actions: Vec<_> =
        audit(&host).await.into_iter().map(|(action, outcome)| format!("{action} {outcome}")).collect();
    let expected = ["policy done", "upload done", "activate done", "upload done", "activate done", "rollback done"];
    assert_eq!(actions[..6], expected);
    assert_eq!(actions[6..], ["activate refused", "activate refused"]);
}

/// Sends requests without a pause. Asserts that each answer comes from a revision
/// that served during the request.
async fn ask_on(client: Client, colours: Arc<std::sync::RwLock<(String, String)>>, stop: Arc<AtomicBool>) -> usize {
    let mut asked = 0;
    while !stop.load(Ordering::Relaxed) {
        let before = colours.read().unwrap().clone();
        let colour = client.colour().await;
        let after = colours.read().unwrap().clone();
        let possible = [&before.0, &before.1, &after.0, &after.1];
        assert!(possible.contains(&&colour), "{colour} is neither of {possible:?}");
        asked += 1;
    }
    asked
}

#[tokio::test]
async fn swaps_under_load_lose_nothing_and_answer_with_the_right_revision() {
    const SWAPS: usize = 30;
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "c0", "good")).await;
    // The colours before and after the latest swap that has begun.
    let colours = Arc::new(std::sync::RwLock::new(("c0".to_owned(), "c0".to_owned())));
    let stop = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..6).map(|_| tokio::spawn(ask_on(host.visitor(), colours.clone(), stop.clone()))).collect();
    let causer = tokio::spawn({
        let (client, stop) = (host.visitor(), stop.clone());
        async move {
            let mut ids = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let id = format!("{:05}", ids.len());
                client.cause(&id).await;
                ids.push(id);
            }
            ids
        }
    });
    for swap in 1..=SWAPS {
        let colour = format!("c{swap}");
        let revision = operator.stage(chameleon(&format!("1.0.{swap}"), &colour, "good")).await;
        {
            let mut colours = colours.write().unwrap();
            colours.0 = std::mem::replace(&mut colours.1, colour.clone());
        }
        let report = operator.activate("chameleon", &revision).await.json();
        assert_eq!((&report["dropped"], &report["cut_off"]), (&json!(0), &json!(0)), "{report}");
        assert_eq!(report["drained"], report["in_flight"], "{report}");
        colours.write().unwrap().0.clone_from(&colour);
        assert_eq!(
            host.visitor().colour().await,
            colour,
            "the new revision answers requests that begin after the swap"
        );
    }
    stop.store(true, Ordering::Relaxed);
    let asked: usize = join_all(askers).await.into_iter().map(Result::unwrap).sum();
    let ids = causer.await.unwrap();
    println!("{asked} answers, {} events and timers, {SWAPS} swaps", ids.len());
    assert!(asked > SWAPS && ids.len() > SWAPS / 2);
    all_applied(&host.visitor(), &ids).await;
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn work_in_flight_finishes_on_the_revision_on_which_it_began() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "slow")).await;
    let red = operator.stage(chameleon("2.0.0", "red", "good")).await;
    let visitors: Vec<_> = (0..4).map(|_| host.visitor()).collect();
    // On a busy machine, every visitor may be between two requests during the
    // swap. The test therefore repeats the swap until a request is in flight.
    for _ in 0..20 {
        let report = swap_under_slow_requests(&operator, &visitors, &red).await;
        assert_eq!(report["drained"], report["in_flight"], "{report}");
        if report["in_flight"].as_u64().unwrap() >= 1 {
            return;
        }
        assert_eq!(operator.post("/plugins/chameleon/rollback", json!({})).await.status, 200);
    }
    panic!("no request was in flight during any swap");
}

/// Swaps the slow green revision for the red one, while each visitor sends
/// requests until the answer is red. Returns the report of the swap.
async fn swap_under_slow_requests(operator: &Client, visitors: &[Client], red: &str) -> Value {
    let slow = join_all(visitors.iter().map(async |visitor| {
        let mut colours = Vec::new();
        while colours.last().is_none_or(|colour| colour == "green") {
            colours.push(visitor.colour().await);
        }
        colours
    }));
    let swap = async {
        let in_flight = async || operator.plugin("chameleon").await["in_flight"].as_u64().unwrap();
        crate::support::eventually("the requests are in flight", in_flight, |count| *count >= 1).await;
        operator.activate("chameleon", red).await.json()
    };
    let (colours, report) = tokio::join!(slow, swap);
    println!("{report}");
    assert!(colours.iter().all(|seen| seen[0] == "green"), "{colours:?}");
    report
}

#[tokio::test]
async fn a_revision_that_fails_its_probe_is_never_active() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let sick = operator.stage(chameleon("2.0.0", "red", "sick")).await;
    let reply = operator.activate("chameleon", &sick).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    assert!(reply.errors()[0].0.contains("its probe failed: GET /chameleon/health"), "{reply:?}");
    assert_eq!(host.visitor().colour().await, "green");
}

#[tokio::test]
async fn a_change_that_breaks_the_old_revision_or_other_plugins_needs_force() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let listener = PluginFile::read(&guest("chameleon")).with("name = \"chameleon\"", "name = \"listener\"");
    let mut listener =
        listener.with("publishes = [\"chameleon.event\"]", "").with("health = \"/chameleon/health\"\n", "");
    let (head, rest) = listener.manifest.split_once("[[routes]]").unwrap();
    let (_, subscriptions) = rest.split_once("[messaging]").unwrap();
    listener.manifest = format!("{head}[messaging]{subscriptions}");
    operator.allow("listener", json!({ "grants": ["store"], "subscribes": ["chameleon.event"] })).await;
    operator.deploy("listener", listener.bytes()).await;

    let file = || PluginFile::read(&guest("chameleon")).version("2.0.0");
    for (bytes, reason) in [
        (
            file().with("publishes = [\"chameleon.event\"]", "").bytes(),
            "no plugin would publish the subject chameleon.event any more",
        ),
        (file().migration("0002_drop", "DROP TABLE applied").bytes(), "0002_drop"),
        (file().migration("0002_rename", "ALTER TABLE applied RENAME COLUMN colour TO hue").bytes(), "0002_rename"),
    ] {
        let verdict = operator.upload(bytes).await.json();
        assert_eq!(verdict["compatible"], false, "{verdict}");
        assert!(verdict["problems"][0].as_str().unwrap().contains(reason), "{verdict}");
        let reply = operator.activate("chameleon", verdict["revision"].as_str().unwrap()).await;
        assert_eq!(reply.status, 409, "{reply:?}");
        assert!(reply.errors().iter().any(|(message, _)| message.contains(reason)), "{reply:?}");
        assert_eq!(host.visitor().colour().await, "green");
    }
    host.visitor().cause("still here").await;

    let verdict = operator.upload(file().with("publishes = [\"chameleon.event\"]", "").bytes()).await.json();
    let body = json!({ "revision": verdict["revision"], "force": true });
    let forced = operator.post("/plugins/chameleon/activate", body).await;
    assert_eq!(forced.status, 200, "{forced:?}");
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let broken = PluginFile::read(&guest("chameleon"))
        .version("2.0.0")
        .migration("0002_more", "CREATE TABLE more (id TEXT); INSERT INTO more (id) SELECT nothing FROM nowhere");
    let verdict = operator.upload(broken.bytes()).await.json();
    let body = json!({ "revision": verdict["revision"], "force": true });
    let reply = operator.post("/plugins/chameleon/activate", body).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    assert!(reply.errors()[0].0.contains("migration 0002_more"), "{reply:?}");
    host.visitor().cause("goes on").await;
    all_applied(&host.visitor(), &["goes on".to_owned()]).await;
    let fixed =
        PluginFile::read(&guest("chameleon")).version("2.0.1").migration("0002_more", "CREATE TABLE more (id TEXT)");
    operator.deploy("chameleon", fixed.bytes()).await;
}

#[tokio::test]
async fn purchases_succeed_while_the_components_are_swapped() {
    let host = Setup::new().start().await;
    let (operator, seller) = (host.operator(), host.user("seller").await);
    let stop = AtomicBool::new(false);
    let buyers = host.users("buyer", 3).await;
    let buying = join_all(buyers.iter().map(async |buyer| {
        let mut orders = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let ticket = seller.sell("x", 10.0).await;
            let order = buyer.reserve(&ticket.id).await;
            let paid = buyer.try_pay(&order.id, "tok_visa").await;
            assert_eq!(paid.status, 201, "{paid:?}");
            orders.push(order.id);
        }
        orders
    }));
    let swapping = async {
        for round in 1..=8 {
            for name in ["orders", "tickets", "payments", "expiration", "auth"] {
                let file = PluginFile::read(&component(name)).version(&format!("1.1.{round}"));
                let report = operator.deploy(name, file.bytes()).await;
                assert_eq!((&report["dropped"], &report["cut_off"]), (&json!(0), &json!(0)), "{report}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (bought, ()) = futures::join!(buying, swapping);
    for (buyer, orders) in buyers.iter().zip(&bought) {
        for order in orders {
            buyer.order_becomes(order, Status::Complete).await;
        }
    }
    host.settles().await;
    assert!(host.dead_letters().await.is_empty());
    let count = bought.iter().flatten().count();
    println!("{count} bought during 40 swaps");
    assert!(count > 8);
}
