//! `[telemetry]`: where traces and metrics are sent, beside `/metrics`.
//!
//! The variables are OpenTelemetry's own:
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>.

use super::{
    environment::Environment,
    problem::{Invalid, Sources, within},
};
use host_base::secret::Secret;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};

const DEFAULT_NAME: &str = "ticketing";

/// OpenTelemetry's variables that the host reads.
pub const VARIABLES: [&str; 7] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];

/// Settings of what is sent to a collector.
#[derive(Debug, Clone)]
pub struct OtlpConfig {
    /// OTLP over HTTP, without `/v1/traces`.
    pub endpoint: String,
    /// Sent along with every request.
    pub headers: BTreeMap<String, Secret>,
    /// What this host is called there.
    pub service_name: String,
    /// Of the traces that begin here, from 0 to 1. One that began elsewhere
    /// is recorded if it is there.
    pub sample_ratio: f64,
    /// How often metrics are sent.
    pub metrics_interval: Duration,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTelemetryConfig {
    pub(super) otlp_endpoint: Option<String>,
    pub(super) otlp_headers: Option<BTreeMap<String, Secret>>,
    pub(super) service_name: Option<String>,
    pub(super) sample_ratio: Option<f64>,
    pub(super) metrics_interval_ms: Option<u64>,
    #[serde(skip)]
    pub(super) disabled: Option<bool>,
}

/// Nothing is sent unless an endpoint is set.
#[derive(Debug, Clone, Default)]
pub struct TelemetryConfig {
    /// Where to.
    pub otlp: Option<OtlpConfig>,
}

impl TryFrom<RawTelemetryConfig> for TelemetryConfig {
    type Error = Invalid;

    fn try_from(raw: RawTelemetryConfig) -> Result<Self, Invalid> {
        let sample_ratio = raw.sample_ratio.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample_ratio) {
            return Err(Invalid::new("telemetry.sample_ratio", format!("{sample_ratio} is not between 0 and 1")));
        }
        let interval_ms = within("telemetry.metrics_interval_ms", raw.metrics_interval_ms, 60_000, 100..=3_600_000)?;
        let headers = raw.otlp_headers.unwrap_or_default();
        for (name, value) in &headers {
            let fits = http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value.expose()).is_ok();
            if !fits {
                return Err(Invalid::new("telemetry.otlp_headers", format!("`{name}` is not a header")));
            }
        }
        let endpoint = raw.otlp_endpoint.filter(|endpoint| !endpoint.is_empty() && raw.disabled != Some(true));
        let Some(endpoint) = endpoint else { return Ok(Self::default()) };
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let is_http = reqwest::Url::parse(&endpoint).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
        if !is_http {
            let reason = format!("`{endpoint}` is not an address such as http://localhost:4318");
            return Err(Invalid::new("telemetry.otlp_endpoint", reason));
        }
        let service_name = raw.service_name.filter(|name| !name.is_empty());
        Ok(Self {
            otlp: Some(OtlpConfig {
                endpoint,
                headers,
                service_name: service_name.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
                sample_ratio,
                metrics_interval: Duration::from_millis(interval_ms),
            }),
        })
    }
}

/// `name=value,name=value`, percent-encoded, as in
/// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.
fn headers(text: &str) -> Result<BTreeMap<String, Secret>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or("it must be name=value, joined by commas")?;
            let decoded = |text: &str| {
                let decoded = percent_encoding::percent_decode_str(text.trim()).decode_utf8();
                decoded.map(std::borrow::Cow::into_owned).map_err(|_| "it is not UTF-8 when decoded".to_owned())
            };
            Ok((decoded(name)?, Secret::new(decoded(value)?)))
        })
        .collect()
}

/// Lays OpenTelemetry's variables over the file. An empty one is as good as
/// none.
pub(super) fn lay_over(raw: &mut RawTelemetryConfig, environment: &mut Environment, sources: &mut Sources) {
    let mut variable = |name: &'static str| (name, environment.take(name).filter(|text| !text.is_empty()));
    let text = |text: &str| Ok(text.to_owned());
    let endpoint = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
    sources.lay_over(&mut raw.otlp_endpoint, "telemetry.otlp_endpoint", [endpoint], text);
    let given = variable("OTEL_EXPORTER_OTLP_HEADERS");
    sources.lay_over(&mut raw.otlp_headers, "telemetry.otlp_headers", [given], headers);
    let interval = variable("OTEL_METRIC_EXPORT_INTERVAL");
    sources.lay_over(&mut raw.metrics_interval_ms, "telemetry.metrics_interval_ms", [interval], |text| {
        text.parse().map_err(|_| format!("`{text}` is not a number of milliseconds"))
    });
    let name = variable("OTEL_SERVICE_NAME");
    sources.lay_over(&mut raw.service_name, "telemetry.service_name", [name], text);
    let share = variable("OTEL_TRACES_SAMPLER_ARG");
    sources.lay_over(&mut raw.sample_ratio, "telemetry.sample_ratio", [share], |text| {
        text.parse().map_err(|_| format!("`{text}` is not a number from 0 to 1"))
    });
    let (name, sampler) = variable("OTEL_TRACES_SAMPLER");
    // Its argument says the rest.
    let sampler = sampler.filter(|sampler| sampler != "parentbased_traceidratio");
    sources.lay_over(&mut raw.sample_ratio, "telemetry.sample_ratio", [(name, sampler)], |text| match text {
        "parentbased_always_on" => Ok(1.0),
        "parentbased_always_off" => Ok(0.0),
        other => Err(format!(
            "`{other}` is none of parentbased_traceidratio, parentbased_always_on and parentbased_always_off"
        )),
    });
    let disabled = variable("OTEL_SDK_DISABLED");
    sources.lay_over(&mut raw.disabled, "OTEL_SDK_DISABLED", [disabled], |text| Ok(text.eq_ignore_ascii_case("true")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn raw(endpoint: &str) -> RawTelemetryConfig {
        RawTelemetryConfig { otlp_endpoint: Some(endpoint.to_owned()), ..RawTelemetryConfig::default() }
    }

    #[test]
    fn nothing_is_sent_unless_an_endpoint_is_set() {
        assert!(TelemetryConfig::try_from(RawTelemetryConfig::default()).unwrap().otlp.is_none());
        assert!(TelemetryConfig::try_from(raw("")).unwrap().otlp.is_none());
        let disabled = RawTelemetryConfig { disabled: Some(true), ..raw("http://localhost:4318") };
        assert!(TelemetryConfig::try_from(disabled).unwrap().otlp.is_none());
        let otlp = TelemetryConfig::try_from(raw("http://localhost:4318/")).unwrap().otlp.unwrap();
        assert_eq!((otlp.endpoint.as_str(), otlp.service_name.as_str()), ("http://localhost:4318", "ticketing"));
    }

    #[test]
    fn invalid_telemetry_settings_are_refused() {
        for endpoint in ["localhost:4318", "ftp://localhost", "nonsense"] {
            assert!(TelemetryConfig::try_from(raw(endpoint)).is_err(), "{endpoint}");
        }
        assert!(TelemetryConfig::try_from(RawTelemetryConfig { sample_ratio: Some(1.5), ..raw("http://x") }).is_err());
        assert!(
            TelemetryConfig::try_from(RawTelemetryConfig { metrics_interval_ms: Some(1), ..raw("http://x") }).is_err()
        );
        let headers = BTreeMap::from([("not a name".to_owned(), Secret::new("x"))]);
        assert!(
            TelemetryConfig::try_from(RawTelemetryConfig { otlp_headers: Some(headers), ..raw("http://x") }).is_err()
        );
    }

    #[test]
    fn headers_are_read_as_the_standard_writes_them() {
        let read = headers("api-key=secret, tenant=a%2Cb,").unwrap();
        assert_eq!(read["api-key"].expose(), "secret");
        assert_eq!(read["tenant"].expose(), "a,b");
        assert!(headers("nonsense").is_err());
    }

    #[test]
    fn variables_beat_the_file_and_empty_ones_do_not() {
        let given = |variables: &[(&str, &str)]| {
            let all = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
            let (mut raw, mut sources) = (raw("http://file:4318"), Sources::new(None));
            lay_over(&mut raw, &mut Environment::read(all), &mut sources);
            sources.finish().map(|()| raw)
        };
        assert_eq!(given(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap().otlp_endpoint.unwrap(), "http://file:4318");
        let set = given(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://variable:4318"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ]);
        let set = set.unwrap();
        assert_eq!((set.otlp_endpoint.unwrap().as_str(), set.sample_ratio), ("http://variable:4318", Some(0.25)));
        assert_eq!(given(&[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]).unwrap().sample_ratio, Some(0.0));
        assert_eq!(given(&[("OTEL_SDK_DISABLED", "true")]).unwrap().disabled, Some(true));
        for wrong in [("OTEL_TRACES_SAMPLER", "jaeger_remote"), ("OTEL_TRACES_SAMPLER_ARG", "half")] {
            let problem = given(&[wrong]).unwrap_err().to_string();
            assert!(problem.contains(wrong.0), "{problem}");
        }
    }
}
