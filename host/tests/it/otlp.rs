//! Traces and metrics as a collector receives them.

use crate::support::{Setup, Status, eventually};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::metric::Data,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Collector {
    /// It and its address.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let traces = |State(collector): State<Self>, headers: HeaderMap, body: Bytes| async move {
            collector.headers.lock().unwrap().push(headers);
            collector.traces.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
        };
        let metrics = |State(collector): State<Self>, headers: HeaderMap, body: Bytes| async move {
            collector.headers.lock().unwrap().push(headers);
            collector.metrics.lock().unwrap().push(ExportMetricsServiceRequest::decode(body).unwrap());
        };
        let router = Router::new().route("/v1/traces", post(traces)).route("/v1/metrics", post(metrics));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = router.with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, address)
    }

    /// Of the trace of this test, so far.
    fn spans(&self) -> Vec<Span> {
        let traces = self.traces.lock().unwrap();
        let resources = traces.iter().flat_map(|request| &request.resource_spans);
        let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        spans.filter(|span| hex::encode(&span.trace_id) == TRACE).cloned().collect()
    }

    /// The numbers of a counter under these labels, so far.
    fn counted(&self, name: &str, wanted: &[(&str, &str)]) -> Vec<i64> {
        use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt;
        let requests = self.metrics.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_metrics);
        let metrics = resources.flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics);
        let sums = metrics.filter(|metric| metric.name == name).filter_map(|metric| match &metric.data {
            Some(Data::Sum(sum)) => Some(&sum.data_points),
            _ => None,
        });
        let points = sums
            .flatten()
            .filter(|point| wanted.iter().all(|(key, value)| text(&point.attributes, key).as_deref() == Some(*value)));
        points.filter_map(|point| if let Some(AsInt(count)) = point.value { Some(count) } else { None }).collect()
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

/// The one span with this name and component that a span has caused.
fn child<'a>(spans: &'a [Span], parent: &[u8], name: &str, component: &str) -> &'a Span {
    let is_it = |span: &&Span| {
        span.name == name
            && span.parent_span_id == parent
            && text(&span.attributes, "component").as_deref() == Some(component)
    };
    let found: Vec<&Span> = spans.iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{name} of {component} below {}: {spans:#?}", hex::encode(parent));
    found[0]
}

#[tokio::test]
async fn one_trace_runs_from_the_request_through_outbox_bus_handler_and_timer() {
    let (collector, address) = Collector::start().await;
    let setup = Setup::new()
        .expiration_seconds(1)
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &address)
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=tests")
        .variable("OTEL_SERVICE_NAME", "the-host-of-this-test")
        // Only what was begun elsewhere is recorded.
        .variable("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    let mut host = setup.start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let traced = buyer.with_header("traceparent", &format!("00-{TRACE}-{PARENT}-01"));
    let order = traced.reserve(&ticket.id).await;
    buyer.order_becomes(&order.id, Status::Cancelled).await;
    seller.ticket_when("the ticket is free", &ticket.id, |ticket| ticket.order_id.is_none()).await;
    host.settles().await;
    // What is left is sent at the end.
    host.stop().await;

    let spans = collector.spans();
    let parent = hex::decode(PARENT).unwrap();
    let request = child(&spans, &parent, "POST /api/orders", "orders");
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(text(&request.attributes, "http.response.status_code").as_deref(), Some("201"));
    assert_eq!(text(&request.attributes, "http.route").as_deref(), Some("/api/orders"));
    let published = child(&spans, &request.span_id, "publish order.created", "orders");
    assert_eq!(published.kind(), SpanKind::Producer);
    assert!(published.end_time_unix_nano >= published.start_time_unix_nano);
    let handled = child(&spans, &published.span_id, "handle order.created", "expiration");
    assert_eq!(handled.kind(), SpanKind::Consumer);
    assert_eq!(text(&handled.attributes, "outcome").as_deref(), Some("done"));
    let timer = child(&spans, &handled.span_id, "timer", "expiration");
    let expired = child(&spans, &timer.span_id, "publish expiration.complete", "expiration");
    let cancelled = child(&spans, &expired.span_id, "handle expiration.complete", "orders");
    let told = child(&spans, &cancelled.span_id, "publish order.cancelled", "orders");
    child(&spans, &told.span_id, "handle order.cancelled", "tickets");

    let all = collector.traces.lock().unwrap().clone();
    let recorded = all.iter().flat_map(|request| &request.resource_spans).flat_map(|resource| {
        let name = text(&resource.resource.as_ref().unwrap().attributes, "service.name");
        assert_eq!(name.as_deref(), Some("the-host-of-this-test"));
        resource.scope_spans.iter().flat_map(|scope| &scope.spans)
    });
    assert_eq!(recorded.count(), spans.len(), "nothing else was recorded");
    assert!(collector.headers.lock().unwrap().iter().all(|headers| headers["x-tenant"] == "tests"));
}

#[tokio::test]
async fn a_trace_that_its_beginner_does_not_record_is_not_recorded_here() {
    let (collector, address) = Collector::start().await;
    let mut host = Setup::new().variable("OTEL_EXPORTER_OTLP_ENDPOINT", &address).start().await;
    let visitor = host.visitor();
    visitor.with_header("traceparent", &format!("00-{TRACE}-{PARENT}-00")).get("/api/tickets").await;
    visitor.get("/api/tickets").await;
    host.stop().await;
    assert!(collector.spans().is_empty());
    assert!(!collector.traces.lock().unwrap().is_empty(), "the other one was");
}

#[tokio::test]
async fn metrics_are_sent_with_the_labels_that_they_have() {
    let (collector, address) = Collector::start().await;
    let setup =
        Setup::new().variable("OTEL_EXPORTER_OTLP_ENDPOINT", &address).variable("OTEL_METRIC_EXPORT_INTERVAL", "200");
    let host = setup.start().await;
    for _ in 0..3 {
        host.visitor().get("/api/tickets").await;
    }
    let labels = [("component", "tickets"), ("route", "/api/tickets"), ("method", "GET"), ("status", "2xx")];
    let counted = async || collector.counted("http_requests_total", &labels).into_iter().max();
    eventually("three are counted", counted, |most| *most == Some(3)).await;
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let setup =
        Setup::new().variable("OTEL_EXPORTER_OTLP_ENDPOINT", &address).variable("OTEL_METRIC_EXPORT_INTERVAL", "100");
    let mut host = setup.start().await;
    for _ in 0..20 {
        assert_eq!(host.visitor().get("/api/tickets").await.status, 200);
    }
    let said = async || host.log().matches("the collector does not take metrics").count();
    eventually("it is said", &said, |times| *times > 0).await;
    assert_eq!(said().await, 1, "once");
    host.stop().await;
}
