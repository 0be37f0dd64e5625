//! `push` and `diff`: they upload a file and print the host's verdict on it.

use super::{
    client::{Answer, Client},
    failure::Failure,
    files,
    output::Output,
    plugin_file::{Content, PluginFile},
    rollout::{self, Swap},
    views::{SwapText, VerdictText},
};
use bytes::Bytes;
use clap::Args;
use futures::stream;
use host_api::{plugins::RegistryUpload, verdict::Verdict};
use http::{Method, header::CONTENT_LENGTH, header::CONTENT_TYPE};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{
    Body, RequestBuilder,
    multipart::{Form, Part},
};
use std::{path::PathBuf, time::Duration};

const WASM: &str = "application/wasm";
/// The bytes that are sent, and shown as sent, at a time.
const CHUNK_BYTES: usize = 64 << 10;
const DRY_RUN: (&str, &str) = ("dry_run", "true");

/// Uploads a plugin; with --activate, swaps it in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin push hello.wasm                      upload, and show what would change
  ticketing plugin push hello.wasm --activate           upload, and swap it in
  ticketing plugin push hello.wasm --canary 10          upload, and give it 10% of the requests
  ticketing plugin push oci://ghcr.io/me/hello:1.0.0    the file is in a registry, see `publish`
  ticketing plugin push oci://ghcr.io/me/hello:1.0.0 --by-host hello
  ticketing plugin push page.wasm --manifest page.toml  a component without a manifest
  ticketing plugin push hello.wasm --json | jq .revision")]
pub(super) struct Push {
    #[command(flatten)]
    upload: Upload,
    /// Swap it in
    #[arg(long)]
    activate: bool,
    #[command(flatten)]
    swap: Swap,
}

/// Shows what the activation of a file would change; the host keeps nothing.
///
/// The exit code is 6 if the file is not compatible with the active revision.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin diff hello.wasm
  ticketing plugin diff hello.wasm && ticketing plugin push hello.wasm --activate")]
pub(super) struct Diff {
    #[command(flatten)]
    upload: Upload,
}

/// A file with its manifest and its signature.
#[derive(Debug, Clone, Args)]
pub(crate) struct Upload {
    /// The plugin file, or its place in a registry: oci://REGISTRY/REPOSITORY:TAG
    pub(super) file: PluginFile,
    /// Let the host fetch the file of the plugin NAME from the registry; its policy must allow that
    #[arg(long, value_name = "NAME", conflicts_with_all = ["manifest", "signature"])]
    by_host: Option<String>,
    /// A plugin.toml that replaces the manifest in the file
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// A minisign signature of the file [default: FILE.minisig if it exists, or the one in the registry]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

impl Push {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let answer = self.upload.send(client, false).await?;
        output.answer::<VerdictText>(&answer)?;
        if !self.activate && self.swap.canary.is_none() {
            return Ok(());
        }
        let verdict: Verdict = answer.read()?;
        let report = rollout::activate(client, &verdict.plugin, &verdict.revision, &self.swap).await?;
        output.answer::<SwapText>(&report)
    }
}

impl Diff {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let answer = self.upload.send(client, true).await?;
        output.answer::<VerdictText>(&answer)?;
        answer.read::<VerdictText>()?.require_compatible()
    }
}

impl Upload {
    /// A file with the manifest in it, and with the signature beside it if there is one.
    pub(crate) fn of(file: PluginFile) -> Self {
        Self { file, by_host: None, manifest: None, signature: None }
    }

    /// Sends the file with its manifest and signature, and returns the verdict.
    pub(crate) async fn send(&self, client: &Client, is_dry_run: bool) -> Result<Answer, Failure> {
        if let Some(name) = &self.by_host {
            return self.send_place(client, name, is_dry_run).await;
        }
        let Content { bytes, signature } = self.file.read_signed(self.signature.as_deref()).await?;
        let bytes = Bytes::from(bytes);
        let manifest = self.manifest.as_deref().map(files::text).transpose()?;
        let query = is_dry_run.then_some(DRY_RUN);
        let request = client.request_with(Method::POST, &["plugins"], query.as_slice())?;
        let progress = progress(bytes.len() as u64);
        let request = if manifest.is_none() && signature.is_none() {
            as_body(request, bytes, &progress)
        } else {
            as_form(request, bytes, manifest, signature, &progress)?
        };
        let answer = client.send(request).await;
        progress.finish_and_clear();
        answer
    }

    /// Tells the host where the file is.
    async fn send_place(&self, client: &Client, name: &str, is_dry_run: bool) -> Result<Answer, Failure> {
        let PluginFile::Registry(place) = &self.file else {
            return Err(Failure::Usage(format!("{} is no place in a registry; leave out --by-host", self.file)));
        };
        let query: Vec<_> = [("name", name)].into_iter().chain(is_dry_run.then_some(DRY_RUN)).collect();
        let request = client.request_with(Method::POST, &["plugins"], &query)?;
        client.send(request.json(&RegistryUpload { place: place.to_string() })).await
    }
}

fn as_body(request: RequestBuilder, bytes: Bytes, progress: &ProgressBar) -> RequestBuilder {
    let length = bytes.len();
    request.header(CONTENT_TYPE, WASM).header(CONTENT_LENGTH, length).body(body(bytes, progress))
}

fn as_form(
    request: RequestBuilder,
    bytes: Bytes,
    manifest: Option<String>,
    signature: Option<String>,
    progress: &ProgressBar,
) -> Result<RequestBuilder, Failure> {
    let length = bytes.len() as u64;
    let component = Part::stream_with_length(body(bytes, progress), length)
        .file_name("component.wasm")
        .mime_str(WASM)
        .map_err(|error| Failure::Failed(error.to_string()))?;
    // The small parts come first, so that a host can refuse before it has read the file.
    let mut form = Form::new();
    for (name, text) in [("manifest", manifest), ("signature", signature)] {
        if let Some(text) = text {
            form = form.text(name, text);
        }
    }
    Ok(request.multipart(form.part("component", component)))
}

/// The bytes as a stream that moves the progress bar.
fn body(bytes: Bytes, progress: &ProgressBar) -> Body {
    let progress = progress.clone();
    Body::wrap_stream(stream::unfold(bytes, move |mut rest| {
        let progress = progress.clone();
        async move {
            if rest.is_empty() {
                return None;
            }
            let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
            progress.inc(chunk.len() as u64);
            if rest.is_empty() {
                progress.set_message("compiling");
            }
            Some((Ok::<_, std::convert::Infallible>(chunk), rest))
        }
    }))
}

/// A progress bar on the error stream, if that is a terminal.
fn progress(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style = ProgressStyle::with_template("{spinner} {bar:30} {bytes}/{total_bytes} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
