//! The answer to the question which endpoint a request is for.

use super::{
    Endpoint, Snapshot, Target,
    routes::{RouteEntry, Router},
};

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
    /// Finds the endpoint of a visitor's request. An endpoint with GET answers HEAD
    /// too. A route for plugins alone does not exist for visitors.
    pub fn find<'a>(&'a self, method: &str, path: &'a str) -> Lookup<'a> {
        find(&self.routes.public, method, path, |_| true)
    }

    /// Finds the endpoint of a plugin for the request of another plugin. The routes of
    /// the other plugins do not exist for such a request.
    pub fn find_in_plugin<'a>(&'a self, plugin: &str, method: &str, path: &'a str) -> Lookup<'a> {
        find(self.routes.all(), method, path, |endpoint| endpoint.plugin == plugin)
    }
}

fn find<'a>(router: &'a Router, method: &str, path: &'a str, is_visible: impl Fn(&Endpoint) -> bool) -> Lookup<'a> {
    let Ok(found) = router.at(path) else { return find_other_path(router, path, is_visible) };
    let entry = found.value;
    let visible = || entry.endpoints.iter().filter(|endpoint| is_visible(endpoint));
    let endpoint_for = |method: &str| visible().find(|endpoint| endpoint.method == method);
    match endpoint_for(method).or_else(|| (method == "HEAD").then(|| endpoint_for("GET")).flatten()) {
        Some(endpoint) => Lookup::Target(Target { endpoint, pattern: &entry.pattern, params: found.params }),
        None if visible().next().is_none() => Lookup::Nothing,
        None => Lookup::OtherMethods { allow: allow(visible()) },
    }
}

fn find_other_path<'a>(router: &Router, path: &str, is_visible: impl Fn(&Endpoint) -> bool) -> Lookup<'a> {
    let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
    // A browser reads two slashes at the beginning as the name of another host.
    let is_path = other.starts_with('/') && !other.starts_with("//");
    let has_visible = |entry: &RouteEntry| entry.endpoints.iter().any(&is_visible);
    match is_path && router.at(&other).is_ok_and(|found| has_visible(found.value)) {
        true => Lookup::OtherPath(other),
        false => Lookup::Nothing,
    }
}

/// The methods that the host answers on a path, with those that it answers itself.
fn allow<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> String {
    let mut methods: Vec<&str> = endpoints.map(|endpoint| endpoint.method.as_str()).collect();
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

    fn snapshot(routes: &[(&str, &[&str])]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (path, methods) in routes {
            let endpoints = methods.iter().map(|method| Endpoint::starting(method, "things")).collect();
            let entry = RouteEntry { pattern: (*path).to_owned(), endpoints };
            snapshot.routes.public.insert(*path, entry).unwrap();
        }
        snapshot
    }

    /// The result in words.
    fn find(snapshot: &Snapshot, method: &str, path: &str) -> String {
        in_words(snapshot.find(method, path))
    }

    fn in_words(lookup: Lookup<'_>) -> String {
        match lookup {
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
    fn for_a_plugin_only_the_routes_of_the_named_plugin_exist() {
        let mut snapshot = snapshot(&[("/things", &["GET"])]);
        let endpoints = vec![Endpoint::starting("GET", "others"), Endpoint::starting("POST", "things")];
        let entry = RouteEntry { pattern: "/both".to_owned(), endpoints };
        snapshot.routes.public.insert("/both", entry).unwrap();
        for (plugin, method, path, expected) in [
            ("things", "GET", "/things", "GET /things"),
            ("others", "GET", "/things", "nothing"),
            ("others", "HEAD", "/both", "GET /both"),
            ("others", "POST", "/both", "allow GET, HEAD, OPTIONS"),
            ("things", "GET", "/both", "allow OPTIONS, POST"),
            ("things", "POST", "/both/", "see /both"),
            ("nobody", "POST", "/both/", "nothing"),
        ] {
            assert_eq!(in_words(snapshot.find_in_plugin(plugin, method, path)), expected, "{plugin} {method} {path}");
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
