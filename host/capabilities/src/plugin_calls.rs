//! Calls of one plugin's routes by another plugin, in the process.

use crate::{bindings::platform::requests::requests::Error, identity::Session};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};
use tokio::time::Instant;

/// The body of the answer of another plugin. It may still be on its way.
pub type PluginBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The invocation that sends a request.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its trace.
    pub traceparent: Option<Arc<str>>,
    /// The address of the visitor's client.
    pub client_address: Option<IpAddr>,
    /// The session of the visitor, if the component knows the visitor.
    pub session: Option<Arc<Session>>,
    /// Whether the visitor uses TLS.
    pub secure: bool,
    /// The number of calls of plugins that led to it.
    pub depth: u8,
    /// The time at which the host ends it.
    pub deadline: Instant,
}

/// A request of one plugin to another one.
#[derive(Debug)]
pub struct PluginCall {
    /// The plugin that asks.
    pub caller: Arc<str>,
    /// The plugin that is asked.
    pub callee: String,
    /// The request, without the headers that no plugin passes on.
    pub request: Request<Vec<u8>>,
    /// The call of the caller. Its depth counts this request too, and its deadline is
    /// the time until which the head of the answer must be there.
    pub origin: Origin,
}

/// Calls the routes of plugins. A higher layer implements it, because this one
/// knows no plugins.
#[async_trait]
pub trait PluginCaller: Send + Sync {
    /// Lets the plugin answer. Returns before the deadline of the call.
    ///
    /// # Errors
    /// There is no such plugin, or the time is over. Every answer of the plugin,
    /// and of the host in its place, is a response.
    async fn call(&self, call: PluginCall) -> Result<Response<PluginBody>, Error>;
}

/// The plugins that one plugin asks for in its manifest, and those that its policy
/// allows.
#[derive(Debug, Default)]
pub struct CallablePlugins {
    /// The names in the manifest.
    pub asked: BTreeSet<String>,
    /// The names in the policy.
    pub allowed: BTreeSet<String>,
}

impl CallablePlugins {
    /// Checks a call. A plugin may call itself.
    ///
    /// # Errors
    /// The reason for the author of the caller.
    pub(crate) fn check(&self, caller: &str, callee: &str) -> Result<(), String> {
        if callee == caller {
            return Ok(());
        }
        if !self.asked.contains(callee) {
            return Err(format!("the manifest of the plugin does not name {callee} in requests.plugins"));
        }
        if !self.allowed.contains(callee) {
            let command = format!("ticketing plugin policy {caller} --grant http --plugin {callee}");
            let text = format!("the policy of the plugin does not allow requests to the plugin {callee}");
            return Err(format!("{text}; an administrator can: {command}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_needs_the_manifest_and_the_policy() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let plugins = CallablePlugins { asked: set(&["both", "asked"]), allowed: set(&["both", "allowed"]) };
        assert!(plugins.check("caller", "both").is_ok() && plugins.check("caller", "caller").is_ok());
        let refusal = |callee| plugins.check("caller", callee).unwrap_err();
        assert!(refusal("asked").contains("ticketing plugin policy caller --grant http --plugin asked"));
        assert!(refusal("allowed").contains("requests.plugins") && refusal("other").contains("requests.plugins"));
    }
}
