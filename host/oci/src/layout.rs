//! The parts of a plugin in a registry: a manifest of OCI, a description, and the file.
//!
//! This is the layout of
//! <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>, which `wkg` and
//! wasmCloud use. A signature of the file is an annotation of the manifest. The parts
//! have no time of their own, so the same file always has the same digest.

use host_artifact::{Artifact, InterfaceNames};
use host_config::uploads::MAX_ARTIFACT_BYTES;
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";
/// The text of a minisign signature of the file.
const SIGNATURE: &str = "org.ticketing.plugin.minisig";

/// The bytes of a plugin's parts.
pub(crate) struct Parts {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    pub(crate) file: Vec<u8>,
}

/// The file that a manifest names.
#[derive(Debug)]
pub(crate) struct Layer<'a> {
    pub(crate) descriptor: &'a OciDescriptor,
    pub(crate) bytes: usize,
    pub(crate) signature: Option<String>,
}

/// The description of a component.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    architecture: &'a str,
    os: &'a str,
    layer_digests: [&'a str; 1],
    component: Component,
}

#[derive(Serialize)]
struct Component {
    exports: Vec<String>,
    imports: Vec<String>,
}

impl Parts {
    /// Makes the parts of a plugin file.
    ///
    /// # Errors
    /// The file is no plugin, in words for people.
    pub(crate) fn of(file: Vec<u8>, signature: Option<String>) -> Result<Self, String> {
        let Artifact { manifest, bytes, .. } = Artifact::parse(file, None).map_err(|error| error.to_string())?;
        let InterfaceNames { imports, exports } = InterfaceNames::of(&bytes).map_err(|error| error.to_string())?;
        let layer = descriptor(LAYER_TYPE, &bytes);
        let config = Config {
            created: "1970-01-01T00:00:00Z",
            architecture: "wasm",
            os: "wasip2",
            layer_digests: [&layer.digest],
            component: Component { exports, imports },
        };
        let config = serde_json::to_vec(&config).map_err(|error| error.to_string())?;
        let mut annotations = BTreeMap::from([
            (TITLE.to_owned(), manifest.name.clone()),
            (VERSION.to_owned(), manifest.version.to_string()),
        ]);
        annotations.extend(signature.map(|signature| (SIGNATURE.to_owned(), signature)));
        let manifest = OciImageManifest {
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config: descriptor(CONFIG_TYPE, &config),
            layers: vec![layer],
            annotations: Some(annotations),
            ..OciImageManifest::default()
        };
        let manifest = serde_json::to_vec(&manifest).map_err(|error| error.to_string())?;
        Ok(Self { manifest, config, file: bytes })
    }
}

impl<'a> Layer<'a> {
    /// Finds the plugin file of a manifest.
    ///
    /// # Errors
    /// The manifest is that of something else, in words for people.
    pub(crate) fn of(manifest: &'a OciImageManifest) -> Result<Self, String> {
        let [descriptor] = &manifest.layers[..] else {
            return Err(format!("it has {} files, and a plugin is one file", manifest.layers.len()));
        };
        if descriptor.media_type != LAYER_TYPE {
            return Err(format!("its file is of the type {}, and a plugin is {LAYER_TYPE}", descriptor.media_type));
        }
        let bytes = usize::try_from(descriptor.size).ok().filter(|bytes| *bytes <= MAX_ARTIFACT_BYTES);
        let bytes = bytes.ok_or_else(|| {
            format!("its file has {} bytes, and a host accepts at most {MAX_ARTIFACT_BYTES}", descriptor.size)
        })?;
        let signature = manifest.annotations.as_ref().and_then(|annotations| annotations.get(SIGNATURE).cloned());
        Ok(Self { descriptor, bytes, signature })
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest(bytes),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    }
}

/// The digest of bytes, as OCI writes it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(layers: &[(&str, i64)]) -> OciImageManifest {
        let layer = |(media_type, size): &(&str, i64)| OciDescriptor {
            media_type: (*media_type).to_owned(),
            size: *size,
            ..OciDescriptor::default()
        };
        OciImageManifest { layers: layers.iter().map(layer).collect(), ..OciImageManifest::default() }
    }

    #[test]
    fn a_plugin_is_one_file_of_webassembly_that_a_host_accepts() {
        let refusal = |layers: &[(&str, i64)]| Layer::of(&manifest(layers)).unwrap_err();
        assert_eq!(Layer::of(&manifest(&[(LAYER_TYPE, 7)])).unwrap().bytes, 7);
        assert!(refusal(&[]).contains("0 files"));
        assert!(refusal(&[(LAYER_TYPE, 1), (LAYER_TYPE, 1)]).contains("2 files"));
        assert!(refusal(&[("application/vnd.oci.image.layer.v1.tar+gzip", 1)]).contains("tar+gzip"));
        assert!(refusal(&[(LAYER_TYPE, MAX_ARTIFACT_BYTES as i64 + 1)]).contains("at most"));
        assert!(refusal(&[(LAYER_TYPE, -1)]).contains("-1 bytes"));
    }

    #[test]
    fn only_a_plugin_file_has_parts() {
        let refused = |bytes: &[u8]| Parts::of(bytes.to_vec(), None).err().unwrap();
        assert!(!refused(b"no wasm").is_empty());
        assert!(refused(b"\0asm\x01\0\0\0").contains("ticketing plugin pack"), "a core module");
    }
}
