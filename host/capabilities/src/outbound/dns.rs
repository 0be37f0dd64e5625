//! Resolves host names, and accepts only public addresses.

use super::public_address::is_public;
use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Resolves host names.
#[async_trait]
pub trait NameResolver: Send + Sync + 'static {
    /// Returns all current addresses of a name.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
pub struct SystemResolver;

#[async_trait]
impl NameResolver for SystemResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why the host does not connect to a name.
#[derive(Debug, thiserror::Error)]
pub(super) enum DnsError {
    #[error("{name} resolves to {address}, which is not a public address")]
    Prohibited { name: String, address: IpAddr },
    #[error("{name} cannot be resolved")]
    Unknown { name: String },
}

/// Gives the HTTP client the addresses for a new connection. It checks the
/// addresses first, and nothing resolves the name a second time. If one address
/// is not public, it rejects them all: the owner of the name is not to be trusted.
pub(super) struct PublicResolver(pub(super) Arc<dyn NameResolver>);

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let addresses = public_addresses(&*resolver, name.as_str()).await?;
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

async fn public_addresses(resolver: &dyn NameResolver, name: &str) -> Result<Vec<IpAddr>, DnsError> {
    let unknown = || DnsError::Unknown { name: name.to_owned() };
    let addresses = resolver.addresses(name).await.map_err(|_| unknown())?;
    match addresses.iter().find(|address| !is_public(**address)) {
        Some(&address) => Err(DnsError::Prohibited { name: name.to_owned(), address }),
        None if addresses.is_empty() => Err(unknown()),
        None => Ok(addresses),
    }
}
