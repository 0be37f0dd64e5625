use super::*;
use host_capabilities::identity::SESSION_COOKIE;

/// The headers that pass, and those that are dropped.
fn pass(owns_origin: bool, headers: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let mut answer = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).unwrap();
        answer.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let mut dropped = Vec::new();
    guard_headers(owns_origin, None, &mut answer, |name, _| dropped.push(name.to_string()));
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    (answer.iter().map(text).collect(), dropped)
}

fn is_dropped(owns_origin: bool, name: &str, value: &str) -> bool {
    pass(owns_origin, &[(name, value)]).1 == [name]
}

#[test]
fn headers_that_act_on_the_origin_or_on_proxies_are_dropped() {
    for (name, value) in [
        ("clear-site-data", "\"*\""),
        ("service-worker-allowed", "/"),
        ("strict-transport-security", "max-age=0"),
        ("public-key-pins", "max-age=1"),
        ("public-key-pins-report-only", "max-age=1"),
        ("expect-ct", "max-age=1"),
        ("nel", "{}"),
        ("report-to", "{}"),
        ("reporting-endpoints", "a=\"https://evil.example\""),
        ("content-security-policy-report-only", "report-to a"),
        ("alt-svc", "h3=\"evil.example:443\""),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-private-network", "true"),
        ("origin-agent-cluster", "?1"),
        ("set-cookie2", "a=b"),
        ("refresh", "0; url=/"),
        ("accept-ch", "sec-ch-ua-model"),
        ("critical-ch", "sec-ch-ua-model"),
        ("www-authenticate", "Basic realm=\"Your password\""),
        ("proxy-authenticate", "Basic"),
        ("authentication-info", "a=b"),
        ("use-as-dictionary", "match=\"/*\""),
        ("no-vary-search", "params"),
        ("speculation-rules", "\"/rules\""),
        ("supports-loading-mode", "credentialed-prerender"),
        ("set-login", "logged-out"),
        ("sec-session-registration", "(ES256);path=\"x\""),
        ("activate-storage-access", "load"),
        ("origin-trial", "x"),
        ("sourcemap", "/x"),
        ("surrogate-control", "max-age=1"),
        ("cdn-cache-control", "max-age=1"),
        ("x-accel-redirect", "/protected/file"),
        ("x-accel-buffering", "no"),
        ("x-sendfile", "/etc/passwd"),
        ("x-sendfile2", "/etc/passwd 0-"),
        ("x-lighttpd-send-file", "/etc/passwd"),
        ("x-reproxy-url", "http://127.0.0.1:8081/metrics"),
        ("x-litespeed-purge", "*"),
        ("x-envoy-immediate-health-check-fail", "true"),
        ("x-plugin-revision", "auth 1.0.0"),
        ("link", "</x.js>; rel=preload; as=script"),
        ("link", "</x>; rel=\"next\", </y>; rel=\"prefetch\""),
        ("link", "</x>; rel=\"next prefetch\""),
        ("link", "</x>; title=\"a\"; rel=stylesheet"),
        ("link", "<\">; rel=\"next\">; rel=preload"),
        ("link", "</x>; rel=compression-dictionary"),
        ("content-type", "Multipart/X-Mixed-Replace; boundary=a"),
    ] {
        assert!(is_dropped(false, name, value), "{name}: {value}");
        assert!(!is_dropped(true, name, value), "{name}: {value}");
    }
}

#[test]
fn headers_that_act_on_the_answer_pass_and_its_page_is_in_a_sandbox() {
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("etag", "\"1\""),
        ("location", "/elsewhere"),
        ("link", "</things?after=2>; rel=\"next\""),
        ("link", "</a>; rel=first, </b>;rel=\"last\""),
        ("content-security-policy", "sandbox allow-same-origin allow-scripts"),
        ("access-control-allow-origin", "*"),
        ("x-own-header", "1"),
    ];
    let (passed, dropped) = pass(false, &headers);
    assert!(dropped.is_empty(), "{dropped:?}");
    assert_eq!(passed.len(), headers.len() + 1);
    let sandbox = "content-security-policy: sandbox allow-downloads allow-forms allow-popups allow-scripts";
    assert!(passed.iter().any(|header| header == sandbox), "{passed:?}");
    for no_type in [vec![], vec![("content-type", "image/svg+xml")], vec![("content-type", "application/pdf")]] {
        assert!(pass(false, &no_type).0.iter().any(|header| header == sandbox));
    }
    assert_eq!(pass(true, &headers).0.len(), headers.len(), "a plugin that owns the origin has no sandbox");
}

#[test]
fn only_the_value_that_passes_is_kept() {
    let (mut passed, dropped) = pass(true, &[("set-cookie", "session=x"), ("set-cookie", "a=b"), ("x-a", "1")]);
    passed.sort();
    assert_eq!(
        (passed, dropped),
        (vec!["set-cookie: a=b".to_owned(), "x-a: 1".to_owned()], vec!["set-cookie".to_owned()])
    );
}

#[test]
fn no_plugin_sets_a_session_that_the_host_did_not_issue() {
    for cookie in [
        "session=stolen",
        "session=stolen; Path=/; HttpOnly",
        "__Host-session=stolen; Path=/; Secure",
        "__host-SESSION=stolen; Path=/; Secure",
        " session =stolen",
        "\tsession=stolen",
        "SESSION=stolen",
        "session=",
        "session",
        "=session=stolen",
        "  =session=stolen; Path=/",
        "stolen",
        "",
        "; session=stolen",
        "a b=c",
        "a\"=c",
        "a=\u{e9}",
        "a=b; Domain=example.com",
        "a=b; path=/; DOMAIN = .example.com",
        "a=b;domain",
    ] {
        assert!(is_dropped(true, "set-cookie", cookie), "{cookie}");
        assert!(is_dropped(false, "set-cookie", cookie), "{cookie}");
    }
    for cookie in ["theme=dark", "__Host-a=b; Secure; Path=/", "a=b; Path=/a; Max-Age=1", "sessions=x", "a=session=x"] {
        assert!(!is_dropped(true, "set-cookie", cookie), "{cookie}");
        assert!(is_dropped(false, "set-cookie", cookie), "{cookie}");
    }
    assert_eq!(SESSION_COOKIE, "session");
}

#[test]
fn scripts_that_would_run_outside_of_the_sandbox_are_known() {
    let asks = |headers: &[(&'static str, &'static str)]| {
        asks_for_script(
            &headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect(),
        )
    };
    assert!(asks(&[("service-worker", "script")]));
    assert!(asks(&[("sec-fetch-dest", "serviceworker")]));
    for destination in SCRIPTS {
        assert!(asks(&[("sec-fetch-dest", destination), ("sec-fetch-site", "same-origin")]), "{destination}");
    }
    assert!(!asks(&[("sec-fetch-dest", "script"), ("sec-fetch-site", "cross-site")]), "of a page in a sandbox");
    assert!(!asks(&[("sec-fetch-dest", "document"), ("sec-fetch-site", "same-origin")]));
    assert!(!asks(&[]));
}
