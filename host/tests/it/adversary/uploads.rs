//! Many uploads of one token beside a few of another.

use super::guests::compiler_bomb;
use crate::support::{Client, Host, Setup, chameleon, chameleon_host, eventually};
use futures::future::join_all;
use serde_json::json;
use std::{cell::Cell, time::Instant};

async fn deployer(host: &Host, name: &str) -> Client {
    host.bearer(&host.operator().make_token(json!({ "name": name, "role": "deploy" })).await.text)
}

#[tokio::test]
async fn the_uploads_of_one_token_delay_no_other_token() {
    let limits = "compile_cpu_seconds = 4\ncompile_wall_seconds = 20\n";
    let host = chameleon_host(Setup::without_components().private_cache().compiler(limits)).await;
    let (attacker, other) = (deployer(&host, "attacker").await, deployer(&host, "other").await);
    let begun = Instant::now();
    let without_place = Cell::new(0);
    let bombs = (0..12).map(async |number| {
        let reply = attacker.upload(compiler_bomb("bomb", 2_000 + number, 900)).await;
        without_place.update(|count| count + usize::from(reply.status == 503));
        reply
    });
    let good = async {
        let refused = async || without_place.get();
        eventually("the places of the attacker are taken", refused, |count| *count == 8).await;
        let asked = Instant::now();
        let reply = other.upload(chameleon("1.0.0", "green", "good")).await;
        (reply.status, asked.elapsed())
    };
    let (bombs, (status, took)) = tokio::join!(join_all(bombs), good);
    println!("the other upload took {took:?} of {:?}", begun.elapsed());
    assert_eq!(status, 201);
    let refused = |status| bombs.iter().filter(|reply| reply.status == status).count();
    assert_eq!((refused(503), refused(422)), (8, 4), "a token has four places");
    assert!(took < begun.elapsed() / 2, "it did not wait for all of them: {took:?} of {:?}", begun.elapsed());
    assert_eq!(attacker.upload(chameleon("1.0.0", "green", "good")).await.status, 200, "there is a place again");
}
