//! The alerts and the dashboard look at metrics that exist.

use super::{
    files::{json, read, yaml},
    metrics::Exposed,
};
use crate::support::{Setup, Status, eventually};
use promql_parser::{
    label::MatchOp,
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Labels that Prometheus adds to every metric of a host.
const OF_THE_TARGET: [&str; 2] = ["instance", "job"];

/// A check of a PromQL expression, with the problems that it has found.
struct Check<'a> {
    exposed: &'a Exposed,
    selected: BTreeSet<String>,
    labels: BTreeSet<String>,
    problems: Vec<String>,
}

impl Check<'_> {
    fn selector(&mut self, selector: &VectorSelector) {
        let Some(name) = &selector.name else { return self.problems.push(format!("{selector} names no metric")) };
        if name == "up" {
            return;
        }
        let Some(labels) = self.exposed.labels(name) else {
            return self.problems.push(format!("there is no metric {name}"));
        };
        self.selected.insert(name.clone());
        self.labels.extend(labels.keys().cloned());
        for matcher in &selector.matchers.matchers {
            if OF_THE_TARGET.contains(&matcher.name.as_str()) {
                continue;
            }
            match labels.get(&matcher.name) {
                None => self.problems.push(format!("{name} has no label {}", matcher.name)),
                Some(values) if matches!(matcher.op, MatchOp::Equal) && !values.contains(&matcher.value) => {
                    self.problems.push(format!("{} of {name} is never {}", matcher.name, matcher.value));
                }
                Some(_) => {}
            }
        }
    }
}

impl ExprVisitor for Check<'_> {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs),
            _ => {}
        }
        Ok(true)
    }

    fn post_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        if let Expr::Aggregate(aggregate) = expression
            && let Some(modifier) = &aggregate.modifier
        {
            for label in &modifier.labels().labels {
                if !OF_THE_TARGET.contains(&label.as_str()) && !self.labels.contains(label) {
                    self.problems.push(format!("no metric in {expression} has the label {label}"));
                }
            }
        }
        Ok(true)
    }
}

/// Returns the problems of an expression, and the metrics that it uses.
fn check(expression: &str, exposed: &Exposed) -> (Vec<String>, BTreeSet<String>) {
    let parsed = match parser::parse(expression) {
        Ok(parsed) => parsed,
        Err(error) => return (vec![format!("{expression}: {error}")], BTreeSet::new()),
    };
    let mut check = Check { exposed, selected: BTreeSet::new(), labels: BTreeSet::new(), problems: Vec::new() };
    walk_expr(&mut check, &parsed).unwrap();
    (check.problems.into_iter().map(|problem| format!("{problem}, in {expression}")).collect(), check.selected)
}

/// The metrics of a host that has served some requests.
async fn exposed() -> Exposed {
    let host = Setup::new().expiration_seconds(1).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("Concert", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    buyer.order_becomes(&order.id, Status::Cancelled).await;
    // The host reads the state of the bus at intervals.
    let metrics = async || host.outsider().get("/metrics").await.text;
    Exposed::read(
        &eventually("the metrics of the bus are there", metrics, |text| text.contains("bus_pending_events{")).await,
    )
}

fn rules() -> Vec<Value> {
    let alerts = yaml("prometheus/alerts.yaml");
    alerts["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn panels() -> Vec<Value> {
    json("grafana/dashboard.json")["panels"].as_array().unwrap().clone()
}

#[tokio::test]
async fn alerts_and_dashboard_look_at_metrics_and_labels_that_exist() {
    let exposed = exposed().await;
    let mut problems = Vec::new();
    let mut watched = BTreeSet::new();
    let mut add = |expression: &str| {
        let (wrong, selected) = check(expression, &exposed);
        problems.extend(wrong);
        watched.extend(selected);
    };
    for rule in rules() {
        add(rule["expr"].as_str().unwrap());
    }
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            add(&expression.replace("$__rate_interval", "5m").replace("$component", ".*"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // Every metric is in an alert or on the dashboard.
    let family = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let watched: BTreeSet<String> = watched.iter().map(|name| family(name)).collect();
    let unwatched: BTreeSet<String> = exposed.names().map(family).filter(|name| !watched.contains(name)).collect();
    assert_eq!(unwatched, BTreeSet::new());
}

#[test]
fn an_expression_without_a_metric_is_found() {
    let exposed = Exposed::read("# HELP a b\na{x=\"1\",y=\"2\"} 3\nb 1\n");
    let problems = |expression| check(expression, &exposed).0.len();
    assert_eq!(problems("sum by (x) (rate(a{y=\"2\"}[5m])) / sum(b)"), 0);
    for wrong in ["c", "a{z=\"1\"}", "a{y=\"3\"}", "sum by (z) (a)", "sum by (x) (b)", "rate(a[5m]", "{y=\"2\"}"] {
        assert!(problems(wrong) > 0, "{wrong}");
    }
}

#[test]
fn every_alert_has_a_severity_and_a_chapter_of_the_runbook() {
    let runbook = read("runbook.md");
    let chapters: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let mut alerts = BTreeSet::new();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap().to_owned();
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
        let place = rule["annotations"]["runbook_url"].as_str().unwrap().strip_prefix("runbook.md#").unwrap();
        let chapter = chapters.iter().find(|chapter| chapter.to_lowercase() == place);
        assert!(chapter.is_some(), "{name} has no chapter {place} in the runbook");
        alerts.insert((*chapter.unwrap()).to_owned());
    }
    assert_eq!(alerts, chapters.into_iter().map(str::to_owned).collect(), "every chapter belongs to an alert");
}

#[test]
fn the_panels_of_the_dashboard_do_not_overlap() {
    let panels = panels();
    let place = |panel: &Value| {
        let number = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        (number("x"), number("y"), number("w"), number("h"))
    };
    for (index, one) in panels.iter().enumerate() {
        let (x, y, w, h) = place(one);
        assert!(x + w <= 24, "{one}");
        for other in &panels[index + 1..] {
            let (ox, oy, ow, oh) = place(other);
            assert!(
                x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y,
                "{} and {}",
                one["title"],
                other["title"]
            );
        }
    }
}
