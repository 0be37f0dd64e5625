//! `publish` and `pull`: they move plugin files to and from an OCI registry.

use super::{
    failure::Failure,
    files,
    output::{Output, size},
    plugin_file::{Content, PluginFile, signature_beside},
};
use clap::Args;
use host_oci::Location;
use serde::Serialize;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// Stores a plugin file in an OCI registry, such as ghcr.io.
///
/// The file gets the layout that wkg and wasmCloud use. The credentials are those of `docker login`. The command prints
/// the place with the digest, which never names another file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin publish hello.wasm oci://ghcr.io/me/hello:1.0.0
  ticketing plugin publish hello.wasm oci://localhost:5000/hello:dev
  ticketing plugin push oci://ghcr.io/me/hello:1.0.0 --activate    give it to a host")]
pub(super) struct Publish {
    /// The plugin file
    file: PathBuf,
    /// The place: oci://REGISTRY/REPOSITORY:TAG
    place: Location,
    /// A minisign signature of the file, which is stored with it [default: FILE.minisig if it exists]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

/// Fetches a plugin file from an OCI registry.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin pull oci://ghcr.io/me/hello:1.0.0
  ticketing plugin pull oci://ghcr.io/me/hello@sha256:DIGEST -o hello.wasm")]
pub(super) struct Pull {
    /// The place: oci://REGISTRY/REPOSITORY:TAG, or oci://REGISTRY/REPOSITORY@sha256:DIGEST
    place: Location,
    /// The file to write [default: the last part of REPOSITORY, with .wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A plugin in a registry.
#[derive(Serialize)]
struct Published {
    /// The place, with the digest.
    place: String,
}

/// A plugin of a registry in a file.
#[derive(Serialize)]
struct Fetched {
    /// The place, with the digest.
    place: String,
    file: PathBuf,
    bytes: usize,
    /// The file with the signature, if there is one.
    signature: Option<PathBuf>,
}

impl Publish {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let Content { bytes, signature } = PluginFile::Local(self.file).read_signed(self.signature.as_deref()).await?;
        let place = self.place.publish(bytes, signature).await?;
        output.value(&Published { place: place.to_string() })
    }
}

impl Pull {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let pulled = self.place.pull().await?;
        let file = self.output.unwrap_or_else(|| PathBuf::from(format!("{}.wasm", self.place.name())));
        write(&file, &pulled.bytes)?;
        let signature = pulled.signature.map(|text| {
            let beside = signature_beside(&file);
            write(&beside, text.as_bytes()).map(|()| beside)
        });
        let place = self.place.with_digest(pulled.digest).to_string();
        output.value(&Fetched { place, bytes: pulled.bytes.len(), signature: signature.transpose()?, file })
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(file, bytes).map_err(|error| files::file_failure(file, &error))
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is in {} ({})", self.place, self.file.display(), size(self.bytes))?;
        match &self.signature {
            Some(signature) => write!(f, "\nits signature is in {}", signature.display()),
            None => Ok(()),
        }
    }
}
