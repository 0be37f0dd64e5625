//! The metrics of revisions that are gone: there are none.

use crate::support::{Setup, chameleon, chameleon_host, eventually};
use serde_json::json;

const SWAPS: usize = 200;

#[tokio::test]
async fn two_hundred_swaps_leave_no_more_metrics_than_one() {
    let host = chameleon_host(Setup::without_components()).await;
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
    // A revision ends with its last call and with the report of its swap.
    let left = eventually("the metrics of older revisions are gone", series, |series| series.len() <= of_one).await;
    let active = operator.plugin("chameleon").await["revision"].as_str().unwrap().to_owned();
    assert!(left.iter().all(|line| line.contains(&active)), "{active}: {left:?}");
    let swaps = outsider.get("/metrics").await.text;
    let swaps = swaps.lines().find(|line| line.starts_with("plugin_swaps_total{component=\"chameleon\"}")).unwrap();
    assert_eq!(
        swaps.rsplit_once(' ').unwrap().1,
        (SWAPS + 1).to_string(),
        "a metric of the plugin outlives its revisions"
    );

    operator.delete("/plugins/chameleon").await;
    let text = async || outsider.get("/metrics").await.text;
    eventually("the metrics of the plugin are gone", text, |text| !text.contains("component=\"chameleon\"")).await;
}
