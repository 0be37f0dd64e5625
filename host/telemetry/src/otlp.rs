//! Sends spans and metrics to a collector, over OTLP/HTTP in protobuf. Spans go
//! in batches after they end, metrics at an interval.
//!
//! The exporter runs from the start of the host to its end. Without a
//! configured collector there is none. If the collector is slow or away, spans
//! are lost, but requests are not delayed.

mod message;
mod metrics_pusher;

use super::{metrics::Metrics, trace::TRACER};
use async_trait::async_trait;
use bytes::Bytes;
use host_config::telemetry::OtlpConfig;
use metrics_pusher::MetricsPusher;
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
    time::timeout,
};

/// The limit for sending one batch of spans, or all metrics.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The limit for sending the rest when the host stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// The exporter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The HTTP client cannot be created.
    #[error("the HTTP client for the collector cannot be created: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter of spans cannot be created.
    #[error("the exporter of spans cannot be created: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Sends spans and metrics until it is stopped.
pub struct OtlpExporter {
    provider: SdkTracerProvider,
    pusher: MetricsPusher,
    pushing: JoinHandle<()>,
}

impl OtlpExporter {
    /// Starts to send. `refresh` updates the gauges that are computed on demand.
    /// Call this within a tokio runtime.
    ///
    /// # Errors
    /// If a client cannot be created. A collector that does not answer is not
    /// an error.
    pub fn start(
        config: &OtlpConfig,
        metrics: Metrics,
        refresh: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, OtlpError> {
        let client = reqwest::Client::builder().timeout(SEND_TIMEOUT).build()?;
        let resource = resource(config);
        let headers: HashMap<String, String> =
            config.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(RuntimeClient { client: client.clone(), runtime: Handle::current() })
            .with_endpoint(format!("{}/v1/traces", config.endpoint))
            .with_timeout(SEND_TIMEOUT)
            .with_headers(headers.clone())
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio))))
            .with_resource(resource.clone())
            .with_batch_exporter(exporter)
            .build();
        // A second host in the same process sends its spans through the first.
        let _ = TRACER.set(provider.tracer("ticketing"));
        let url = format!("{}/v1/metrics", config.endpoint);
        let pusher = MetricsPusher::new(client, url, headers, &resource, metrics);
        let (task, interval) = (pusher.clone(), config.metrics_interval);
        let pushing = tokio::spawn(async move { task.run(interval, refresh).await });
        Ok(Self { provider, pusher, pushing })
    }

    /// Sends the remaining spans and the metrics, within a limit, and ends.
    pub async fn stop(self) {
        self.pushing.abort();
        let provider = self.provider;
        let spans = spawn_blocking(move || provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
        let (_, spans) = tokio::join!(timeout(SHUTDOWN_TIMEOUT, self.pusher.push()), spans);
        if !matches!(spans, Ok(Ok(()))) {
            tracing::debug!("the host could not send its last spans");
        }
    }
}

/// The attributes of this process. The SDK adds those of
/// `OTEL_RESOURCE_ATTRIBUTES`.
fn resource(config: &OtlpConfig) -> Resource {
    let attributes = [
        ("service.name", config.service_name.clone()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", host_base::id::new().to_string()),
    ];
    Resource::builder()
        .with_attributes(attributes.map(|(name, value)| opentelemetry::KeyValue::new(name, value)))
        .build()
}

/// Sends requests on the runtime. The exporter of spans calls it from a thread
/// of its own, and the client works only inside the runtime.
#[derive(Debug)]
struct RuntimeClient {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for RuntimeClient {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
