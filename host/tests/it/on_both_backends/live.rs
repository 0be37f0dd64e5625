//! Live answers: the host holds connections, and transactions send events to them.

use crate::support::{Client, Listening, PluginFile, Setup, eventually, guest, radio, radio_host};
use futures::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn events_of_a_commit_reach_the_listeners_of_their_channels_in_order() {
    let host = radio_host(Setup::without_components()).await;
    let visitor = host.visitor();
    let (colour, mut one) = visitor.listen("a").await;
    let (_, mut both) = visitor.listen("a,b/1:x").await;
    assert_eq!(colour, "green");
    let rolled_back = json!({ "events": [["a", "said", "never"]], "commits": false });
    assert_eq!(visitor.send_live(rolled_back).await["sent"], 1);
    let events =
        json!([["a", "said", "one"], ["b/1:x", "", "two\r\nlines"], ["c", "said", "for nobody"], ["a", "", ""]]);
    assert_eq!(visitor.send_live(json!({ "events": events })).await["sent"], 4);
    visitor.tell("a", "{\"last\": true}").await;
    let mut got = Vec::new();
    for _ in 0..4 {
        let event = both.next().await.unwrap();
        got.push((event.name, event.data, event.id));
    }
    let expected = [("said", "one", "1"), ("", "two\nlines", "2"), ("", "", "4"), ("said", "{\"last\": true}", "5")];
    assert_eq!(got, expected.map(|(name, data, id)| (name.to_owned(), data.to_owned(), id.to_owned())));
    assert_eq!(one.data(3).await, ["one", "", "{\"last\": true}"]);
}

#[tokio::test]
async fn events_of_transactions_at_once_come_once_and_in_one_order() {
    let host = radio_host(Setup::without_components()).await;
    let visitor = host.visitor();
    let (_, mut first) = visitor.listen("a").await;
    let (_, mut second) = visitor.listen("a").await;
    join_all((0..60).map(|number| {
        let visitor = host.visitor();
        async move { visitor.tell("a", &number.to_string()).await }
    }))
    .await;
    let data = first.data(60).await;
    assert_eq!(data, second.data(60).await);
    let mut numbers: Vec<u32> = data.iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..60));
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing_and_gets_nothing_twice() {
    let mut host = radio_host(Setup::without_components()).await;
    let visitor = host.visitor();
    let (_, mut early) = visitor.listen("a").await;
    for data in ["one", "two"] {
        visitor.tell("a", data).await;
    }
    assert_eq!(early.data(2).await, ["one", "two"]);
    drop(early);
    for data in ["three", "four"] {
        visitor.tell("b", "for others").await;
        visitor.tell("a", data).await;
    }
    let mut back = visitor.listen_after("2", "a").await;
    assert_eq!(back.data(2).await, ["three", "four"]);
    visitor.tell("a", "five").await;
    assert_eq!(back.data(1).await, ["five"]);
    assert_eq!(visitor.listen_after("6", "a").await.data(1).await, ["five"]);

    // The log is in the database.
    host.stop().await;
    assert_eq!(back.next().await, None);
    host.start_again().await;
    let visitor = host.visitor();
    let mut again = visitor.listen_after(&back.last_id, "a").await;
    visitor.tell("a", "six").await;
    assert_eq!(again.data(1).await, ["six"]);
}

#[tokio::test]
async fn a_client_that_missed_what_is_gone_is_told_to_read_again() {
    let host = radio_host(Setup::without_components()).await;
    let visitor = host.visitor();
    visitor.tell("a", "first").await;
    let many = json!({ "events": [["a", "said", "one of many"]], "times": 100 });
    for _ in 0..11 {
        assert_eq!(visitor.send_live(many.clone()).await["sent"], 100);
    }
    for (id, resets) in [("101", false), ("1101", false), ("1", true), ("100", true), ("9999", true)] {
        // The log is full. So each client has its first event before the next one takes
        // the place of the oldest.
        let mut back = visitor.listen_after(id, "a,b").await;
        let first = back.next().await.unwrap();
        assert_eq!(first.name == "reset", resets, "after {id}: {first:?}");
        visitor.tell("b", id).await;
        match resets {
            true => assert_eq!(back.data(1).await, [id], "the events from now on follow"),
            // The host has read the event before the next client comes.
            false => while back.next().await.unwrap().data != id {},
        }
    }
}

#[tokio::test]
async fn no_event_is_missing_between_the_body_and_the_events() {
    let host = radio_host(Setup::without_components()).await;
    let (visitor, sender) = (host.visitor(), host.visitor());
    let sending = async {
        for number in 0_u64.. {
            sender.tell("a", &number.to_string()).await;
        }
    };
    let listening = async {
        for _ in 0..10 {
            let mut listening = Listening::open(&visitor, "/radio/events?channels=a").await;
            let colour = listening.next().await.unwrap();
            assert_eq!(colour.name, "colour");
            let numbers: Vec<u64> = listening.data(2).await.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(numbers[1], numbers[0] + 1);
        }
    };
    tokio::select! {
        () = sending => {}
        () = listening => {}
    }
}

#[tokio::test]
async fn listeners_stay_while_the_component_is_exchanged_and_end_when_it_is_removed() {
    let host = radio_host(Setup::without_components()).await;
    let (operator, visitor) = (host.operator(), host.visitor());
    let (_, mut early) = visitor.listen("a").await;
    operator.deploy("radio", radio("1.0.1", "red").bytes()).await;
    let (colour, mut late) = visitor.listen("a").await;
    assert_eq!(colour, "red");
    visitor.tell("a", "from red").await;
    assert_eq!(early.data(1).await, ["from red"]);
    assert_eq!(operator.post("/plugins/radio/pause", json!({})).await.status, 200);
    assert_eq!(visitor.get("/radio/events?channels=a").await.status, 503);
    assert_eq!(operator.post("/plugins/radio/resume", json!({})).await.status, 200);
    visitor.tell("a", "after the pause").await;
    assert_eq!(early.data(1).await, ["after the pause"]);
    assert_eq!(late.data(2).await, ["from red", "after the pause"]);
    assert_eq!(operator.delete("/plugins/radio").await.status, 204);
    assert_eq!(early.next().await, None);
    assert_eq!(late.next().await, None);
}

#[tokio::test]
async fn a_host_that_stops_ends_held_connections_at_once() {
    let mut host = radio_host(Setup::without_components()).await;
    let visitor = host.visitor();
    let mut listening = Vec::new();
    for _ in 0..20 {
        listening.push(visitor.listen("a").await.1);
    }
    visitor.tell("a", "last").await;
    let begun = Instant::now();
    host.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for mut one in listening {
        assert_eq!(one.data(1).await, ["last"]);
        assert_eq!(one.next().await, None);
    }
}

#[tokio::test]
async fn held_connections_take_no_turn_of_the_component() {
    let host = Setup::without_components().start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    operator.allow("radio", json!({ "grants": ["store"] })).await;
    let file = PluginFile::read(&guest("radio")).manifest_end("\n[limits]\nconcurrency = 1\nqueue = 4\n");
    operator.deploy("radio", file.bytes()).await;
    let mut listening = Vec::new();
    for _ in 0..30 {
        listening.push(visitor.listen("a").await.1);
    }
    visitor.tell("a", "for all").await;
    for one in &mut listening {
        assert_eq!(one.data(1).await, ["for all"]);
    }
}

async fn head(visitor: &Client) -> (u16, String) {
    let reply = visitor.send(http::Method::HEAD, "/radio/events?channels=a", None).await;
    (reply.status, reply.text)
}

#[tokio::test]
async fn the_number_of_listeners_is_limited() {
    let setup = Setup::without_components().http("max_listeners = 5\nmax_plugin_listeners = 2\n");
    let host = radio_host(setup).await;
    let visitor = host.visitor();
    let (one, _two) = (visitor.listen("a").await, visitor.listen("b").await);
    let refused = visitor.get("/radio/events?channels=a").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{refused:?}");
    assert_eq!(head(&visitor).await, (200, String::new()), "HEAD holds nothing");
    visitor.tell("a", "other requests are answered").await;
    drop(one);
    let again = async || visitor.request(http::Method::GET, "/radio/events?channels=a").send().await.unwrap().status();
    eventually("a place is free", again, |status| *status == 200).await;
}
