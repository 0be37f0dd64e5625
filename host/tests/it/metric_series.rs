//! What a host tells of revisions that are gone: nothing.

use crate::support::{chameleon, empty, empty_host, eventually};
use serde_json::json;

const SWAPS: usize = 200;

#[tokio::test]
async fn two_hundred_swaps_leave_no_more_metrics_than_one() {
    let host = empty_host(empty()).await;
    let (operator, visitor, outsider) = (host.operator(), host.visitor(), host.outsider());
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    assert_eq!(visitor.colour().await, "green");
    let series = async || {
        let text = outsider.get("/metrics").await.text;
        text.lines().filter(|line| line.contains("revision=\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    let of_one = series().await.len();
    assert!(of_one > 0);
    for swap in 0..SWAPS {
        let colour = format!("colour-{swap}");
        let set = operator.put("/plugins/chameleon/config", json!({ "colour": colour })).await;
        assert_eq!(set.status, 200, "{set:?}");
        assert_eq!(visitor.colour().await, colour);
    }
    // A revision goes when its last call has ended and its report is written.
    let left = eventually("the others are gone", series, |series| series.len() <= of_one).await;
    let active = operator.plugin("chameleon").await["revision"].as_str().unwrap().to_owned();
    assert!(left.iter().all(|line| line.contains(&active)), "{active}: {left:?}");
    let swaps = outsider.get("/metrics").await.text;
    let swaps = swaps.lines().find(|line| line.starts_with("plugin_swaps_total{component=\"chameleon\"}")).unwrap();
    assert_eq!(swaps.rsplit_once(' ').unwrap().1, (SWAPS + 1).to_string(), "what is not a revision's own is kept");

    operator.delete("/plugins/chameleon").await;
    let text = async || outsider.get("/metrics").await.text;
    eventually("nothing is told of it", text, |text| !text.contains("component=\"chameleon\"")).await;
}
