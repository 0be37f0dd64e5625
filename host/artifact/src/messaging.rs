//! The part of a manifest about events.

use crate::manifest::is_subject;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Subjects, such as `thing.created`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Messaging {
    /// The subjects of the events that `platform:messaging/handler` receives.
    pub subscribes: BTreeSet<String>,
    /// Those of `subscribes` that begin with the next event when the plugin subscribes
    /// for the first time. The others begin with the events that the bus retains.
    pub from_now: BTreeSet<String>,
    /// The subjects of the events that the plugin can publish.
    pub publishes: BTreeSet<String>,
}

/// The section as an author writes it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    subscribes: Vec<Subscription>,
    #[serde(default)]
    publishes: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a subject, or { subject = \"thing.created\", from = \"now\" }")]
enum Subscription {
    Retained(String),
    From(BeginsFrom),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginsFrom {
    subject: String,
    from: Beginning,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Beginning {
    Now,
    Retained,
}

impl Messaging {
    /// The subjects that begin with the events that the bus retains.
    pub fn retained(&self) -> impl Iterator<Item = &String> {
        self.subscribes.difference(&self.from_now)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        match self.subscribes.iter().chain(&self.publishes).find(|subject| !is_subject(subject)) {
            None => Ok(()),
            Some(subject) => {
                let rule = "a subject must consist of words of [a-z0-9_-], joined by dots";
                Err(format!("names the subject {subject:?}; {rule}"))
            }
        }
    }
}

impl From<Written> for Messaging {
    /// A subject that is named in both ways begins with the events that the bus retains.
    fn from(Written { subscribes, publishes }: Written) -> Self {
        let (mut retained, mut from_now) = (BTreeSet::new(), BTreeSet::new());
        for subscription in subscribes {
            match subscription {
                Subscription::From(BeginsFrom { subject, from: Beginning::Now }) => from_now.insert(subject),
                Subscription::Retained(subject) | Subscription::From(BeginsFrom { subject, .. }) => {
                    retained.insert(subject)
                }
            };
        }
        from_now.retain(|subject| !retained.contains(subject));
        Self { subscribes: retained.into_iter().chain(from_now.iter().cloned()).collect(), from_now, publishes }
    }
}

impl From<Messaging> for Written {
    fn from(messaging: Messaging) -> Self {
        let Messaging { subscribes, from_now, publishes } = messaging;
        let written = |subject: String| match from_now.contains(&subject) {
            true => Subscription::From(BeginsFrom { subject, from: Beginning::Now }),
            false => Subscription::Retained(subject),
        };
        Self { subscribes: subscribes.into_iter().map(written).collect(), publishes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_says_where_it_begins() {
        let text = r#"
            subscribes = ["a.made", { subject = "b.made", from = "now" }, { subject = "c.made", from = "retained" }]
            publishes = ["d.made"]
        "#;
        let messaging: Messaging = toml::from_str(text).unwrap();
        let set = |subjects: &[&str]| subjects.iter().map(|subject| (*subject).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(messaging.subscribes, set(&["a.made", "b.made", "c.made"]));
        assert_eq!(messaging.from_now, set(&["b.made"]));
        assert!(messaging.retained().eq(&["a.made".to_owned(), "c.made".to_owned()]));
        let again: Messaging = toml::from_str(&toml::to_string(&messaging).unwrap()).unwrap();
        assert_eq!(again, messaging);
        let both: Messaging = toml::from_str(r#"subscribes = [{ subject = "a", from = "now" }, "a"]"#).unwrap();
        assert!(both.from_now.is_empty() && both.subscribes == set(&["a"]));
    }

    #[test]
    fn a_wrong_subscription_is_refused_with_the_right_spelling() {
        for wrong in [r#"[{ subject = "a", from = "later" }]"#, r#"[{ subject = "a" }]"#, "[1]"] {
            let refused = toml::from_str::<Messaging>(&format!("subscribes = {wrong}")).unwrap_err().to_string();
            assert!(refused.contains(r#"{ subject = "thing.created", from = "now" }"#), "{refused}");
        }
        assert!(toml::from_str::<Messaging>("subscribe = []").unwrap_err().to_string().contains("unknown field"));
    }
}
