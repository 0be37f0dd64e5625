//! What is told to a collector: spans as they end, in batches, and the metrics
//! at an interval, over OTLP/HTTP in protobuf.
//!
//! It lives from the host's start to its end, and costs nothing unless it is
//! asked for. A collector that is slow or away costs spans, never requests.

mod message;

use super::{metrics::Metrics, trace::TRACER};
use async_trait::async_trait;
use bytes::Bytes;
use host_config::telemetry::OtlpConfig;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use std::{collections::HashMap, time::Duration};
use tokio::{
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval},
};

/// Sending one batch, or all metrics.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is left at the end may take this long.
const FAREWELL: Duration = Duration::from_secs(3);

/// Why nothing can be sent to a collector.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The client cannot be made.
    #[error("there is no client for the collector: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter cannot be made.
    #[error("spans cannot be exported: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Sends until it is stopped.
pub struct Exporting {
    provider: SdkTracerProvider,
    metrics: Pusher,
    pushing: JoinHandle<()>,
}

impl Exporting {
    /// Begins to send. `refresh` brings up to date what is looked at only when
    /// somebody asks. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When a client cannot be made. A collector that does not answer is none.
    pub fn start(
        settings: &OtlpConfig,
        metrics: Metrics,
        refresh: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, OtlpError> {
        let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
        let resource = resource(settings);
        let headers: HashMap<String, String> =
            settings.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(OnRuntime { client: client.clone(), runtime: Handle::current() })
            .with_endpoint(format!("{}/v1/traces", settings.endpoint))
            .with_timeout(PATIENCE)
            .with_headers(headers.clone())
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio))))
            .with_resource(resource.clone())
            .with_batch_exporter(exporter)
            .build();
        // A second host in one process sends its spans by way of the first.
        let _ = TRACER.set(provider.tracer("ticketing"));
        let url = format!("{}/v1/metrics", settings.endpoint);
        let pusher = Pusher { client, url, headers, message: message::Message::new(&resource), metrics };
        let (pushing, every) = (pusher.clone(), settings.metrics_interval);
        let pushing = tokio::spawn(async move { pushing.run(every, refresh).await });
        Ok(Self { provider, metrics: pusher, pushing })
    }

    /// Sends what is left, for a bounded time, and ends.
    pub async fn stop(self) {
        self.pushing.abort();
        let provider = self.provider;
        let spans = spawn_blocking(move || provider.shutdown_with_timeout(FAREWELL));
        let (_, spans) = tokio::join!(tokio::time::timeout(FAREWELL, self.metrics.push()), spans);
        if !matches!(spans, Ok(Ok(()))) {
            tracing::debug!("the last spans could not be sent");
        }
    }
}

/// Who sends.
fn resource(settings: &OtlpConfig) -> Resource {
    let attributes = [
        ("service.name", settings.service_name.clone()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", host_base::id::new().to_string()),
    ];
    // With what OTEL_RESOURCE_ATTRIBUTES says.
    Resource::builder()
        .with_attributes(attributes.map(|(name, value)| opentelemetry::KeyValue::new(name, value)))
        .build()
}

/// Sends the metrics.
#[derive(Clone)]
struct Pusher {
    client: reqwest::Client,
    url: String,
    headers: HashMap<String, String>,
    message: message::Message,
    metrics: Metrics,
}

impl Pusher {
    async fn run(&self, every: Duration, refresh: impl Fn()) {
        let mut times = interval(every);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_away = false;
        loop {
            times.tick().await;
            refresh();
            let result = self.push().await;
            // Said once, and not every time.
            if let (Err(error), false) = (&result, is_away) {
                tracing::warn!(%error, "the collector does not take metrics");
            }
            is_away = result.is_err();
        }
    }

    async fn push(&self) -> reqwest::Result<()> {
        let body = self.message.encode(&self.metrics.families());
        let mut request = self.client.post(&self.url).header("content-type", "application/x-protobuf");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(body).send().await?.error_for_status().map(drop)
    }
}

/// The exporter of spans has a thread of its own; the client needs the
/// runtime.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
