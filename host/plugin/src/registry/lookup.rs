//! The answer to the question which endpoint a request is for.

use super::{RouteEntry, Snapshot, Target};

/// The place of a method and a path among the routes.
pub enum Lookup<'a> {
    /// An endpoint answers.
    Target(Target<'a>),
    /// Endpoints answer other methods on this path.
    OtherMethods {
        /// The methods, as the header `Allow` has them.
        allow: String,
    },
    /// A route has this path with a slash at its end, or without one.
    OtherPath(String),
    /// No plugin has the path.
    Nothing,
}

impl Snapshot {
    /// Finds the endpoint of a request. An endpoint with GET answers HEAD too.
    pub fn find<'a>(&'a self, method: &str, path: &'a str) -> Lookup<'a> {
        let Ok(found) = self.routes.at(path) else { return self.find_other_path(path) };
        let entry = found.value;
        let endpoint_for = |method: &str| entry.endpoints.iter().find(|endpoint| endpoint.method == method);
        match endpoint_for(method).or_else(|| (method == "HEAD").then(|| endpoint_for("GET")).flatten()) {
            Some(endpoint) => Lookup::Target(Target { endpoint, pattern: &entry.pattern, params: found.params }),
            None => Lookup::OtherMethods { allow: allow(entry) },
        }
    }

    fn find_other_path<'a>(&self, path: &str) -> Lookup<'a> {
        let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
        // A browser reads two slashes at the beginning as the name of another host.
        let is_path = other.starts_with('/') && !other.starts_with("//");
        if is_path && self.routes.at(&other).is_ok() { Lookup::OtherPath(other) } else { Lookup::Nothing }
    }
}

/// The methods that the host answers on a path, with those that it answers itself.
fn allow(entry: &RouteEntry) -> String {
    let mut methods: Vec<&str> = entry.endpoints.iter().map(|endpoint| endpoint.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Endpoint;

    fn snapshot(routes: &[(&str, &[&str])]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (path, methods) in routes {
            let endpoints = methods.iter().map(|method| Endpoint::starting(method, "things")).collect();
            let entry = RouteEntry { pattern: (*path).to_owned(), endpoints };
            snapshot.routes.insert(*path, entry).unwrap();
        }
        snapshot
    }

    /// The result in words.
    fn find(snapshot: &Snapshot, method: &str, path: &str) -> String {
        match snapshot.find(method, path) {
            Lookup::Target(target) => format!("{} {}", target.endpoint.method(), target.pattern),
            Lookup::OtherMethods { allow } => format!("allow {allow}"),
            Lookup::OtherPath(path) => format!("see {path}"),
            Lookup::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_known_path_names_its_methods_and_answers_head_where_it_answers_get() {
        let snapshot =
            snapshot(&[("/things", &["POST", "GET"]), ("/things/{id}", &["DELETE"]), ("/own", &["HEAD", "GET"])]);
        for (method, path, expected) in [
            ("GET", "/things", "GET /things"),
            ("HEAD", "/things", "GET /things"),
            ("HEAD", "/own", "HEAD /own"),
            ("PUT", "/things", "allow GET, HEAD, OPTIONS, POST"),
            ("OPTIONS", "/things", "allow GET, HEAD, OPTIONS, POST"),
            ("get", "/things", "allow GET, HEAD, OPTIONS, POST"),
            ("HEAD", "/things/1", "allow DELETE, OPTIONS"),
            ("PUT", "/own", "allow GET, HEAD, OPTIONS"),
            ("GET", "/nothing", "nothing"),
            ("HEAD", "/", "nothing"),
            ("OPTIONS", "*", "nothing"),
        ] {
            assert_eq!(find(&snapshot, method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_slash_at_the_end_leads_to_the_path_of_the_route_and_never_to_another_host() {
        let snapshot = snapshot(&[("/things", &["GET"]), ("/folder/", &["GET"]), ("/{a}/{b}", &["GET"])]);
        for (path, expected) in [
            ("/things/", "see /things"),
            ("/folder", "see /folder/"),
            ("/things//", "nothing"),
            ("//evil.example/", "nothing"),
            ("//evil.example/x/", "nothing"),
            ("/x/y/", "see /x/y"),
            ("/", "nothing"),
            ("", "nothing"),
        ] {
            assert_eq!(find(&snapshot, "GET", path), expected, "{path}");
        }
    }
}
