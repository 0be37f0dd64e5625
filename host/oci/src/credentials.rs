//! The credentials of a registry, as `docker login` keeps them.

use crate::OciError;
use docker_credential::{CredentialRetrievalError as Error, DockerCredential, get_credential};
use oci_client::secrets::RegistryAuth;
use std::{
    env,
    path::{Path, PathBuf},
};

/// The name under which Docker keeps the credentials of its own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The credentials for a registry. Without any, the requests are anonymous.
///
/// # Errors
/// The credentials cannot be read or used.
pub(super) fn of(registry: &str) -> Result<RegistryAuth, OciError> {
    if !has_config() {
        return Ok(RegistryAuth::Anonymous);
    }
    let name = if registry.ends_with("docker.io") { DOCKER_HUB } else { registry };
    match get_credential(name) {
        Ok(DockerCredential::UsernamePassword(name, password)) => Ok(RegistryAuth::Basic(name, password)),
        Ok(DockerCredential::IdentityToken(_)) => Err(OciError::NotAuthorized(format!(
            "the credentials of {registry} are an identity token, which this command cannot use; log in with a password \
             or an access token: `docker login {registry}`"
        ))),
        Err(Error::NoCredentialConfigured) => Ok(RegistryAuth::Anonymous),
        // The text of a helper may contain a secret.
        Err(Error::HelperFailure { helper, .. }) => Err(OciError::NotAuthorized(format!(
            "the credential helper {helper} of Docker failed for {registry}; try `docker login {registry}`"
        ))),
        Err(error) => {
            Err(OciError::NotAuthorized(format!("the credentials of Docker for {registry} cannot be read: {error}")))
        }
    }
}

/// Whether Docker keeps credentials for this account.
fn has_config() -> bool {
    let folder = || env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(folder);
    folder.is_some_and(|folder| folder.join("config.json").exists())
}
