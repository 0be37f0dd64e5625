//! More plugins than the pool has room for their instances.

use super::hostile;
use crate::support::{Host, PluginFile, Setup, eventually, guest};
use http::Method;
use wasmparser::{Parser, Payload};

const PLUGINS: usize = 12;

/// A test guest under another name, also in its routes.
fn named(guest_name: &str, name: &str) -> Vec<u8> {
    let mut file =
        PluginFile::read(&guest(guest_name)).with(&format!("name = \"{guest_name}\""), &format!("name = \"{name}\""));
    file.manifest = file.manifest.replace(&format!("/{guest_name}"), &format!("/{name}"));
    file.bytes()
}

/// Deploys many plugins, each with instances that wait.
async fn deploy_many(host: &Host) {
    for number in 0..PLUGINS {
        let name = format!("hello-{number}");
        let report = host.operator().deploy(&name, named("hello", &name)).await;
        assert!(report["warm_instances"].as_u64().unwrap() > 0, "{report}");
    }
}

/// Limits the number of instances.
fn with_instances(setup: Setup, count: usize) -> Setup {
    setup.engine(&format!("max_instances = {count}"))
}

/// Each plugin has warm instances. Together they would need more than four times
/// the size of the pool.
#[tokio::test]
async fn warm_instances_give_way_to_those_that_are_needed() {
    let host = with_instances(Setup::without_components(), PLUGINS).start().await;
    let visitor = host.visitor();
    deploy_many(&host).await;
    for round in 0..3 {
        for number in 0..PLUGINS {
            let reply = visitor.get(&format!("/hello-{number}")).await;
            // The guest itself answers 404, because it knows its path by another name.
            assert_eq!(reply.status, 404, "round {round}, plugin {number}: {reply:?}");
        }
    }
    let metrics = host.outsider().get("/metrics").await.text;
    for number in 0..PLUGINS {
        let label = format!("component=\"hello-{number}\"");
        let answered = value(&metrics, "http_requests_total", &[&label, "status=\"4xx\""]);
        assert_eq!(answered, Some(3), "{label}: {metrics}");
    }
    assert_eq!(value(&metrics, "engine_instances", &[]), Some(PLUGINS), "the pool is full");
}

/// Together the plugins need more memory than instances may hold while they wait. The
/// plugin that is used now still has an instance that waits.
#[tokio::test]
async fn warm_instances_give_way_when_the_memory_of_all_plugins_is_scarce() {
    let host = Setup::without_components().engine("guest_memory_mib = 64\nmax_memory_mib = 64\n").start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    deploy_many(&host).await;
    let held =
        async |number: usize| operator.plugin(&format!("hello-{number}")).await["recent"]["memory_bytes"].as_u64();
    for number in 0..PLUGINS {
        visitor.get(&format!("/hello-{number}")).await;
        assert!(held(number).await > Some(0), "plugin {number} waits for its next call");
    }
    let mut all = 0;
    for number in 0..PLUGINS {
        all += held(number).await.unwrap();
    }
    assert!(all <= 34 << 20, "the rest is for calls: {all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_free_instance_is_refused_with_the_limit_of_the_host() {
    let host = with_instances(hostile(), 2).start().await;
    let visitor = host.visitor();
    let slow = || {
        let visitor = host.visitor();
        tokio::spawn(async move {
            loop {
                // A visitor of the other plugin may have the last instance at this moment.
                match visitor.get("/hostile/slow?ms=2000").await.status {
                    503 => {}
                    status => return status,
                }
            }
        })
    };
    let slow = [slow(), slow()];
    let hello = async || visitor.get("/hello").await;
    let refused = eventually("both instances are in use", hello, |reply| reply.status != 200).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    for slow in slow {
        assert_eq!(slow.await.unwrap(), 204);
    }
    assert_eq!(hello().await.status, 200, "an instance is free again");
    assert!(host.log().contains("host is at its limit of 2 calls at a time"), "{}", host.log());
}

/// Components of `wasi:http` have a pool of their own with as many places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_wasi_http_give_way_and_never_take_the_places_of_others() {
    const PLACES: usize = 4;
    let host = with_instances(hostile(), PLACES).start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    for number in 0..2 * PLACES {
        let name = format!("streaming-{number}");
        operator.deploy(&name, named("streaming", &name)).await;
    }
    for round in 0..3 {
        for number in 0..2 * PLACES {
            let reply = visitor.get(&format!("/streaming-{number}/version")).await;
            assert_eq!(reply.status, 200, "round {round}, plugin {number}: {reply:?}");
        }
    }
    let late = operator.stage(named("streaming", "late")).await;
    let mut held = Vec::new();
    for number in 0..PLACES {
        let events = visitor.request(Method::GET, &format!("/streaming-{number}/events"));
        held.push(events.send().await.unwrap());
    }
    let refused = visitor.get("/streaming-7/version").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let not_now = operator.activate("late", &late).await;
    assert_eq!(not_now.status, 503, "the file is not to blame: {not_now:?}");
    assert!(not_now.header("retry-after").is_some(), "{not_now:?}");
    assert_eq!(visitor.get("/hello").await.status, 200, "components of the platform have their own places");
    let metrics = host.outsider().get("/metrics").await.text;
    for (name, places) in [("engine_instances", PLACES), ("engine_instances_warm", 0)] {
        assert_eq!(value(&metrics, name, &["kind=\"wasi-http\""]), Some(places), "{metrics}");
    }
    drop(held);
    let last = async || visitor.get("/streaming-7/version").await;
    eventually("a place is free", last, |reply| reply.status == 200).await;
    assert_eq!(operator.activate("late", &late).await.status, 200);
}

/// The growth of a memory costs most of a fresh instance.
#[tokio::test]
async fn a_small_request_needs_no_more_memory_than_an_instance_has_at_its_start() {
    let host = hostile().start().await;
    host.visitor().says_hello().await;
    let held = host.operator().plugin("hello").await["recent"]["memory_bytes"].as_u64().unwrap();
    let first = memory_at_start(&std::fs::read(guest("hello")).unwrap());
    assert!(held > 0 && held.is_multiple_of(first), "{held} bytes in instances with {first} at their start");
}

/// The bytes of all memories of a component.
fn memory_at_start(component: &[u8]) -> u64 {
    let pages = Parser::new(0).parse_all(component).map(|payload| match payload.unwrap() {
        Payload::MemorySection(memories) => memories.into_iter().map(|memory| memory.unwrap().initial).sum(),
        _ => 0,
    });
    pages.sum::<u64>() << 16
}

fn value(metrics: &str, name: &str, labels: &[&str]) -> Option<usize> {
    let is_it =
        |line: &&str| line.split([' ', '{']).next() == Some(name) && labels.iter().all(|label| line.contains(label));
    metrics.lines().find(is_it)?.rsplit(' ').next()?.parse().ok()
}
