//! Sends the metrics to the collector at an interval.

use super::message::MessageEncoder;
use crate::metrics::Metrics;
use opentelemetry_sdk::Resource;
use std::{collections::HashMap, time::Duration};
use tokio::time::{self, MissedTickBehavior};

#[derive(Clone)]
pub(super) struct MetricsPusher {
    client: reqwest::Client,
    url: String,
    headers: HashMap<String, String>,
    encoder: MessageEncoder,
    metrics: Metrics,
}

impl MetricsPusher {
    pub(super) fn new(
        client: reqwest::Client,
        url: String,
        headers: HashMap<String, String>,
        resource: &Resource,
        metrics: Metrics,
    ) -> Self {
        Self { client, url, headers, encoder: MessageEncoder::new(resource), metrics }
    }

    pub(super) async fn run(&self, interval: Duration, refresh: impl Fn()) {
        let mut ticks = time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            ticks.tick().await;
            refresh();
            let result = self.push().await;
            // Only the first of several failures is logged.
            if let (Err(error), false) = (&result, is_failing) {
                tracing::warn!(%error, "the collector does not accept metrics");
            }
            is_failing = result.is_err();
        }
    }

    pub(super) async fn push(&self) -> reqwest::Result<()> {
        let body = self.encoder.encode(&self.metrics.families());
        let mut request = self.client.post(&self.url).header("content-type", "application/x-protobuf");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(body).send().await?.error_for_status().map(drop)
    }
}
