//! The request rate, the errors and the duration of one endpoint.
//!
//! The labels come from manifests and never from requests. The metrics are
//! registered when a revision is loaded, so neither a request nor a swap
//! allocates memory for them.

use http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};
use std::time::Duration;

/// The metrics of one method on one route of one revision.
#[derive(Clone)]
pub struct EndpointMetrics {
    /// One counter for each entry of [`STATUS_CLASSES`].
    requests: [Counter; 4],
    duration_seconds: Histogram,
}

const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl EndpointMetrics {
    /// Registers `http_requests_total` and `http_request_seconds`.
    pub fn new(component: &str, revision: &str, route: &str, method: &str) -> Self {
        let labels = [
            ("component", component.to_owned()),
            ("revision", revision.to_owned()),
            ("route", route.to_owned()),
            ("method", method.to_owned()),
        ];
        Self {
            requests: STATUS_CLASSES.map(|class| {
                let mut labels = labels.to_vec();
                labels.push(("status", class.to_owned()));
                counter!("http_requests_total", &labels)
            }),
            duration_seconds: histogram!("http_request_seconds", &labels),
        }
    }

    /// Records one response.
    pub fn record(&self, status: StatusCode, duration: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        if let Some(counter) = self.requests.get(class) {
            counter.increment(1);
        }
        self.duration_seconds.record(duration.as_secs_f64());
    }
}
