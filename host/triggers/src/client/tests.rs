use super::*;
use host_config::{Config, Flags, http::ForwardedHeaders};

/// The address, whether TLS was used, and the host name, behind proxies in
/// 10.0.0.0/8.
fn seen(kind: ForwardedHeaders, peer: &str, lines: &[(&str, &str)]) -> (String, bool, Option<String>) {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(http::HeaderName::try_from(*name).unwrap(), value);
    }
    let mut config = Config::load(&Flags::default(), []).unwrap().http;
    config.trusted_proxies = ["10.0.0.0/8".parse().unwrap()].into_iter().collect();
    config.forwarded_headers = kind;
    let client = Client::of(SocketAddr::new(peer.parse().unwrap(), 1), false, &headers, &config);
    (client.address.to_string(), client.secure, client.host)
}

fn address(peer: &str, lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
    seen(ForwardedHeaders::XForwarded, peer, &lines).0
}

#[test]
fn the_last_address_that_is_no_proxy_is_the_client() {
    for (peer, lines, expected) in [
        ("203.0.113.9", &["1.2.3.4"][..], "203.0.113.9"),
        ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
        ("10.0.0.1", &["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", &["6.6.6.6, 203.0.113.9", "10.1.1.1"], "203.0.113.9"),
        ("10.0.0.1", &["203.0.113.9", "::ffff:10.1.1.1"], "203.0.113.9"),
        ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", &["203.0.113.9, junk"], "10.0.0.1"),
        ("10.0.0.1", &["203.0.113.9,"], "10.0.0.1"),
        ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["\", 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", &["a\"b\"\", 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
        ("10.0.0.1", &["\u{ff}, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", &["\u{ff}", "203.0.113.9", "10.1.1.1"], "203.0.113.9"),
        ("10.0.0.1", &[",,, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", &["6.6.6.6; 203.0.113.9"], "10.0.0.1"),
    ] {
        assert_eq!(address(peer, lines), expected, "{peer} {lines:?}");
    }
}

#[test]
fn protocol_and_host_are_those_that_the_first_trusted_proxy_saw() {
    let client = |peer, lines: &[(&str, &str)]| {
        let (_, tls, host) = seen(ForwardedHeaders::XForwarded, peer, lines);
        (tls, host.unwrap_or_default())
    };
    let two = [("x-forwarded-for", "203.0.113.9, 10.1.1.1"), ("host", "inner")];
    let with = |more: &[(&'static str, &'static str)]| [&two[..], more].concat();
    let proto = "x-forwarded-proto";
    let name = "x-forwarded-host";
    assert_eq!(
        client("10.0.0.1", &[(proto, "https"), (name, "shop.example:8443")]),
        (true, "shop.example:8443".into())
    );
    assert_eq!(client("::ffff:10.0.0.1", &[(proto, "HTTPS"), (name, "shop.example")]), (true, "shop.example".into()));
    assert_eq!(client("203.0.113.9", &[(proto, "https"), (name, "evil"), ("host", "h")]), (false, "h".into()));
    assert_eq!(
        client("10.0.0.1", &with(&[(proto, "https, http"), (name, "shop.example, inner")])),
        (true, "shop.example".into())
    );
    assert_eq!(
        client("10.0.0.1", &with(&[(proto, "https"), (proto, "http"), (proto, "http")])),
        (false, "inner".into())
    );
    assert_eq!(client("10.0.0.1", &with(&[(proto, "https"), (name, "shop.example")])), (true, "shop.example".into()));
    assert_eq!(
        client("10.0.0.1", &[(proto, "https, http"), (name, "evil, shop.example")]),
        (false, "shop.example".into())
    );
    assert_eq!(client("10.0.0.1", &[(proto, ""), (name, ""), ("host", "h")]), (false, "h".into()));
}

#[test]
fn forwarded_is_read_where_the_settings_say_so_and_nothing_else_then() {
    let forwarded = |lines: &[(&str, &str)]| seen(ForwardedHeaders::Forwarded, "10.0.0.1", lines);
    let client =
        |address: &str, tls, host: &str| (address.to_owned(), tls, (!host.is_empty()).then(|| host.to_owned()));
    let line = "forwarded";
    for (lines, expected) in [
        (vec![(line, "for=203.0.113.9;proto=https;host=shop.example")], client("203.0.113.9", true, "shop.example")),
        (vec![(line, "For=\"[2001:db8::1]:4711\" ; Proto=HTTPS")], client("2001:db8::1", true, "")),
        (vec![(line, "for=6.6.6.6;proto=https, for=203.0.113.9;host=\"a,b\"")], client("203.0.113.9", false, "a,b")),
        (
            vec![(line, "for=203.0.113.9;proto=https;host=shop.example"), (line, "for=10.1.1.1;proto=http;host=inner")],
            client("203.0.113.9", true, "shop.example"),
        ),
        (vec![(line, "for=unknown;proto=https")], client("10.0.0.1", true, "")),
        (vec![(line, "for=_hidden, for=10.1.1.1")], client("10.1.1.1", false, "")),
        (vec![("x-forwarded-for", "6.6.6.6"), ("x-forwarded-host", "evil")], client("10.0.0.1", false, "")),
        (vec![(line, ";;=,")], client("10.0.0.1", false, "")),
        (
            vec![(line, "\", for=203.0.113.9;proto=https;host=shop.example")],
            client("203.0.113.9", true, "shop.example"),
        ),
        (
            vec![(line, "for=6.6.6.6;host=evil;proto=https;x=\", for=203.0.113.9;proto=http;host=shop.example")],
            client("203.0.113.9", false, "shop.example"),
        ),
        (
            vec![(line, "for=6.6.6.6;x=\""), (line, "for=203.0.113.9;host=\"shop.example:8443\", for=10.1.1.1")],
            client("203.0.113.9", false, "shop.example:8443"),
        ),
        (vec![(line, "\u{ff}=1, for=203.0.113.9;proto=https")], client("203.0.113.9", true, "")),
        (vec![(line, "for=\"x;host=evil\";proto=https")], client("10.0.0.1", true, "")),
        (vec![(line, "for=6.6.6.6;for=203.0.113.9;proto=https")], client("10.0.0.1", false, "")),
        (vec![(line, "for=6.6.6.6;host=evil, for=203.0.113.9;host=\"a\\\"b\"")], client("10.0.0.1", false, "")),
        (vec![(line, "for=203.0.113.9;host=shop.example:8443;")], client("203.0.113.9", false, "shop.example:8443")),
    ] {
        assert_eq!(forwarded(&lines), expected, "{lines:?}");
    }
    let (address, ..) = seen(ForwardedHeaders::XForwarded, "10.0.0.1", &[(line, "for=6.6.6.6")]);
    assert_eq!(address, "10.0.0.1");
}
