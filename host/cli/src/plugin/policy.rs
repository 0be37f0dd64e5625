//! `policy`: the rights that an administrator gives to a plugin name.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, joined, line},
    settings::limit,
};
use clap::Args;
use serde_json::{Map, Value, json};

/// Shows or changes the policy of a plugin: what it may do, whatever its
/// revisions ask for.
///
/// A new plugin NAME may answer the paths /NAME and below, and may publish and
/// receive the subjects NAME.*. Everything else needs an entry. A change is in
/// force at once, on all hosts. An activation or a rollback never changes it.
/// You can set a policy before the first upload.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin policy hello                             show the policy
  ticketing plugin policy hello --grant store --visitor true
  ticketing plugin policy hello --http-host api.example.com:443 --grant http
  ticketing plugin policy hello --plugin mailer --grant http     let it call the plugin mailer
  ticketing plugin policy mailer --subscribe 'account.*'    let it receive the events of another plugin
  ticketing plugin policy hello --path /api/hello --path '/api/hello/*'
  ticketing plugin policy hello --registry ghcr.io/me/hello
  ticketing plugin policy hello --limit memory_mib=256      a higher ceiling
  ticketing plugin policy hello --quota database_mib=2048
  ticketing plugin policy hello --no-grant store            take a right away
  ticketing plugin policy hello --require-signature true --lowest-version 1.4.0")]
pub(super) struct Policy {
    /// The plugin's name
    name: String,
    #[command(flatten)]
    rights: Rights,
    #[command(flatten)]
    removals: Removals,
    /// Whether its pages belong to the origin of the host, with the session of the visitor
    #[arg(long, value_name = "true|false")]
    same_origin: Option<bool>,
    /// Whether it learns who the visitor is
    #[arg(long, value_name = "true|false")]
    visitor: Option<bool>,
    /// Whether each uploaded file must be signed
    #[arg(long, value_name = "true|false")]
    require_signature: Option<bool>,
    /// The lowest version that may be uploaded or activated
    #[arg(long, value_name = "VERSION", conflicts_with = "no_lowest_version")]
    lowest_version: Option<String>,
    /// Accept every version again
    #[arg(long)]
    no_lowest_version: bool,
}

/// New entries.
#[derive(Debug, Args)]
struct Rights {
    /// A capability, such as store; may be repeated
    #[arg(long = "grant", value_name = "CAPABILITY")]
    grants: Vec<String>,
    /// A server that it may send requests to; may be repeated
    #[arg(long = "http-host", value_name = "HOST:PORT")]
    http_hosts: Vec<String>,
    /// Another plugin whose routes it may call; may be repeated
    #[arg(long = "plugin", value_name = "NAME")]
    plugins: Vec<String>,
    /// A subject of others that it may publish; may be repeated
    #[arg(long = "publish", value_name = "SUBJECT")]
    publishes: Vec<String>,
    /// A subject of others that it may receive; may be repeated
    #[arg(long = "subscribe", value_name = "SUBJECT")]
    subscribes: Vec<String>,
    /// A path that it may answer; /a/* stands for all paths below /a; may be repeated
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// A registry or repository from which the host may fetch its files; may be repeated
    #[arg(long = "registry", value_name = "REGISTRY/REPOSITORY")]
    registries: Vec<String>,
    /// A ceiling for a limit; may be repeated
    #[arg(long = "limit", value_name = "KEY=N", value_parser = limit)]
    limits: Vec<(String, u64)>,
    /// A quota; may be repeated
    #[arg(long = "quota", value_name = "KEY=N", value_parser = limit)]
    quotas: Vec<(String, u64)>,
}

/// Entries that are taken away.
#[derive(Debug, Args)]
struct Removals {
    /// Take a capability away; may be repeated
    #[arg(long = "no-grant", value_name = "CAPABILITY")]
    no_grants: Vec<String>,
    /// Take a server away; may be repeated
    #[arg(long = "no-http-host", value_name = "HOST:PORT")]
    no_http_hosts: Vec<String>,
    /// Take another plugin away that it may call; may be repeated
    #[arg(long = "no-plugin", value_name = "NAME")]
    no_plugins: Vec<String>,
    /// Take a subject away that it may publish; may be repeated
    #[arg(long = "no-publish", value_name = "SUBJECT")]
    no_publishes: Vec<String>,
    /// Take a subject away that it may receive; may be repeated
    #[arg(long = "no-subscribe", value_name = "SUBJECT")]
    no_subscribes: Vec<String>,
    /// Take a path away; may be repeated
    #[arg(long = "no-path", value_name = "PATH")]
    no_paths: Vec<String>,
    /// Take a registry or repository away; may be repeated
    #[arg(long = "no-registry", value_name = "REGISTRY/REPOSITORY")]
    no_registries: Vec<String>,
    /// Use the host's ceiling for a limit again; may be repeated
    #[arg(long = "no-limit", value_name = "KEY")]
    no_limits: Vec<String>,
    /// Use the host's quota again; may be repeated
    #[arg(long = "no-quota", value_name = "KEY")]
    no_quotas: Vec<String>,
}

impl Policy {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let name = self.name.clone();
        let path = ["plugins", name.as_str(), "policy"];
        // A plugin that the host does not know has the default policy.
        let mut present: Map<String, Value> = match client.get(&path).await {
            Err(Failure::NotFound(_)) if self.changes() => Map::new(),
            answer => answer?.read()?,
        };
        if !self.changes() {
            return print(output, &Value::Object(present));
        }
        let version = present.remove("version").unwrap_or(json!(0));
        let mut policy = match present.remove("policy") {
            Some(Value::Object(policy)) => policy,
            _ => Map::new(),
        };
        self.change(&mut policy)?;
        let answer = client.put(&path, &json!({ "replaces": version, "policy": policy })).await?;
        print(output, &answer.read()?)
    }

    fn changes(&self) -> bool {
        let Rights { grants, http_hosts, plugins, publishes, subscribes, paths, registries, limits, quotas } =
            &self.rights;
        let added =
            [grants, http_hosts, plugins, publishes, subscribes, paths, registries].iter().any(|list| !list.is_empty());
        let removed = self.removals.lists().iter().any(|(_, list)| !list.is_empty());
        let switched = [self.same_origin, self.visitor, self.require_signature].iter().any(Option::is_some);
        let versioned = self.lowest_version.is_some() || self.no_lowest_version;
        added || removed || switched || versioned || !limits.is_empty() || !quotas.is_empty()
    }

    /// Changes the fields that the command names. Fields that only a newer host
    /// knows stay as they are.
    fn change(self, policy: &mut Map<String, Value>) -> Result<(), Failure> {
        for (field, values) in self.removals.lists() {
            for value in values {
                if !remove(policy, field, value) {
                    return Err(Failure::Usage(format!("the policy has no entry {value} in {field}")));
                }
            }
        }
        let Rights { grants, http_hosts, plugins, publishes, subscribes, paths, registries, limits, quotas } =
            self.rights;
        let lists = [
            ("grants", grants),
            ("http_hosts", http_hosts),
            ("plugins", plugins),
            ("publishes", publishes),
            ("subscribes", subscribes),
            ("paths", paths),
            ("registries", registries),
        ];
        for (field, values) in lists {
            values.into_iter().for_each(|value| add(policy, field, value));
        }
        for (field, numbers) in [("limits", limits), ("quotas", quotas)] {
            let table = policy.entry(field).or_insert_with(|| json!({}));
            if let Value::Object(table) = table {
                table.extend(numbers.into_iter().map(|(key, value)| (key, value.into())));
            }
        }
        let switches = [
            ("same_origin", self.same_origin),
            ("visitor", self.visitor),
            ("require_signature", self.require_signature),
        ];
        for (field, switch) in switches {
            policy.extend(switch.map(|switch| (field.to_owned(), switch.into())));
        }
        if self.no_lowest_version {
            policy.remove("lowest_version");
        }
        policy.extend(self.lowest_version.map(|version| ("lowest_version".to_owned(), version.into())));
        Ok(())
    }
}

impl Removals {
    fn lists(&self) -> [(&'static str, &Vec<String>); 9] {
        [
            ("grants", &self.no_grants),
            ("http_hosts", &self.no_http_hosts),
            ("plugins", &self.no_plugins),
            ("publishes", &self.no_publishes),
            ("subscribes", &self.no_subscribes),
            ("paths", &self.no_paths),
            ("registries", &self.no_registries),
            ("limits", &self.no_limits),
            ("quotas", &self.no_quotas),
        ]
    }
}

/// Removes an entry of a list or a table. False if there is none.
fn remove(policy: &mut Map<String, Value>, field: &str, entry: &str) -> bool {
    match policy.get_mut(field) {
        Some(Value::Array(list)) => {
            let before = list.len();
            list.retain(|value| value != entry);
            list.len() < before
        }
        Some(Value::Object(table)) => table.remove(entry).is_some(),
        _ => false,
    }
}

fn add(policy: &mut Map<String, Value>, field: &str, entry: String) {
    let list = policy.entry(field).or_insert_with(|| json!([]));
    if let Value::Array(list) = list
        && !list.iter().any(|value| *value == entry)
    {
        list.push(entry.into());
    }
}

fn print(output: Output, view: &Value) -> Result<(), Failure> {
    match output.json {
        true => line(view),
        false => line(&text(view)),
    }
    Ok(())
}

/// A policy for people, one line for each field that gives or takes something.
fn text(view: &Value) -> String {
    let Some(fields) = view.get("policy").and_then(Value::as_object) else { return view.to_string() };
    let value_text = |value: &Value| match value {
        Value::Array(list) => joined(list.iter().map(|entry| entry.as_str().unwrap_or_default())),
        Value::Object(table) => joined(table.iter().map(|(key, value)| format!("{key}={value}"))),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_set = |value: &Value| match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(table) => !table.is_empty(),
        value => *value != Value::Bool(false) && !value.is_null(),
    };
    let name = view.get("plugin").and_then(Value::as_str).unwrap_or_default();
    let mut lines = vec![format!("policy of {name}, version {}", view.get("version").unwrap_or(&Value::Null))];
    let set = fields.iter().filter(|(_, value)| is_set(value));
    lines.extend(set.map(|(field, value)| format!("  {:<17} {}", field.replace('_', " "), value_text(value))));
    if lines.len() == 1 {
        lines.push(format!("  its own paths /{name} and below, its own subjects {name}.*, and nothing else"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        policy: Policy,
    }

    fn changed(flags: &str, mut policy: Value) -> Result<Value, Failure> {
        let command = Command::parse_from(["policy", "hello"].into_iter().chain(flags.split_whitespace()));
        assert!(command.policy.changes());
        command.policy.change(policy.as_object_mut().unwrap())?;
        Ok(policy)
    }

    #[test]
    fn flags_change_the_named_entries_and_leave_the_others() {
        let before = json!({ "grants": ["store"], "plugins": ["things"], "paths": ["/a"], "visitor": false, "moon": 1, "limits": { "queue": 5 } });
        let flags = "--grant store --grant identity --plugin mailer --no-plugin things --no-path /a --path /b/* --visitor true --limit memory_mib=9 --no-limit queue";
        let expected = json!({ "grants": ["store", "identity"], "plugins": ["mailer"], "paths": ["/b/*"], "visitor": true, "moon": 1,
            "limits": { "memory_mib": 9 }, "quotas": {} });
        assert_eq!(changed(flags, before).unwrap(), expected);
        assert_eq!(changed("--no-grant http", json!({ "grants": [] })).unwrap_err().code(), 2);
        assert_eq!(changed("--lowest-version 1.2.3", json!({})).unwrap()["lowest_version"], "1.2.3");
    }

    #[test]
    fn people_read_one_line_for_each_field_that_is_set() {
        let policy =
            json!({ "grants": ["store", "http"], "same_origin": true, "visitor": false, "limits": { "queue": 5 } });
        let view = json!({ "plugin": "hello", "version": 3, "policy": policy });
        let lines: Vec<String> = text(&view).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[0], "policy of hello, version 3");
        for line in ["  grants            store, http", "  same origin       true", "  limits            queue=5"] {
            assert!(lines.iter().any(|printed| printed == line), "{lines:?}");
        }
        let view = json!({ "plugin": "hello", "version": 0, "policy": { "grants": [], "visitor": false } });
        assert!(text(&view).ends_with("its own paths /hello and below, its own subjects hello.*, and nothing else"));
    }
}
