//! From a name to the addresses that a connection may go to.

use super::address::is_public;
use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Finds the addresses of a name.
#[async_trait]
pub trait Names: Send + Sync + 'static {
    /// All addresses of a name, at this moment.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The names that the machine knows.
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum NameError {
    #[error("{name} leads to {address}, which is not public")]
    Prohibited { name: String, address: IpAddr },
    #[error("{name} is not known")]
    Unknown { name: String },
}

/// Gives a connection the addresses that it goes to, after it has looked at
/// them: nothing is resolved a second time. One address that is not public
/// makes the whole answer one that is not to be trusted.
pub(super) struct PublicNames(pub(super) Arc<dyn Names>);

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.0.clone();
        Box::pin(async move {
            let addresses = public_addresses(&*names, name.as_str()).await?;
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            let addresses: Addrs = Box::new(addresses);
            Ok(addresses)
        })
    }
}

async fn public_addresses(names: &dyn Names, name: &str) -> Result<Vec<IpAddr>, NameError> {
    let unknown = || NameError::Unknown { name: name.to_owned() };
    let addresses = names.addresses(name).await.map_err(|_| unknown())?;
    match addresses.iter().find(|address| !is_public(**address)) {
        Some(&address) => Err(NameError::Prohibited { name: name.to_owned(), address }),
        None if addresses.is_empty() => Err(unknown()),
        None => Ok(addresses),
    }
}
