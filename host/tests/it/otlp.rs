//! Traces and metrics that an OTLP collector receives.

use crate::{
    support::{PASSWORD, Setup, Status, eventually, on_postgres},
    wasi_http::{WasiHttp, grant, with_query},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
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

/// A collector that stores the requests to it.
#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Collector {
    /// Starts a collector. Returns it and its address.
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

    /// The spans of this test's trace, so far.
    fn spans(&self) -> Vec<Span> {
        let traces = self.traces.lock().unwrap();
        let resources = traces.iter().flat_map(|request| &request.resource_spans);
        let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        spans.filter(|span| hex::encode(&span.trace_id) == TRACE).cloned().collect()
    }

    /// The values of a counter with these labels, so far.
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

/// The single child of a span that has this name and component.
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

/// Sends spans to a collector, but only those of traces that the caller records.
fn with_collector(setup: Setup, address: &str) -> Setup {
    setup.variable("OTEL_EXPORTER_OTLP_ENDPOINT", address).variable("OTEL_TRACES_SAMPLER", "parentbased_always_off")
}

/// Asserts that no span contains any of these texts.
fn no_span_contains(spans: &[Span], secrets: &[&str]) {
    let said = format!("{spans:?}");
    for secret in secrets {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
}

#[tokio::test]
async fn one_trace_runs_from_the_request_through_outbox_bus_handler_and_timer() {
    let (collector, address) = Collector::start().await;
    let setup = Setup::new()
        .expiration_seconds(1)
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=tests")
        .variable("OTEL_SERVICE_NAME", "the-host-of-this-test");
    let mut host = with_collector(setup, &address).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let traced = buyer.with_header("traceparent", &format!("00-{TRACE}-{PARENT}-01"));
    let order = traced.reserve(&ticket.id).await;
    buyer.order_becomes(&order.id, Status::Cancelled).await;
    seller.ticket_when("the ticket is free", &ticket.id, |ticket| ticket.order_id.is_none()).await;
    host.settles().await;
    // A host sends the remaining spans at its end.
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
    assert_eq!(recorded.count(), spans.len(), "only this trace is recorded");
    assert!(collector.headers.lock().unwrap().iter().all(|headers| headers["x-tenant"] == "tests"));
}

#[tokio::test]
async fn statements_and_payments_are_spans_without_secrets() {
    let (collector, address) = Collector::start().await;
    let mut host = with_collector(Setup::new(), &address).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("a title of this test", 10.0).await;
    let header = format!("00-{TRACE}-{PARENT}-01");
    let order = buyer.with_header("traceparent", &header).reserve(&ticket.id).await;
    buyer.with_header("traceparent", &header).pay(&order.id).await;
    buyer.order_becomes(&order.id, Status::Complete).await;
    let email = seller.email.clone();
    seller.with_header("traceparent", &header).sign_in(&email).await;
    host.settles().await;
    host.stop().await;

    let spans = collector.spans();
    let parent = hex::decode(PARENT).unwrap();
    let system = if on_postgres() { "postgresql" } else { "sqlite" };
    let operation = |parent: &[u8], name: &str, component: &str| {
        let is_it = |span: &&Span| span.name == name && span.parent_span_id == parent;
        let span = spans.iter().find(is_it).unwrap_or_else(|| panic!("{name} of {component}: {spans:#?}"));
        assert_eq!(span.kind(), SpanKind::Client);
        let said = ["db.system.name", "db.operation.name", "db.namespace"].map(|key| text(&span.attributes, key));
        assert_eq!(said, [system, name, component].map(|text| Some(text.to_owned())));
    };
    let ordered = child(&spans, &parent, "POST /api/orders", "orders");
    for name in ["SELECT", "BEGIN", "INSERT", "COMMIT"] {
        operation(&ordered.span_id, name, "orders");
    }
    let published = child(&spans, &ordered.span_id, "publish order.created", "orders");
    let handled = child(&spans, &published.span_id, "handle order.created", "tickets");
    operation(&handled.span_id, "UPDATE", "tickets");
    operation(&handled.span_id, "COMMIT", "tickets");
    let is_paid = |span: &&Span| {
        span.name == "POST /api/payments"
            && text(&span.attributes, "http.response.status_code").as_deref() == Some("201")
    };
    let paid = spans.iter().find(is_paid).unwrap();
    let authorized = child(&spans, &paid.span_id, "payments authorize", "payments");
    assert_eq!(authorized.kind(), SpanKind::Client);
    assert_eq!(text(&authorized.attributes, "outcome").as_deref(), Some("ok"));
    assert!(spans.iter().any(|span| span.name == "payments capture"), "{spans:#?}");
    no_span_contains(&spans, &["tok_visa", "a title of this test", PASSWORD, &email]);
}

#[tokio::test]
async fn a_request_to_another_host_is_a_span_and_carries_the_trace_on() {
    let (collector, address) = Collector::start().await;
    let asked: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = listener.local_addr().unwrap();
    let heard = asked.clone();
    let answer = move |headers: HeaderMap| async move {
        heard.lock().unwrap().push(headers);
        StatusCode::IM_A_TEAPOT
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let mut host = with_collector(Setup::without_components(), &address).start().await;
    grant(&host.operator(), "asking", &[other.to_string()]).await;
    WasiHttp::rust("asking").deploy(&host.operator()).await;
    let authority = other.to_string();
    let query = [("scheme", "http"), ("authority", authority.as_str()), ("path", "/of-a-secret?key=hidden")];
    let visitor = host.visitor();
    let traced = visitor.with_header("traceparent", &format!("00-{TRACE}-{PARENT}-01"));
    traced.get(&with_query("/asking/fetch", &query)).await;
    visitor.get(&with_query("/asking/fetch", &query)).await;
    host.stop().await;

    let spans = collector.spans();
    let request = spans.iter().find(|span| span.kind() == SpanKind::Server).unwrap();
    let asking = child(&spans, &request.span_id, "GET", "asking");
    assert_eq!(asking.kind(), SpanKind::Client);
    let said = ["http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"]
        .map(|key| text(&asking.attributes, key).unwrap_or_default());
    assert_eq!(said, ["GET", "127.0.0.1", &other.port().to_string(), "418", "418"]);
    no_span_contains(&spans, &["of-a-secret", "hidden"]);
    let place = format!("00-{TRACE}-{}-01", hex::encode(&asking.span_id));
    let asked = asked.lock().unwrap();
    let handed_on: Vec<_> = asked.iter().map(|headers| headers.get("traceparent")).collect();
    assert_eq!(handed_on.len(), 2);
    assert_eq!(handed_on[0].unwrap(), place.as_str());
    assert_eq!(handed_on[1], None, "the other request's trace is not recorded");
}

#[tokio::test]
async fn a_trace_that_its_caller_does_not_record_is_not_recorded_here() {
    let (collector, address) = Collector::start().await;
    let mut host = Setup::new().variable("OTEL_EXPORTER_OTLP_ENDPOINT", &address).start().await;
    let visitor = host.visitor();
    visitor.with_header("traceparent", &format!("00-{TRACE}-{PARENT}-00")).get("/api/tickets").await;
    visitor.get("/api/tickets").await;
    host.stop().await;
    assert!(collector.spans().is_empty());
    assert!(!collector.traces.lock().unwrap().is_empty(), "the other trace is recorded");
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
    eventually("three requests are counted", counted, |most| *most == Some(3)).await;
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
    let said = async || host.log().matches("the collector does not accept metrics").count();
    eventually("the log says it", &said, |times| *times > 0).await;
    assert_eq!(said().await, 1, "once");
    host.stop().await;
}
