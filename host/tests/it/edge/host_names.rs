//! Each request is for exactly one host.

use super::{answer, ask, get, greeter, http2_client};
use crate::support::{Host, Setup};
use http::{HeaderValue, Request, header::HOST};

async fn status(host: &Host, head: &str) -> String {
    let text = answer(host, &format!("{head}connection: close\r\n\r\n")).await;
    let status = text.get(9..12).unwrap_or_else(|| panic!("{head:?}: {text:?}")).to_owned();
    if status == "400" {
        assert!(text.contains(r#"{"errors":[{"message":""#), "{head:?}: {text}");
    }
    status
}

#[tokio::test]
async fn a_request_without_exactly_one_valid_host_is_refused() {
    let host = greeter().start().await;
    for (head, expected) in [
        ("GET /hello HTTP/1.1\r\nhost: a\r\n", "200"),
        ("GET /hello HTTP/1.1\r\nhost: a:80\r\n", "200"),
        ("GET /hello HTTP/1.0\r\n", "200"),
        ("GET http://a/hello HTTP/1.1\r\nhost: b\r\n", "200"),
        ("GET https://a/hello HTTP/1.1\r\nhost: b\r\n", "200"),
        ("GET http://a/hello?x HTTP/1.0\r\n", "200"),
        ("GET http://a HTTP/1.1\r\nhost: a\r\n", "404"),
        ("GET /hello HTTP/1.1\r\n", "400"),
        ("GET /hello HTTP/1.1\r\nhost:\r\n", "400"),
        ("GET /hello HTTP/1.1\r\nhost: a\r\nhost: a\r\n", "400"),
        ("GET /hello HTTP/1.0\r\nhost: a\r\nhost: b\r\n", "400"),
        ("GET /hello HTTP/1.1\r\nhost: a, b\r\n", "400"),
        ("GET /hello HTTP/1.1\r\nhost: user@a\r\n", "400"),
        ("GET /hello HTTP/1.1\r\nhost: a/b\r\n", "400"),
        ("GET /hello HTTP/1.1\r\nhost: a:99999\r\n", "400"),
        ("GET /hello HTTP/1.1\r\nhost: [::1\r\n", "400"),
        ("GET http://a/hello HTTP/1.1\r\n", "400"),
        ("GET http://user@a/hello HTTP/1.1\r\nhost: a\r\n", "400"),
        ("GET ftp://a/hello HTTP/1.1\r\nhost: a\r\n", "400"),
        ("POST /nothing HTTP/1.1\r\ncontent-length: 0\r\n", "400"),
    ] {
        assert_eq!(status(&host, head).await, expected, "{head:?}");
    }
    assert_eq!(host.visitor().get("/hello").await.status, 200);
}

#[tokio::test]
async fn the_host_of_an_absolute_target_decides_whether_a_change_is_cross_site() {
    let host = Setup::new().start().await;
    for (target, sent, expected) in [("shop.example", "evil.example", "400"), ("evil.example", "shop.example", "403")] {
        let head = format!(
            "POST http://{target}/api/users/signin HTTP/1.1\r\nhost: {sent}\r\norigin: http://shop.example\r\ncontent-length: 0\r\n"
        );
        assert_eq!(status(&host, &head).await, expected, "{target}");
    }
}

#[tokio::test]
async fn the_authority_of_http_2_is_the_host_and_no_other_is_accepted() {
    let host = greeter().start().await;
    let (client, _connection) = http2_client(&host).await;
    let with_host = |name: &'static str| {
        let mut request: Request<()> = get(&host, "/hello");
        request.headers_mut().insert(HOST, HeaderValue::from_static(name));
        request
    };
    assert_eq!(ask(&client, get(&host, "/hello")).await.unwrap().0, 200);
    let (status, text) = ask(&client, with_host("evil.example")).await.unwrap();
    assert_eq!(
        (status.as_u16(), text.as_str()),
        (400, r#"{"errors":[{"message":"The Host differs from :authority"}]}"#)
    );
    let (status, _) = ask(&client, with_host("a b")).await.unwrap();
    assert_eq!(status, 400);
    assert_eq!(ask(&client, get(&host, "/hello")).await.unwrap().0, 200);
}
