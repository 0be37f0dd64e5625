use super::*;
use host_api::cluster::{Running, Serving};
use host_test_support::postgres;
use std::sync::Arc;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

/// Starts hosts with these names on a new database.
async fn hosts<const N: usize>(names: [&str; N]) -> [Arc<Cluster>; N] {
    let url = Secret::new(postgres::new_database().await);
    let mut hosts = Vec::new();
    for name in names {
        let database = HostDatabase::connect(&url).await.unwrap();
        let host = Cluster::join(database, &url, Identity::new(name)).await.unwrap();
        host.beat(true, &Runs::new()).await.unwrap();
        hosts.push(Arc::new(host));
    }
    hosts.try_into().unwrap_or_else(|_| unreachable!("as many hosts as names"))
}

/// What a change brings about: the cluster does not interpret it.
fn state(revision: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("active".to_owned(), revision.to_owned())])
}

/// The next proposal of another host.
async fn proposal(host: &Cluster) -> Proposal {
    let waiting = async {
        loop {
            if let Some(proposal) = host.proposals().await.unwrap().pop() {
                return proposal;
            }
            host.beat(true, &Runs::new()).await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, waiting).await.expect("a proposal")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_change_is_agreed_on_when_every_other_host_is_prepared() {
    let [one, two, three] = hosts(["one", "two", "three"]).await;
    let proposing = tokio::spawn({
        let one = one.clone();
        async move { one.propose("p", &state("r2")).await }
    });
    let seen = proposal(&two).await;
    assert_eq!((seen.plugin.as_str(), seen.state::<BTreeMap<_, _>>().unwrap()), ("p", state("r2")));
    two.answer(&seen, None).await.unwrap();
    three.beat(true, &Runs::new()).await.unwrap();
    assert!(!proposing.is_finished(), "the third host has not answered");
    assert!(two.proposals().await.unwrap().is_empty(), "who has answered is not asked again");
    three.answer(&proposal(&three).await, None).await.unwrap();
    let agreement = timeout(SOON, proposing).await.unwrap().unwrap().unwrap().unwrap();
    one.withdraw(&agreement).await.unwrap();
    assert!(one.proposals().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_host_that_cannot_stops_the_change_and_is_named() {
    let [one, two] = hosts(["one", "two"]).await;
    let proposing = tokio::spawn({
        let one = one.clone();
        async move { one.propose("p", &state("r2")).await }
    });
    two.answer(&proposal(&two).await, Some("its disk is full")).await.unwrap();
    let refused = timeout(SOON, proposing).await.unwrap().unwrap().unwrap();
    assert_eq!(refused.err().unwrap(), ["two: its disk is full"]);
    assert!(two.proposals().await.unwrap().is_empty(), "it is withdrawn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_proposal_that_is_not_understood_is_there_to_be_refused() {
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
    assert!(two.proposals().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn what_the_others_subscribe_to_is_known_while_they_live() {
    let [one, two, three] = hosts(["one", "two", "three"]).await;
    let takes = |subject: &str| {
        let running = Running { subscribes: [subject.to_owned()].into(), ..Running::default() };
        Runs::from([("p".to_owned(), running)])
    };
    one.beat(true, &takes("own")).await.unwrap();
    two.beat(true, &takes("a")).await.unwrap();
    three.beat(false, &takes("b")).await.unwrap();
    let elsewhere = async || one.subscribed_elsewhere().await.unwrap().remove("p").unwrap_or_default();
    assert_eq!(elsewhere().await, ["a".to_owned(), "b".to_owned()].into());
    two.leave().await.unwrap();
    // Nobody beats for the third any more, and it is lost after a while.
    timeout(SOON, async {
        while !elsewhere().await.is_empty() {
            sleep(Duration::from_millis(50)).await
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_host_that_died_or_has_not_started_is_not_waited_for() {
    let [one, two, three] = hosts(["one", "two", "three"]).await;
    three.beat(false, &Runs::new()).await.unwrap();
    // Nobody beats for the second any more, and it is lost after a while.
    let agreed = timeout(SOON, one.propose("p", &state("r2"))).await.unwrap().unwrap();
    assert!(agreed.is_ok());
    let statuses: Vec<Status> = one.hosts().await.unwrap().iter().map(|host| host.status).collect();
    assert_eq!(statuses.get(1), Some(&Status::Lost));
    two.leave().await.unwrap();
    assert_eq!(one.hosts().await.unwrap().len(), 2, "who says goodbye is not shown as lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn changes_of_one_plugin_take_turns_and_a_turn_ends_with_its_host() {
    let [one, two] = hosts(["one", "two"]).await;
    let turn = one.turn("p").await.unwrap();
    timeout(SOON, two.turn("another")).await.unwrap().unwrap();
    let waiting = tokio::spawn({
        let two = two.clone();
        async move { two.turn("p").await.map(drop) }
    });
    sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    drop(turn);
    timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn what_one_host_announces_wakes_the_others_before_they_would_look() {
    let [one, two] = hosts(["one", "two"]).await;
    let stop = CancellationToken::new();
    let mut news = two.listener();
    let woken = async {
        // The connection may still be on its way.
        loop {
            one.announce().await;
            if begun(&mut news, &stop).await < BEAT / 2 {
                return;
            }
        }
    };
    timeout(SOON, woken).await.expect("to be woken early");
    stop.cancel();
    assert!(!news.next(&stop).await);
}

/// How long it took to be woken.
async fn begun(news: &mut Listener, stop: &CancellationToken) -> Duration {
    let begun = Instant::now();
    assert!(news.next(stop).await);
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn the_others_are_asked_until_they_run_what_was_decided() {
    let [one, two] = hosts(["one", "two"]).await;
    let serving = |revision: &str| Serving { revision: revision.to_owned(), ..Serving::default() };
    let running = |revision: &str| Running { serving: serving(revision), ..Running::default() };
    two.beat(true, &Runs::from([("p".to_owned(), running("r1"))])).await.unwrap();
    let following = tokio::spawn({
        let (one, wanted) = (one.clone(), serving("r2"));
        async move { one.followed("p", Some(&wanted)).await }
    });
    sleep(Duration::from_millis(100)).await;
    two.beat(true, &Runs::from([("p".to_owned(), running("r2"))])).await.unwrap();
    let reports = timeout(SOON, following).await.unwrap().unwrap();
    assert_eq!(reports.len(), 1);
    assert!(reports.iter().all(|report| report.host == "two" && report.follows));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn who_runs_its_own_version_in_place_of_what_was_decided_follows() {
    let [one, two] = hosts(["one", "two"]).await;
    let serving = |revision: &str| Serving { revision: revision.to_owned(), ..Serving::default() };
    let own = Running { serving: serving("own"), instead_of: Some("r2".to_owned()), ..Running::default() };
    two.beat(true, &Runs::from([("p".to_owned(), own)])).await.unwrap();
    let reports = timeout(SOON, one.followed("p", Some(&serving("r2")))).await.unwrap();
    assert!(reports.iter().all(|report| report.follows), "{reports:?}");
    assert_eq!(reports.len(), 1);
    let held = Serving { held: true, ..serving("r2") };
    assert!(one.followed("p", Some(&held)).await.iter().all(|report| !report.follows));
}
