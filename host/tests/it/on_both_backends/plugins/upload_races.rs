//! Uploads and swaps at the same time as others, or as the end of the process.

use crate::support::{ADMIN_TOKEN, Host, PluginFile, Setup, chameleon, chameleon_host, eventually, guest};
use futures::future::join_all;
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

/// A plugin file without a fault.
fn good() -> Vec<u8> {
    chameleon("1.0.0", "green", "good")
}

#[tokio::test]
async fn the_same_bytes_at_the_same_time_are_one_revision() {
    let host = chameleon_host(Setup::without_components().private_cache()).await;
    let operator = host.operator();
    let replies = join_all((0..4).map(|_| operator.upload(good()))).await;
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 201], "{replies:?}");
    let revisions: BTreeSet<_> = replies.iter().map(|reply| reply.json()["revision"].to_string()).collect();
    assert_eq!(revisions.len(), 1);
    assert_eq!(operator.get("/plugins/chameleon/revisions").await.json().as_array().unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(host.setup.data().join("plugins")).unwrap().count(), 1);
}

/// Requests the colour again and again, and counts the answers.
fn keep_asking(host: &Host, done: &Arc<AtomicBool>, answers: &Arc<AtomicUsize>, asking: &mut JoinSet<()>) {
    let (visitor, done, answers) = (host.visitor(), done.clone(), answers.clone());
    asking.spawn(async move {
        while !done.load(Ordering::Relaxed) {
            let reply = visitor.get("/chameleon").await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let colour = reply.json()["colour"].as_str().unwrap().to_owned();
            assert!(["green", "red", "blue"].contains(&colour.as_str()), "{colour}");
            answers.fetch_add(1, Ordering::Relaxed);
        }
    });
}

#[tokio::test]
async fn swaps_and_rollbacks_of_one_plugin_at_the_same_time_lose_no_request() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", good()).await;
    let red = operator.stage(chameleon("2.0.0", "red", "good")).await;
    let blue = operator.stage(chameleon("3.0.0", "blue", "good")).await;
    let (done, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut asking = JoinSet::new();
    (0..3).for_each(|_| keep_asking(&host, &done, &answers, &mut asking));

    let mut changing = JoinSet::new();
    for task in 0..4 {
        let (operator, red, blue) = (operator.clone(), red.clone(), blue.clone());
        changing.spawn(async move {
            for round in 0..6 {
                let reply = match (task + round) % 4 {
                    0 => operator.activate("chameleon", &red).await,
                    1 => operator.activate("chameleon", &blue).await,
                    2 => operator.post("/plugins/chameleon/rollback", json!({})).await,
                    _ => operator.upload(chameleon("2.0.0", "red", "good")).await,
                };
                assert!([200, 409, 503].contains(&reply.status), "{reply:?}");
            }
        });
    }
    while let Some(changed) = changing.join_next().await {
        changed.unwrap();
    }
    let so_far = answers.load(Ordering::Relaxed);
    eventually("requests go on", async || answers.load(Ordering::Relaxed), |count| *count > so_far + 10).await;
    done.store(true, Ordering::Relaxed);
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    let active = operator.plugin("chameleon").await;
    let revisions = operator.get("/plugins/chameleon/revisions").await.json();
    let serving: Vec<_> = revisions.as_array().unwrap().iter().filter(|one| one["status"] == "active").collect();
    assert!(matches!(serving.as_slice(), [one] if one["revision"] == active["revision"]), "{revisions}");
}

#[tokio::test]
async fn a_host_that_is_killed_while_it_receives_an_upload_starts_as_it_was() {
    let mut host = chameleon_host(Setup::without_components().private_cache()).await;
    host.operator().deploy("chameleon", good()).await;
    let before = host.installed().await;
    let file = chameleon("2.0.0", "red", "good");
    for bytes in [0, 1, file.len() / 2, file.len() - 1] {
        let mut stream = TcpStream::connect(host.operators_address()).await.unwrap();
        let head = format!(
            "POST /plugins HTTP/1.1\r\nhost: operators\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\
             content-type: application/wasm\r\ncontent-length: {}\r\n\r\n",
            file.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&file[..bytes]).await.unwrap();
        stream.flush().await.unwrap();
        host.kill().await;
        host.start_again().await;
        assert_eq!(host.installed().await, before, "after {bytes} bytes");
        assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "green");
    }
}

/// A revision whose migration adds a table.
fn with_new_table(round: usize) -> Vec<u8> {
    let table = format!("CREATE TABLE round{round} (id TEXT NOT NULL PRIMARY KEY)");
    let mut file = PluginFile::read(&guest("chameleon"))
        .version(&format!("1.0.{round}"))
        .with("default = \"green\"", &format!("default = \"c{round}\""));
    for earlier in 1..round {
        let table = format!("CREATE TABLE round{earlier} (id TEXT NOT NULL PRIMARY KEY)");
        file = file.migration(&format!("1{earlier:03}.sql"), &table);
    }
    file.migration(&format!("1{round:03}.sql"), &table).bytes()
}

#[tokio::test]
async fn a_host_that_is_killed_at_any_step_has_the_old_revision_or_the_new_one() {
    let mut host = chameleon_host(Setup::without_components()).await;
    let first = PluginFile::read(&guest("chameleon")).with("default = \"green\"", "default = \"c0\"").bytes();
    host.operator().deploy("chameleon", first).await;
    for round in 1..=10 {
        let before = host.visitor().get("/chameleon").await.json()["colour"].as_str().unwrap().to_owned();
        let operator = host.operator();
        let deploying = tokio::spawn(async move {
            let request = operator.request(http::Method::POST, "/plugins").header("content-type", "application/wasm");
            let reply = crate::support::Reply::of(request.body(with_new_table(round))).await.ok()?;
            let body = json!({ "revision": reply.json()["revision"] });
            operator.attempt(http::Method::POST, "/plugins/chameleon/activate", Some(body)).await
        });
        // Upload, compilation, migration, warm-up and swap together take a few hundred milliseconds.
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..1_500))).await;
        host.kill().await;
        let answered = deploying.await.unwrap().is_some_and(|reply| reply.status == 200);
        host.start_again().await;
        let after = host.visitor().get("/chameleon").await.json()["colour"].as_str().unwrap().to_owned();
        let new = format!("c{round}");
        let possible = if answered { vec![new] } else { vec![before, new] };
        assert!(possible.contains(&after), "round {round}: {after} is none of {possible:?}");
        assert_eq!(host.visitor().get("/chameleon/applied").await.status, 200, "the tables of the revision are there");
    }
    let operator = host.operator();
    operator.deploy("chameleon", with_new_table(11)).await;
    assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "c11");
}
