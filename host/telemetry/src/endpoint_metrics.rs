//! Rate, errors and duration of one endpoint.
//!
//! The labels come from manifests, never from what is sent, and the handles are
//! made with a revision: counting a request allocates nothing, and neither
//! does a swap.

use http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};
use std::time::Duration;

/// The metrics of one method on one route of one revision.
#[derive(Clone)]
pub struct RedMetrics {
    /// By the first digit of the status, from 2.
    by_class: [Counter; 4],
    seconds: Histogram,
}

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl RedMetrics {
    /// Registers `http_requests_total` and `http_request_seconds`.
    pub fn new(component: &str, revision: &str, route: &str, method: &str) -> Self {
        let labels = [
            ("component", component.to_owned()),
            ("revision", revision.to_owned()),
            ("route", route.to_owned()),
            ("method", method.to_owned()),
        ];
        Self {
            by_class: CLASSES.map(|class| {
                let mut labels = labels.to_vec();
                labels.push(("status", class.to_owned()));
                counter!("http_requests_total", &labels)
            }),
            seconds: histogram!("http_request_seconds", &labels),
        }
    }

    /// Counts one answer.
    pub fn record(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        if let Some(counter) = self.by_class.get(class) {
            counter.increment(1);
        }
        self.seconds.record(took.as_secs_f64());
    }
}
