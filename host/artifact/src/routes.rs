//! Patterns of routes, and the question whether two patterns can match the same
//! path. The router prefers the more specific pattern, so a plugin could take a
//! path away from another one without using the same pattern.

use percent_encoding::percent_decode_str;

/// A part of a pattern between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// Text, decoded.
    Literal(String),
    /// A parameter with the text before and after it.
    Parameter { before: String, after: String },
    /// The rest of the path, also an empty one.
    Rest,
}

/// A pattern such as `/api/things/{id}`, divided into its segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Segment>);

impl Pattern {
    /// Divides a pattern that the router accepts. A slash at its end does not
    /// count, and percent-encoded text is the same as plain text.
    pub fn of(text: &str) -> Self {
        let text = text.trim_start_matches('/').trim_end_matches('/');
        Self(text.split('/').filter(|part| !part.is_empty()).map(Segment::of).collect())
    }

    /// Whether a path exists that both patterns match.
    pub fn overlaps(&self, other: &Self) -> bool {
        overlap(&self.0, &other.0)
    }

    /// The first segment, if it is plain text. Patterns that begin with different
    /// texts do not overlap.
    pub fn first_text(&self) -> Option<&str> {
        match self.0.first() {
            Some(Segment::Literal(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the first segments of the pattern are exactly those of `prefix`,
    /// and at least one segment follows.
    pub fn is_below(&self, prefix: &Self) -> bool {
        self.0.len() > prefix.0.len() && self.0.starts_with(&prefix.0)
    }
}

impl Segment {
    fn of(text: &str) -> Self {
        match text.split_once('{').and_then(|(before, rest)| Some((before, rest.rsplit_once('}')?))) {
            // `{{` is the router's escape of a brace.
            _ if text.contains("{{") || text.contains("}}") => {
                Self::Parameter { before: String::new(), after: String::new() }
            }
            None => Self::Literal(decoded(text)),
            Some((_, (name, _))) if name.starts_with('*') => Self::Rest,
            Some((before, (_, after))) => Self::Parameter { before: decoded(before), after: decoded(after) },
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rest, _) | (_, Self::Rest) => true,
            (Self::Literal(one), Self::Literal(two)) => one == two,
            (Self::Literal(text), Self::Parameter { before, after })
            | (Self::Parameter { before, after }, Self::Literal(text)) => {
                text.len() > before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
            }
            (Self::Parameter { before, after }, Self::Parameter { before: before2, after: after2 }) => {
                let starts = before.starts_with(before2) || before2.starts_with(before);
                starts && (after.ends_with(after2) || after2.ends_with(after))
            }
        }
    }
}

fn overlap(one: &[Segment], two: &[Segment]) -> bool {
    match (one.split_first(), two.split_first()) {
        (Some((Segment::Rest, _)), _) | (_, Some((Segment::Rest, _))) => true,
        (Some((first, rest)), Some((second, others))) => first.overlaps(second) && overlap(rest, others),
        (None, None) => true,
        _ => false,
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The problem of a pattern that no plugin may have, if there is one. A proxy
/// or a browser can change such a path before the host sees it.
pub fn problem(path: &str) -> Option<&'static str> {
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains(['\\', '?', '#', '%']) {
        return Some("must be plain ASCII text without %, \\, ? and #");
    }
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        // Only the last segment may be empty: the pattern ends with a slash then.
        if matches!(segment, "." | "..") || (segment.is_empty() && segments.peek().is_some()) {
            return Some("must have no empty segment, and no segment . or ..");
        }
        if segment.starts_with(':') {
            return Some("must have a parameter in braces, such as {id}, in place of :id");
        }
        if segment.contains('*') && !segment.starts_with("{*") {
            return Some("must have the rest of a path in braces, such as {*rest}, in place of *");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(one: &str, two: &str) -> bool {
        let (one, two) = (Pattern::of(one), Pattern::of(two));
        assert_eq!(one.overlaps(&two), two.overlaps(&one));
        one.overlaps(&two)
    }

    #[test]
    fn patterns_that_match_the_same_path_overlap() {
        for (one, two) in [
            ("/assets/{version}/{file}", "/assets/1/page.js"),
            ("/api/things/{id}", "/api/things/42"),
            ("/api/things/{id}", "/api/things/{key}"),
            ("/api/users/signin", "/api/users/{*rest}"),
            ("/api/users/signin", "/{*all}"),
            ("/api/users", "/api/users/{*rest}"),
            ("/", "/{*all}"),
            ("/api/things", "/api/things/"),
            ("/api/things", "/api/%74hings"),
            ("/api/{kind}/new", "/api/things/{id}"),
            ("/files/{name}.js", "/files/app.js"),
            ("/files/{name}.js", "/files/a{rest}"),
            ("/{a}/{b}", "/x/y"),
        ] {
            assert!(overlap(one, two), "{one} and {two}");
        }
    }

    #[test]
    fn patterns_that_match_different_paths_do_not_overlap() {
        for (one, two) in [
            ("/", "/a"),
            ("/api/things", "/api/things/{id}"),
            ("/api/things/{id}", "/api/others/{id}"),
            ("/files/{name}.js", "/files/app.css"),
            ("/files/{name}.js", "/files/{name}.css"),
            ("/files/a{rest}", "/files/b{rest}"),
            ("/api/{kind}", "/api/a/b"),
            ("/api/users/{*rest}", "/api/others"),
        ] {
            assert!(!overlap(one, two), "{one} and {two}");
        }
    }

    #[test]
    fn a_path_that_others_may_rewrite_is_refused() {
        for path in ["/a//b", "//a", "/a/../b", "/./a", "/%61", "/a\\b", "/a?b", "/a#b", "/ä", "/a b", "/a\n"] {
            assert!(problem(path).is_some(), "{path}");
        }
        for path in ["/", "/a", "/a/", "/a/{id}", "/a/{*rest}", "/.well-known/x", "/a~b/c.d", "/@a/b:c"] {
            assert_eq!(problem(path), None, "{path}");
        }
    }

    #[test]
    fn a_parameter_in_the_spelling_of_another_router_is_refused_with_the_right_one() {
        for path in ["/m/:who", "/:a/b", "/m/:who/"] {
            assert!(problem(path).unwrap().contains("{id}"), "{path}");
        }
        for path in ["/m/*", "/*", "/m/*rest", "/m/**", "/m/x*", "/m/{a}*"] {
            assert!(problem(path).unwrap().contains("{*rest}"), "{path}");
        }
        for path in ["/m/{who}", "/m/{*rest}", "/m/a:b", "/m/{id}:cancel"] {
            assert_eq!(problem(path), None, "{path}");
        }
    }

    #[test]
    fn a_pattern_is_below_a_prefix_of_whole_segments() {
        let below = |pattern: &str, prefix: &str| Pattern::of(pattern).is_below(&Pattern::of(prefix));
        assert!(below("/hello/{*rest}", "/hello") && below("/hello/a", "/hello/") && below("/x", "/"));
        assert!(!below("/hello", "/hello") && !below("/helloes", "/hello") && !below("/{name}/x", "/hello"));
    }
}
