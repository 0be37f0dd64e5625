//! Settings: raw flags, environment and TOML become valid values, once, at the
//! start. Nothing else in the host reads the environment.
//!
//! A flag beats the environment, which beats the file, which beats the
//! default. A setting that is unknown or malformed stops the start with a
//! message that names it and its source, and with [`EXIT_CODE`].

pub mod cluster;
mod config_key;
pub mod engine;
mod environment;
pub mod flags;
pub mod http;
pub mod identity;
pub mod limits;
pub mod listen;
pub mod log;
pub mod messaging;
pub mod nats;
pub mod offer;
pub mod operator;
pub mod payments;
pub mod plugins;
mod problem;
pub mod quotas;
pub mod rate;
pub mod rate_limits;
pub mod rollout;
pub mod signature;
pub mod store;
pub mod telemetry;
pub mod uploads;

pub use problem::{ConfigError, EXIT_CODE, Invalid};

pub use flags::Flags;

use environment::Environment;
use host_base::{Secret, secret};
use problem::Sources;
use serde::Deserialize;
use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

const DEFAULT_DATA_DIR: &str = "./data";

/// Every setting, valid.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything durable lies.
    pub data_dir: PathBuf,
    /// The public listener.
    pub http: http::HttpConfig,
    /// The operator listener.
    pub operator: operator::OperatorConfig,
    /// The WebAssembly engine.
    pub engine: engine::EngineConfig,
    /// The components' databases.
    pub store: store::StoreConfig,
    /// What plugins may occupy on disk.
    pub quotas: quotas::QuotasConfig,
    /// Events and timers.
    pub messaging: messaging::MessagingConfig,
    /// Passwords and sessions.
    pub identity: identity::IdentityConfig,
    /// The payment provider.
    pub payments: payments::PaymentsConfig,
    /// Which plugins, and their settings.
    pub plugins: plugins::PluginsConfig,
    /// How new revisions are watched.
    pub rollout: rollout::RolloutConfig,
    /// Plugins that operators send.
    pub uploads: uploads::UploadsConfig,
    /// This host among others.
    pub cluster: cluster::ClusterConfig,
    /// The log.
    pub log: log::LogConfig,
    /// How often one visitor may ask.
    pub rate_limits: rate_limits::RateLimitsConfig,
    /// What is sent to a collector.
    pub telemetry: telemetry::TelemetryConfig,
    /// What is allowed but unwise, to be logged.
    pub warnings: Vec<String>,
}

/// The secrets that the host runs with, set or generated.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The operator listener's bearer token.
    pub admin_token: Secret,
    /// What signs sessions.
    pub jwt_key: Secret,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    data_dir: Option<PathBuf>,
    bundled: Option<plugins::Bundled>,
    plugin: Vec<plugins::ExtraPlugin>,
    plugins: plugins::RawOverrides,
    http: http::RawHttpConfig,
    operator: operator::RawOperatorConfig,
    engine: engine::RawEngineConfig,
    store: store::RawStoreConfig,
    quotas: quotas::RawQuotasConfig,
    messaging: messaging::RawMessagingConfig,
    identity: identity::RawIdentityConfig,
    payments: payments::RawPaymentsConfig,
    rollout: rollout::RawRolloutConfig,
    uploads: uploads::RawUploadsConfig,
    cluster: cluster::RawClusterConfig,
    log: log::RawLogConfig,
    rate_limits: rate_limits::RawRateLimitsConfig,
    telemetry: telemetry::RawTelemetryConfig,
}

impl Config {
    /// Puts the settings together and validates them. Touches no file but the
    /// one with the settings.
    ///
    /// # Errors
    /// Names every setting that is wrong, and its source.
    pub fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut environment = Environment::read(environment);
        let path = match environment.take("TICKETING_CONFIG").map(PathBuf::from) {
            path if flags.config.is_none() => path,
            _ => flags.config.clone(),
        };
        let raw = path.as_deref().map_or(Ok(RawConfig::default()), read)?;
        let file = path.map(|path| path.display().to_string());
        let mut sources = Sources::new(file.clone());
        for name in &environment.not_text {
            sources.problem(format!("{name}: its value is not UTF-8"));
        }
        let mut raw = lay_over(raw, &mut environment, flags, &mut sources);
        telemetry::lay_over(&mut raw.telemetry, &mut environment, &mut sources);

        let mut extra = raw.plugin;
        extra.extend(flags.plugins.iter().map(|path| plugins::ExtraPlugin { path: path.clone(), grants: None }));
        let plugins = sources.section(plugins::RawPluginsConfig {
            file: file.unwrap_or_default(),
            bundled: raw.bundled,
            extra,
            overrides: raw.plugins,
            set: flags.set.clone(),
            environment: environment.into_rest(),
        });
        let http = sources.section(raw.http);
        let operator = sources.section(raw.operator);
        let engine = sources.section(raw.engine);
        let store: Option<store::StoreConfig> = sources.section(raw.store);
        let quotas = sources.section(raw.quotas);
        let messaging: Option<messaging::MessagingConfig> = sources.section(raw.messaging);
        let identity: Option<identity::IdentityConfig> = sources.section(raw.identity);
        let payments = sources.section(raw.payments);
        let rollout = sources.section(raw.rollout);
        let uploads = sources.section(raw.uploads);
        let cluster = sources.section(raw.cluster);
        let log = sources.section(raw.log);
        let rate_limits = sources.section(raw.rate_limits);
        let telemetry = sources.section(raw.telemetry);
        if let (Some(store), Some(messaging), Some(identity)) = (&store, &messaging, &identity)
            && store.database_url.is_some()
            && messaging.nats.is_some()
            && identity.jwt_key.is_none()
        {
            let problem = "JWT_KEY (identity.jwt_key): hosts that share PostgreSQL and NATS sign sessions with the same key; set it for each";
            sources.problem(problem.to_owned());
        }
        sources.finish()?;

        let whole = move || {
            let mut config = Self {
                data_dir: raw.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
                http: http?,
                operator: operator?,
                engine: engine?,
                store: store?,
                quotas: quotas?,
                messaging: messaging?,
                identity: identity?,
                payments: payments?,
                plugins: plugins?,
                rollout: rollout?,
                uploads: uploads?,
                cluster: cluster?,
                log: log?,
                rate_limits: rate_limits?,
                telemetry: telemetry?,
                warnings: Vec::new(),
            };
            config.warnings = config.weaknesses();
            Some(config)
        };
        whole().ok_or_else(|| ConfigError::new("a section is missing"))
    }

    /// Makes the secrets that nobody has set, and reads those that an earlier
    /// start has made. They lie in the data directory, which exists.
    ///
    /// # Errors
    /// Names the file that cannot be made, read or trusted.
    pub fn secrets(&self) -> Result<Secrets, ConfigError> {
        let problem = |path: &Path| {
            let path = path.display().to_string();
            move |error| ConfigError::new(format!("{path}: {error}"))
        };
        let secret = |set: &Option<Secret>, path: PathBuf| match set {
            Some(secret) => Ok(secret.clone()),
            None => secret::load_or_generate(&path).map_err(problem(&path)),
        };
        let key_path = self.data_dir.join("jwt-key");
        let jwt_key = secret(&self.identity.jwt_key, key_path.clone())?;
        if let Some(problem) = identity::key_weakness(&jwt_key) {
            let path = key_path.display();
            let problem = format!("{path}: {problem}; remove the file to have a new key generated");
            return Err(ConfigError::new(problem));
        }
        Ok(Secrets { admin_token: secret(&self.operator.token, self.admin_token_path())?, jwt_key })
    }

    /// Where a generated operator token lies.
    pub fn admin_token_path(&self) -> PathBuf {
        self.data_dir.join("admin-token")
    }

    /// Where compiled plugins lie.
    pub fn cache_dir(&self) -> PathBuf {
        match &self.engine.cache_dir {
            Some(folder) => folder.clone(),
            None => self.data_dir.join("cache"),
        }
    }

    fn weaknesses(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(token) = &self.operator.token
            && token.expose().len() < operator::RECOMMENDED_TOKEN_BYTES
        {
            warnings.push(format!(
                "the operator token (operator.token) has fewer than {} bytes and can be guessed",
                operator::RECOMMENDED_TOKEN_BYTES
            ));
        }
        if let payments::ProviderConfig::Stripe(stripe) = &self.payments.provider
            && stripe.is_test()
        {
            warnings.push("the key of Stripe (payments.stripe.key) is of its test mode: no money moves".to_owned());
        }
        warnings
    }
}

/// Lays the environment over the file, and the flags over both.
fn lay_over(mut raw: RawConfig, environment: &mut Environment, flags: &Flags, sources: &mut Sources) -> RawConfig {
    let mut variable = |name: &'static str| (name, environment.take(name));
    let flag = |name: &'static str, value: &Option<String>| (name, value.clone());
    sources.lay_over(
        &mut raw.http.listen,
        "http.listen",
        [variable("TICKETING_LISTEN"), flag("--listen", &flags.listen)],
        listen::Listen::from_str,
    );
    sources.lay_over(
        &mut raw.http.tls_certificate,
        "http.tls_certificate",
        [variable("TICKETING_TLS_CERTIFICATE"), flag("--tls-certificate", &flags.tls_certificate)],
        file,
    );
    sources.lay_over(
        &mut raw.http.tls_key,
        "http.tls_key",
        [variable("TICKETING_TLS_KEY"), flag("--tls-key", &flags.tls_key)],
        file,
    );
    sources.lay_over(
        &mut raw.operator.listen,
        "operator.listen",
        [variable("TICKETING_ADMIN_LISTEN"), flag("--admin-listen", &flags.admin_listen)],
        address,
    );
    sources.lay_over(&mut raw.operator.token, "operator.token", [variable("TICKETING_ADMIN_TOKEN")], |text| {
        Ok(Secret::new(text))
    });
    sources.lay_over(&mut raw.store.database_url, "store.database_url", [variable("TICKETING_DATABASE_URL")], |text| {
        Ok(Secret::new(text))
    });
    sources
        .lay_over(&mut raw.identity.jwt_key, "identity.jwt_key", [variable("JWT_KEY")], |text| Ok(Secret::new(text)));
    sources.lay_over(&mut raw.payments.stripe.key, payments::STRIPE_KEY, [variable("STRIPE_KEY")], |text| {
        Ok(Secret::new(text))
    });
    sources.lay_over(&mut raw.messaging.nats_url, "messaging.nats_url", [variable("TICKETING_NATS_URL")], |text| {
        Ok(Secret::new(text))
    });
    sources.lay_over(
        &mut raw.log.filter,
        "log.filter",
        [variable("TICKETING_LOG"), flag("--log", &flags.log)],
        |text| Ok(text.to_owned()),
    );
    sources.lay_over(
        &mut raw.log.format,
        "log.format",
        [variable("TICKETING_LOG_FORMAT"), flag("--log-format", &flags.log_format)],
        |text| log::LogFormat::from_str(text).map_err(|reason| format!("`{text}`: {reason}")),
    );
    sources.lay_over(
        &mut raw.rate_limits.enabled,
        "rate_limits.enabled",
        [variable("TICKETING_RATE_LIMITS")],
        rate_limits::is_on,
    );
    sources
        .lay_over(&mut raw.cluster.name, "cluster.name", [variable("TICKETING_HOST_NAME")], |text| Ok(text.to_owned()));
    sources.lay_over(&mut raw.bundled, "bundled", [flag("--bundled", &flags.bundled)], |text| {
        Ok(plugins::Bundled::from_text(text))
    });
    sources.lay_over(&mut raw.data_dir, "data_dir", [variable("TICKETING_DATA_DIR")], file);
    raw.data_dir = flags.data_dir.clone().or(raw.data_dir);
    raw
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address with a port, such as 127.0.0.1:8080"))
}

fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn read(path: &Path) -> Result<RawConfig, ConfigError> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| ConfigError::new(format!("{shown}: {error}")))?;
    let wrong = |setting: String, error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        ConfigError::new(format!("{shown} line {line}{setting}: {}", error.message()))
    };
    let document = toml::Deserializer::parse(&text).map_err(|error| wrong(String::new(), &error))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let setting = match error.path().to_string().as_str() {
            "." => String::new(),
            path => format!(" ({path})"),
        };
        wrong(setting, error.inner())
    })
}

#[cfg(test)]
mod tests;
