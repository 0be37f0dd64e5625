use super::*;
use host_api::cluster::{RunningPlugin, Serving};
use host_test_support::{Forwarder, postgres};
use sqlx::postgres::PgConnectOptions;
use std::{str::FromStr, sync::Arc};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

/// Starts hosts with these names on a new database.
async fn hosts<const N: usize>(names: [&str; N]) -> [Arc<Cluster>; N] {
    let url = Secret::new(postgres::new_database().await);
    let mut hosts = Vec::new();
    for name in names {
        hosts.push(host(&url, name).await);
    }
    hosts.try_into().unwrap_or_else(|_| unreachable!("as many hosts as names"))
}

/// Starts a host on a database.
async fn host(url: &Secret, name: &str) -> Arc<Cluster> {
    let database = HostDatabase::connect(url).await.unwrap();
    let host = Cluster::join(database, url, HostIdentity::new(name)).await.unwrap();
    host.heartbeat(true, &RunningPlugins::new()).await.unwrap();
    Arc::new(host)
}

/// The state of a change. The cluster does not interpret it.
fn state(revision: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("active".to_owned(), revision.to_owned())])
}

/// Waits for a proposal of another host.
async fn proposal(host: &Cluster) -> Proposal {
    let waiting = async {
        loop {
            if let Some(proposal) = host.open_proposals().await.unwrap().pop() {
                return proposal;
            }
            host.heartbeat(true, &RunningPlugins::new()).await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, waiting).await.expect("a proposal")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_change_is_agreed_when_every_other_host_is_prepared() {
    let [one, two, three] = hosts(["one", "two", "three"]).await;
    let proposing = tokio::spawn({
        let one = one.clone();
        async move { one.propose("p", &state("r2")).await }
    });
    let seen = proposal(&two).await;
    assert_eq!((seen.plugin.as_str(), seen.state::<BTreeMap<_, _>>().unwrap()), ("p", state("r2")));
    two.answer(&seen, None).await.unwrap();
    three.heartbeat(true, &RunningPlugins::new()).await.unwrap();
    assert!(!proposing.is_finished(), "the third host has not answered");
    assert!(two.open_proposals().await.unwrap().is_empty(), "a host that has answered is not asked again");
    three.answer(&proposal(&three).await, None).await.unwrap();
    let agreement = timeout(SOON, proposing).await.unwrap().unwrap().unwrap().unwrap();
    one.withdraw(&agreement).await.unwrap();
    assert!(one.open_proposals().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_host_that_cannot_prepare_stops_the_change_and_is_named() {
    let [one, two] = hosts(["one", "two"]).await;
    let proposing = tokio::spawn({
        let one = one.clone();
        async move { one.propose("p", &state("r2")).await }
    });
    two.answer(&proposal(&two).await, Some("its disk is full")).await.unwrap();
    let refused = timeout(SOON, proposing).await.unwrap().unwrap().unwrap();
    assert_eq!(refused.err().unwrap(), ["two: its disk is full"]);
    assert!(two.open_proposals().await.unwrap().is_empty(), "the proposal is withdrawn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_proposal_that_a_host_does_not_understand_can_be_refused() {
    let [one, two] = hosts(["one", "two"]).await;
    sqlx::query(
        "INSERT INTO cluster_proposals (id, plugin, state, host, at_ms)
         SELECT 'new', 'p', '{\"settings\": {\"grants\": [\"telepathy\"]}}', id, seen_ms FROM cluster_hosts WHERE name = 'one'",
    )
    .execute(&one.database.write)
    .await
    .unwrap();
    let seen = proposal(&two).await;
    assert!(seen.state::<BTreeMap<String, String>>().is_err());
    two.answer(&seen, Some("not understood")).await.unwrap();
    assert!(two.open_proposals().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn the_subjects_of_other_hosts_are_known_while_they_live() {
    let [one, two, three] = hosts(["one", "two", "three"]).await;
    let takes = |subject: &str| {
        let running = RunningPlugin { subscribes: [subject.to_owned()].into(), ..RunningPlugin::default() };
        RunningPlugins::from([("p".to_owned(), running)])
    };
    one.heartbeat(true, &takes("own")).await.unwrap();
    two.heartbeat(true, &takes("a")).await.unwrap();
    three.heartbeat(false, &takes("b")).await.unwrap();
    let other_subjects = async || one.subjects_of_other_hosts().await.unwrap().remove("p").unwrap_or_default();
    assert_eq!(other_subjects().await, ["a".to_owned(), "b".to_owned()].into());
    two.members.leave(&two.me).await.unwrap();
    // The third sends no more heartbeats and is lost after a while.
    timeout(SOON, async {
        while !other_subjects().await.is_empty() {
            sleep(Duration::from_millis(50)).await
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn nobody_waits_for_a_host_that_died_or_has_not_started() {
    let [one, two, three] = hosts(["one", "two", "three"]).await;
    three.heartbeat(false, &RunningPlugins::new()).await.unwrap();
    // The second sends no more heartbeats and is lost after a while.
    let agreed = timeout(SOON, one.propose("p", &state("r2"))).await.unwrap().unwrap();
    assert!(agreed.is_ok());
    let statuses: Vec<Status> = one.hosts().await.unwrap().iter().map(|host| host.status).collect();
    assert_eq!(statuses.get(1), Some(&Status::Lost));
    two.members.leave(&two.me).await.unwrap();
    assert_eq!(one.hosts().await.unwrap().len(), 2, "a host that leaves is not shown as lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn one_host_at_a_time_changes_a_plugin_and_the_lock_ends_with_its_host() {
    let [one, two] = hosts(["one", "two"]).await;
    let lock = one.lock_plugin("p").await.unwrap();
    timeout(SOON, two.lock_plugin("another")).await.unwrap().unwrap();
    let waiting = tokio::spawn({
        let two = two.clone();
        async move { two.lock_plugin("p").await.map(drop) }
    });
    sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    drop(lock);
    timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn an_announcement_wakes_the_other_hosts_before_they_look_by_themselves() {
    let [one, two] = hosts(["one", "two"]).await;
    let stop = CancellationToken::new();
    let mut listener = two.listener();
    let woken = async {
        // The connection may not exist yet.
        loop {
            one.announce().await;
            if wake_time(&mut listener, &stop).await < HEARTBEAT_INTERVAL / 2 {
                return;
            }
        }
    };
    timeout(SOON, woken).await.expect("an early announcement");
    stop.cancel();
    assert!(!listener.next(&stop).await);
}

/// Waits for an announcement and returns the duration.
async fn wake_time(listener: &mut Listener, stop: &CancellationToken) -> Duration {
    let begun = Instant::now();
    assert!(listener.next(stop).await);
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn the_proposer_waits_until_the_others_run_the_decided_revision() {
    let [one, two] = hosts(["one", "two"]).await;
    let serving = |revision: &str| Serving { revision: revision.to_owned(), ..Serving::default() };
    let running = |revision: &str| RunningPlugin { serving: serving(revision), ..RunningPlugin::default() };
    two.heartbeat(true, &RunningPlugins::from([("p".to_owned(), running("r1"))])).await.unwrap();
    let following = tokio::spawn({
        let (one, wanted) = (one.clone(), serving("r2"));
        async move { one.wait_for_followers("p", Some(&wanted)).await }
    });
    sleep(Duration::from_millis(100)).await;
    two.heartbeat(true, &RunningPlugins::from([("p".to_owned(), running("r2"))])).await.unwrap();
    let reports = timeout(SOON, following).await.unwrap().unwrap();
    assert_eq!(reports.len(), 1);
    assert!(reports.iter().all(|report| report.host == "two" && report.follows));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_host_that_runs_its_own_revision_in_place_of_the_decided_one_follows() {
    let [one, two] = hosts(["one", "two"]).await;
    let serving = |revision: &str| Serving { revision: revision.to_owned(), ..Serving::default() };
    let own = RunningPlugin { serving: serving("own"), instead_of: Some("r2".to_owned()), ..RunningPlugin::default() };
    two.heartbeat(true, &RunningPlugins::from([("p".to_owned(), own)])).await.unwrap();
    let reports = timeout(SOON, one.wait_for_followers("p", Some(&serving("r2")))).await.unwrap();
    assert!(reports.iter().all(|report| report.follows), "{reports:?}");
    assert_eq!(reports.len(), 1);
    let held = Serving { held: true, ..serving("r2") };
    assert!(one.wait_for_followers("p", Some(&held)).await.iter().all(|report| !report.follows));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_host_whose_connections_fall_silent_waits_no_longer_for_the_lock_of_a_plugin() {
    let url = postgres::new_database().await;
    let port = PgConnectOptions::from_str(&url).unwrap().get_port();
    let forwarder = Forwarder::to(port).await;
    let forwarded = url.replacen(&format!(":{port}/"), &format!(":{}/", forwarder.port()), 1);
    assert_ne!(forwarded, url);
    let (one, two) = (host(&Secret::new(forwarded), "one").await, host(&Secret::new(url.clone()), "two").await);
    let _held = two.lock_plugin("p").await.unwrap();
    let waiting = tokio::spawn(async move { one.lock_plugin("p").await.map(drop) });
    // The session of each host has asked for the lock.
    let mut database = postgres::connect(&url).await.unwrap();
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%_advisory_lock($1)' AND datname = current_database()";
    timeout(SOON, async {
        while sqlx::query_scalar::<_, i64>(sessions).fetch_one(&mut database).await.unwrap() < 2 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    forwarder.silence_connections();
    assert!(timeout(SOON, waiting).await.expect("the wait ends").unwrap().is_err());
}
