//! The metrics as an OTLP message. Their values are cumulative since the start
//! of the process.

use crate::metrics::{Distribution, Family, Kind, Labels, Value};
use host_base::clock::now_ms;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
        ScopeMetrics, Sum, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use opentelemetry_sdk::Resource as SdkResource;
use prost::Message as _;

/// The parts that all messages share.
#[derive(Clone)]
pub(super) struct MessageEncoder {
    resource: Resource,
    start_ns: u64,
}

/// The time that a value covers.
#[derive(Clone, Copy)]
struct TimeRange {
    start_ns: u64,
    now_ns: u64,
}

impl MessageEncoder {
    pub(super) fn new(resource: &SdkResource) -> Self {
        let attributes = resource.iter().map(|(name, value)| attribute(name.as_str(), &value.as_str()));
        let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
        Self { resource, start_ns: now_ns() }
    }

    pub(super) fn encode(&self, families: &[Family]) -> Vec<u8> {
        let range = TimeRange { start_ns: self.start_ns, now_ns: now_ns() };
        let scope = InstrumentationScope { name: "ticketing".to_owned(), ..InstrumentationScope::default() };
        let metrics = families.iter().map(|family| metric(family, range)).collect();
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    }
}

fn now_ns() -> u64 {
    now_ms().saturating_mul(1_000_000)
}

fn metric(family: &Family, range: TimeRange) -> Metric {
    let numbers = || {
        let numbers = family.series.iter().filter_map(|(labels, value)| match value {
            Value::Counter(count) => Some((labels, number_data_point::Value::AsInt(i64::try_from(*count).ok()?))),
            Value::Gauge(level) => Some((labels, number_data_point::Value::AsDouble(*level))),
            Value::Histogram(_) => None,
        });
        numbers.map(|(labels, value)| number(labels, value, range)).collect()
    };
    let temporality = AggregationTemporality::Cumulative.into();
    let data = match family.kind {
        Kind::Counter => {
            Data::Sum(Sum { data_points: numbers(), aggregation_temporality: temporality, is_monotonic: true })
        }
        Kind::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram => {
            let distributions = family.series.iter().filter_map(|(labels, value)| match value {
                Value::Histogram(distribution) => Some(histogram(labels, distribution, range)),
                _ => None,
            });
            Data::Histogram(Histogram { data_points: distributions.collect(), aggregation_temporality: temporality })
        }
    };
    let unit = match family.name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "1",
    };
    Metric {
        name: family.name.clone(),
        description: family.description.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(labels: &Labels, value: number_data_point::Value, range: TimeRange) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: range.start_ns,
        time_unix_nano: range.now_ns,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn histogram(labels: &Labels, distribution: &Distribution, range: TimeRange) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: range.start_ns,
        time_unix_nano: range.now_ns,
        count: distribution.count(),
        sum: Some(distribution.sum),
        bucket_counts: distribution.counts.clone(),
        explicit_bounds: distribution.bounds.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: name.to_owned(), value: Some(value), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str, kind: Kind, value: Value) -> Family {
        let labels = vec![("component".to_owned(), "orders".to_owned())];
        Family { name: name.to_owned(), description: "Help.", kind, series: vec![(labels, value)] }
    }

    #[test]
    fn every_kind_keeps_its_labels_its_unit_and_its_numbers() {
        let distribution = Distribution { bounds: &[1.0], counts: vec![2, 1], sum: 5.0 };
        let families = [
            family("a_total", Kind::Counter, Value::Counter(3)),
            family("b", Kind::Gauge, Value::Gauge(0.5)),
            family("c_seconds", Kind::Histogram, Value::Histogram(distribution)),
        ];
        let resource = SdkResource::builder_empty().with_service_name("here").build();
        let bytes = MessageEncoder::new(&resource).encode(&families);
        let message = ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap();
        let sent = &message.resource_metrics[0];
        assert_eq!(sent.resource.as_ref().unwrap().attributes, [attribute("service.name", "here")]);
        let metrics = &sent.scope_metrics[0].metrics;
        let [Some(Data::Sum(count)), Some(Data::Gauge(level)), Some(Data::Histogram(histogram))] =
            [0, 1, 2].map(|index: usize| metrics[index].data.as_ref())
        else {
            panic!("{metrics:?}")
        };
        assert!(count.is_monotonic);
        assert_eq!(count.data_points[0].value, Some(number_data_point::Value::AsInt(3)));
        assert_eq!(count.data_points[0].attributes, [attribute("component", "orders")]);
        assert_eq!(level.data_points[0].value, Some(number_data_point::Value::AsDouble(0.5)));
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum, point.bucket_counts.as_slice()), (3, Some(5.0), &[2, 1][..]));
        assert_eq!((metrics[2].unit.as_str(), metrics[2].description.as_str()), ("s", "Help."));
    }
}
