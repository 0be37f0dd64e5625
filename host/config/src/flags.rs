//! The flags of the commands that read the settings, as they are typed.

use clap::Args;
use std::path::PathBuf;

/// Settings as flags. One that is given beats the environment, which beats the
/// file, which beats the default.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// The TOML file with every setting [env: TICKETING_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where the plugins are served: `ADDRESS:PORT`, `unix:/PATH`, or `systemd` for a socket that systemd has opened
    /// [env: TICKETING_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,

    /// The certificate of the listener, in PEM; with it, the listener speaks TLS [env: TICKETING_TLS_CERTIFICATE]
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<String>,

    /// The key of the certificate, in PEM [env: TICKETING_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,

    /// Where operators are served [env: TICKETING_ADMIN_LISTEN] [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin_listen: Option<String>,

    /// Where everything durable lies [env: TICKETING_DATA_DIR] [default: ./data]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,

    /// What is logged, such as `info` or `warn,ticketing=debug` [env: TICKETING_LOG] [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,

    /// `text` or `json` [env: TICKETING_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// Built-in plugins to load: `true`, `false` or names joined by commas [default: true]
    #[arg(long, value_name = "NAMES")]
    pub bundled: Option<String>,

    /// One more plugin to load; may be repeated
    #[arg(long = "plugin", value_name = "FILE")]
    pub plugins: Vec<PathBuf>,

    /// A setting that a plugin declares; may be repeated
    #[arg(
        long = "set",
        help = "A setting that a plugin declares; may be repeated [env: TICKETING_<KEY>]",
        value_name = "PLUGIN.KEY=VALUE"
    )]
    pub set: Vec<String>,
}
