//! Refusals as a page, for a person with a browser.

use crate::error::RefusedByHost;
use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, header};

/// The page loads nothing, so the policy allows its own style alone.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'");

/// Replaces the host's refusal by a page if the client prefers HTML. Answers of
/// components stay as they are.
pub fn show_refusal(accept: &HeaderMap, response: &mut Response) {
    let Some(refused) = response.extensions_mut().remove::<RefusedByHost>() else { return };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    if !prefers_html(accept) {
        return;
    }
    let page = page(response.status().as_u16(), &refused.message());
    *response.body_mut() = Body::from(page);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Whether `Accept` names HTML, and no form of JSON with a higher weight. `*/*` alone
/// is no wish for HTML, because most programs send it.
fn prefers_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0.0, 0.0);
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        match media_type.as_str() {
            "text/html" | "application/xhtml+xml" => html = weight.max(html),
            "application/json" | "application/problem+json" => json = weight.max(json),
            _ => {}
        }
    }
    html > 0.0 && html >= json
}

fn page(status: u16, message: &str) -> String {
    let message = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{message}</title>\n\
         <style>:root {{ color-scheme: light dark; font-family: system-ui, sans-serif }} \
         body {{ margin: 15vh auto; max-width: 32rem; padding: 0 1.5rem; line-height: 1.5 }} a {{ color: inherit }}</style>\n\
         </head>\n<body>\n<main>\n<h1>{message}</h1>\n<p>The server answered with status {status}.</p>\n\
         <p><a href=\"/\">Go to the first page</a></p>\n</main>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Problem, Refusal};
    use axum::response::IntoResponse;
    use http::StatusCode;

    fn prefers(accept: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        prefers_html(&headers)
    }

    #[test]
    fn browsers_prefer_html_and_programs_do_not() {
        assert!(prefers(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]));
        assert!(prefers(&["application/json;q=0.5", "TEXT/HTML"]));
        assert!(prefers(&["text/html, application/json"]));
        for accept in [
            &["*/*"][..],
            &[],
            &["application/json"],
            &["text/html;q=0"],
            &["text/html;q=0.2, application/json"],
            &[""],
        ] {
            assert!(!prefers(accept), "{accept:?}");
        }
    }

    async fn shown(accept: &str, response: impl IntoResponse) -> (StatusCode, HeaderMap, String) {
        let mut response = response.into_response();
        let accept = [(header::ACCEPT, accept.parse().unwrap())].into_iter().collect();
        show_refusal(&accept, &mut response);
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.unwrap();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_refusal_is_a_page_for_a_browser_and_the_envelope_for_a_program() {
        let (status, headers, body) = shown("text/html", Refusal::Busy).await;
        assert_eq!(
            (status, &headers["content-type"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"text/html; charset=utf-8".parse().unwrap())
        );
        assert_eq!(
            (&headers["retry-after"], &headers["cache-control"]),
            (&"1".parse().unwrap(), &"no-store".parse().unwrap())
        );
        assert!(body.contains("<h1>Too busy, try again</h1>"), "{body}");
        let (_, headers, body) = shown("*/*", Refusal::Busy).await;
        assert_eq!(
            (&headers["content-type"], &headers["vary"]),
            (&"application/json".parse().unwrap(), &"Accept".parse().unwrap())
        );
        assert_eq!(body, r#"{"errors":[{"message":"Too busy, try again"}]}"#);
    }

    #[tokio::test]
    async fn a_message_is_never_markup_and_the_answer_of_a_component_stays() {
        let (_, _, body) =
            shown("text/html", Problem::new(StatusCode::BAD_REQUEST, "<script>alert(1)</script>&")).await;
        assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;") && !body.contains("<script"), "{body}");
        let (_, headers, body) = shown("text/html", (StatusCode::NOT_FOUND, "of a component")).await;
        assert_eq!((body.as_str(), headers.contains_key("vary")), ("of a component", false));
    }
}
