//! The plugin file that a command takes: a file of this machine, or one in a registry.

use super::{failure::Failure, files};
use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser, ValueParserFactory};
use host_oci::{Location, SCHEME};
use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

/// The place of a plugin file.
#[derive(Debug, Clone)]
pub(crate) enum PluginFile {
    Local(PathBuf),
    Registry(Location),
}

/// The content of a plugin file.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// The text of its minisign signature.
    pub(crate) signature: Option<String>,
}

impl PluginFile {
    /// Reads an argument of a command, or an entry of a file.
    pub(crate) fn parse(argument: OsString) -> Result<Self, String> {
        match argument.to_str().filter(|text| text.starts_with(SCHEME)) {
            Some(text) => text.parse().map(Self::Registry),
            None => Ok(Self::Local(argument.into())),
        }
    }

    /// The path, if the file is on this machine.
    pub(crate) fn local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Registry(_) => None,
        }
    }

    /// Reads the file with its signature: the one in `signature`, or else the one that is kept
    /// with the file. A file of this machine has it in a file beside it, whose name ends in
    /// `.minisig`.
    pub(super) async fn read_signed(&self, signature: Option<&Path>) -> Result<Content, Failure> {
        let beside = self.local().map(signature_beside).filter(|beside| beside.is_file());
        let mut content = self.read().await?;
        if let Some(signature) = signature.or(beside.as_deref()) {
            content.signature = Some(files::text(signature)?);
        }
        Ok(content)
    }

    /// Reads the file, or fetches it.
    pub(crate) async fn read(&self) -> Result<Content, Failure> {
        match self {
            Self::Local(path) => Ok(Content { bytes: files::plugin(path)?, signature: None }),
            Self::Registry(location) => {
                let pulled = location.pull().await?;
                Ok(Content { bytes: pulled.bytes, signature: pulled.signature })
            }
        }
    }
}

/// An argument of this type is a path, or a place that begins with `oci://`.
impl ValueParserFactory for PluginFile {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        ValueParser::new(OsStringValueParser::new().try_map(Self::parse))
    }
}

impl fmt::Display for PluginFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Registry(location) => location.fmt(f),
        }
    }
}

/// The file with the signature of a plugin file.
pub(super) fn signature_beside(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".minisig");
    name.into()
}
