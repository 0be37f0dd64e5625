//! The calls of components into `platform:identity`.

use super::{Error, Identity, IssuedCookies, Principal, Session, cookie};
use crate::bindings::platform::identity::identity::{self as bindings, Host};
use std::net::IpAddr;
use wasmtime::component::{HasData, Linker};

/// The service, as one invocation of a component sees it.
#[derive(Debug)]
pub struct IdentityView<'a> {
    /// The service of the host.
    pub identity: &'a Identity,
    /// The address of the client, for the limit on failed attempts. `None` outside a
    /// request.
    pub client_address: Option<IpAddr>,
    /// The session of the current request.
    pub session: Option<&'a Session>,
    /// Whether cookies get the attribute `Secure`.
    pub secure: bool,
    /// Remembers the cookies, for the answer. `None` outside a request.
    pub issued: Option<&'a IssuedCookies>,
}

impl IdentityView<'_> {
    /// Remembers a cookie that the component may pass on.
    fn remember(&self, cookie: String) -> String {
        if let Some(issued) = self.issued {
            issued.add(&cookie);
        }
        cookie
    }
}

/// Names the type of the view for the linker.
#[derive(Debug)]
struct HasIdentity;

impl HasData for HasIdentity {
    type Data<'a> = IdentityView<'a>;
}

/// Links `platform:identity`. `view` returns the view of the current invocation.
///
/// # Errors
/// When the interface is linked already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> IdentityView<'_>,
) -> wasmtime::Result<()> {
    bindings::add_to_linker::<T, HasIdentity>(linker, view)
}

impl Host for IdentityView<'_> {
    async fn hash_password(&mut self, password: String) -> wasmtime::Result<Result<String, Error>> {
        Ok(self.identity.hash_password(password).await)
    }

    async fn verify_password(
        &mut self,
        account: String,
        password: String,
        hash: Option<String>,
    ) -> wasmtime::Result<Result<bool, Error>> {
        Ok(self.identity.verify_password(&account, self.client_address, password, hash.as_deref()).await)
    }

    async fn issue(&mut self, principal: Principal) -> wasmtime::Result<Result<String, Error>> {
        Ok(self.identity.issue(&principal, self.secure).map(|cookie| self.remember(cookie)))
    }

    async fn revoke(&mut self) -> wasmtime::Result<Result<String, Error>> {
        if let Some(session) = self.session
            && let Err(error) = self.identity.revoke(session).await
        {
            return Ok(Err(error));
        }
        Ok(Ok(self.remember(cookie::clear(self.secure))))
    }
}
