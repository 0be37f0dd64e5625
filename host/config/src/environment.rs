//! The environment, read once: what is the host's, and what may be a plugin's.

use super::{plugins::PREFIX, telemetry};
use std::{collections::BTreeMap, ffi::OsString};

/// Read when the host is built, or by `ticketing plugin`; harmless to a host that serves.
const OF_OTHERS: [&str; 3] = ["TICKETING_NO_BUNDLE", "TICKETING_ADMIN_URL", "TICKETING_PROFILE"];

/// Those of the host's own that do not bear its prefix.
const BY_NAME: [&str; 2] = ["JWT_KEY", "STRIPE_KEY"];

/// The variables that concern the host.
#[derive(Debug, Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, String>,
    /// Variables of the host whose values are not text.
    pub(super) not_text: Vec<String>,
}

impl Environment {
    pub(super) fn read(all: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in all {
            let Ok(name) = name.into_string() else {
                continue;
            };
            let is_known = BY_NAME.contains(&name.as_str()) || telemetry::VARIABLES.contains(&name.as_str());
            if !is_known && !name.starts_with(PREFIX) {
                continue;
            }
            match value.into_string() {
                Ok(value) => {
                    environment.variables.insert(name, value);
                }
                Err(_) => environment.not_text.push(name),
            }
        }
        environment.forget_service_links();
        environment
    }

    /// Takes a variable of the host out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.variables.remove(name)
    }

    /// What is left when the host has taken its own: possibly plugins'.
    pub(super) fn into_rest(mut self) -> BTreeMap<String, String> {
        for name in OF_OTHERS {
            self.variables.remove(name);
        }
        self.variables
    }

    /// Kubernetes puts the addresses of every service into the environment, so
    /// one that is called `ticketing` brings variables that look like settings.
    fn forget_service_links(&mut self) {
        let services: Vec<String> =
            self.variables.keys().filter_map(|name| name.strip_suffix("_SERVICE_HOST")).map(str::to_owned).collect();
        for service in services {
            let links = [format!("{service}_SERVICE_"), format!("{service}_PORT_")];
            let port = format!("{service}_PORT");
            self.variables.retain(|name, _| *name != port && !links.iter().any(|link| name.starts_with(link)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(variables: &[(&str, &str)]) -> Vec<String> {
        let all = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Environment::read(all).into_rest().into_keys().collect()
    }

    #[test]
    fn only_what_bears_the_prefix_is_left() {
        let of_others = OF_OTHERS.map(|name| (name, "1"));
        assert_eq!(rest(&[("PATH", "/bin"), ("TICKETING_X", "1")]), ["TICKETING_X"]);
        assert_eq!(rest(&of_others), [""; 0]);
    }

    #[test]
    fn the_links_of_a_kubernetes_service_are_no_settings() {
        assert_eq!(
            rest(&[
                ("TICKETING_SERVICE_HOST", "10.0.0.1"),
                ("TICKETING_SERVICE_PORT_HTTP", "80"),
                ("TICKETING_PORT", "tcp://10.0.0.1:80"),
                ("TICKETING_PORT_80_TCP_ADDR", "10.0.0.1"),
                ("TICKETING_ADMIN_SERVICE_HOST", "10.0.0.2"),
                ("TICKETING_ADMIN_PORT", "tcp://10.0.0.2:81"),
                ("TICKETING_PORTS", "mine"),
            ]),
            ["TICKETING_PORTS"]
        );
    }
}
