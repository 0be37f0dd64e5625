//! Plugin files in an OCI registry.
//!
//! A registry on this machine (`localhost` or a loopback address) is asked without TLS, as
//! Docker does it. Every other one is asked with TLS.

mod credentials;
mod error;
mod layout;

pub use error::OciError;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use host_artifact::policy::is_registry_host;
use http::HeaderValue;
use layout::{Layer, Parts};
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::OCI_IMAGE_MEDIA_TYPE,
    secrets::RegistryAuth,
};
use std::{fmt, net::Ipv4Addr, str::FromStr, time::Duration};

/// The beginning of a place in a registry.
pub const SCHEME: &str = "oci://";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time without a byte from the registry.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A place in a registry: `oci://REGISTRY/REPOSITORY`, with `:TAG` or `@sha256:DIGEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(Reference);

/// A plugin file that a registry sends.
pub struct Sent<S> {
    /// The bytes of the file. The stream ends with an error if they are not those that the
    /// manifest names.
    pub bytes: S,
    /// The text of its minisign signature, if it was published with one.
    pub signature: Option<String>,
    /// The digest of the manifest.
    pub digest: String,
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = "write oci://REGISTRY/REPOSITORY:TAG or oci://REGISTRY/REPOSITORY@sha256:DIGEST";
        let place = text.strip_prefix(SCHEME).ok_or_else(|| format!("{text} is no place in a registry; {advice}"))?;
        // Without this, a name without a registry would be one of Docker's own.
        let registry = place.split('/').next().unwrap_or_default();
        if !place.contains('/') || !is_registry_host(registry) {
            return Err(format!("{text} names no registry; {advice}"));
        }
        place.parse().map(Self).map_err(|error| format!("{text}: {error}; {advice}"))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0)
    }
}

impl Location {
    /// The same place with the digest of a manifest in place of the tag.
    pub fn with_digest(&self, digest: String) -> Self {
        Self(Reference::with_digest(self.0.registry().to_owned(), self.0.repository().to_owned(), digest))
    }

    /// Whether the place always has the same file.
    pub fn is_by_digest(&self) -> bool {
        self.0.digest().is_some()
    }

    /// The last part of the repository's name.
    pub fn name(&self) -> &str {
        self.0.repository().rsplit('/').next().unwrap_or_default()
    }

    /// Whether the place is in one of these registries or repositories, such as `ghcr.io/me`.
    pub fn is_below<'a>(&self, mut prefixes: impl Iterator<Item = &'a str>) -> bool {
        let place = self.repository();
        prefixes.any(|prefix| place.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// Registry and repository, without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.0.registry(), self.0.repository())
    }

    /// Asks for the plugin file.
    ///
    /// # Errors
    /// The registry does not send it, or it is no plugin.
    pub async fn open(&self) -> Result<Sent<BoxStream<'static, Result<Bytes, OciError>>>, OciError> {
        let (client, credentials) = (self.client(), credentials::of(self.0.resolve_registry())?);
        let fetched = client.pull_image_manifest(&self.0, &credentials).await;
        let (manifest, digest) = fetched.map_err(|error| self.error(&error))?;
        let layer = Layer::of(&manifest).map_err(|problem| self.no_plugin(&problem))?;
        let sent = client.pull_blob_stream(&self.0, layer.descriptor).await.map_err(|error| self.error(&error))?;
        // The library compares the digest at the end of the stream.
        let (place, size, mut received) = (self.clone(), layer.bytes, 0);
        let bytes = sent.stream.map(move |bytes| {
            let bytes = bytes.map_err(|error| OciError::broken_off(&error, &place))?;
            received += bytes.len();
            match received > size {
                true => Err(place.no_plugin(&format!("the registry sends more than the {size} bytes of its manifest"))),
                false => Ok(bytes),
            }
        });
        Ok(Sent { bytes: bytes.boxed(), signature: layer.signature, digest })
    }

    /// Fetches the whole plugin file.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn pull(&self) -> Result<Sent<Vec<u8>>, OciError> {
        let Sent { bytes, signature, digest } = self.open().await?;
        let bytes = bytes.try_fold(Vec::new(), async |mut bytes, more| {
            bytes.extend_from_slice(&more);
            Ok(bytes)
        });
        Ok(Sent { bytes: bytes.await?, signature, digest })
    }

    /// Stores a plugin file under the tag of this place. Returns the place by digest.
    ///
    /// # Errors
    /// The file is no plugin, or the registry does not take it.
    pub async fn publish(&self, file: Vec<u8>, signature: Option<String>) -> Result<Self, OciError> {
        if self.is_by_digest() {
            return Err(OciError::Misused(format!(
                "{self}: a plugin is published under a tag; replace the digest by :TAG"
            )));
        }
        let Parts { manifest, config, file } = Parts::of(file, signature).map_err(OciError::Failed)?;
        let (client, credentials) = (self.client(), credentials::of(self.0.resolve_registry())?);
        let pushed = self.push(&client, &credentials, [file, config], manifest.clone()).await;
        pushed.map_err(|error| self.error(&error))?;
        Ok(self.with_digest(layout::digest(&manifest)))
    }

    async fn push(
        &self,
        client: &Client,
        credentials: &RegistryAuth,
        blobs: [Vec<u8>; 2],
        manifest: Vec<u8>,
    ) -> Result<(), OciDistributionError> {
        client.auth(&self.0, credentials, RegistryOperation::Push).await?;
        for blob in blobs {
            let digest = layout::digest(&blob);
            if !client.blob_exists(&self.0, &digest).await? {
                client.push_blob(&self.0, blob, &digest).await?;
            }
        }
        client.push_manifest_raw(&self.0, manifest, HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE)).await?;
        Ok(())
    }

    fn client(&self) -> Client {
        let registry = self.0.resolve_registry();
        let protocol = if is_on_this_machine(registry) { ClientProtocol::Http } else { ClientProtocol::Https };
        Client::new(ClientConfig {
            protocol,
            // A plugin is the same for every platform.
            platform_resolver: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: concat!("ticketing/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        })
    }

    fn no_plugin(&self, problem: &str) -> OciError {
        OciError::Failed(format!("{self} is no plugin: {problem}"))
    }

    fn error(&self, error: &OciDistributionError) -> OciError {
        OciError::of(error, self.0.resolve_registry(), self)
    }
}

fn is_on_this_machine(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_its_registry() {
        for text in ["oci://localhost:5000/hello:1.0", "oci://ghcr.io/me/plugins/hello:latest"] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), text);
        }
        assert_eq!("oci://ghcr.io/me/hello".parse::<Location>().unwrap().to_string(), "oci://ghcr.io/me/hello:latest");
        for (text, problem) in [
            ("ghcr.io/me/hello:1.0", "is no place"),
            ("https://ghcr.io/me/hello:1.0", "is no place"),
            ("oci://hello:1.0", "names no registry"),
            ("oci://me/hello:1.0", "names no registry"),
            ("oci://ghcr.io", "names no registry"),
            ("oci://ghcr.io/Me/hello", "invalid reference"),
            ("oci://ghcr.io/me/hello@sha256:12", "invalid"),
            ("oci://ghcr.io/me/hello: x", "invalid"),
            ("oci://[::1]:5000/hello:1.0", "invalid"),
        ] {
            let refused = text.parse::<Location>().unwrap_err();
            assert!(refused.contains(problem) && refused.contains("oci://REGISTRY/REPOSITORY:TAG"), "{refused}");
        }
    }

    #[test]
    fn only_a_registry_on_this_machine_is_asked_without_tls() {
        for registry in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9"] {
            assert!(is_on_this_machine(registry), "{registry}");
        }
        for registry in ["ghcr.io", "localhost.example.com", "10.0.0.1:5000", "127.0.0.1.example.com:80"] {
            assert!(!is_on_this_machine(registry), "{registry}");
        }
    }

    #[test]
    fn a_place_by_digest_has_no_tag() {
        let location: Location = "oci://ghcr.io/me/hello:1.0".parse().unwrap();
        let by_digest = location.with_digest(layout::digest(b""));
        assert!(by_digest.to_string().starts_with("oci://ghcr.io/me/hello@sha256:e3b0c442"), "{by_digest}");
        assert_eq!((location.name(), by_digest.to_string().parse()), ("hello", Ok(by_digest.clone())));
    }
}
