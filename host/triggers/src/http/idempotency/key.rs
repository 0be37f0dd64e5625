//! The header `Idempotency-Key`.

use host_http::error::Refusal;
use http::{HeaderMap, HeaderName};

pub(in crate::http) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The most bytes of a key.
const KEY_BYTES: usize = 255;

const INVALID: Refusal = Refusal::Malformed(
    "Idempotency-Key must be one string of 1 to 255 visible ASCII characters, with or without quotation marks",
);

/// Reads the key. The draft wants a string of RFC 9651, such as `"8e03978e"`. Most
/// clients send the bare text, so that is the same key.
pub(super) fn parse(headers: &HeaderMap) -> Result<String, Refusal> {
    let mut lines = headers.get_all(HEADER).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(INVALID) };
    let text = line.to_str().map_err(|_| INVALID)?.trim_matches(' ');
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => is_bare(text).then(|| text.to_owned()),
    };
    key.filter(|key| (1..=KEY_BYTES).contains(&key.len())).ok_or(INVALID)
}

/// The text before the closing quotation mark. Parameters after it mean nothing.
fn unquote(quoted: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => break,
            '\\' => text.push(rest.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            visible @ ' '..='~' => text.push(visible),
            _ => return None,
        }
    }
    let rest = rest.as_str();
    let is_blank = text.chars().all(|letter| letter == ' ');
    (!is_blank && (rest.is_empty() || rest.starts_with(';')) && is_visible(rest)).then_some(text)
}

/// A comma or a semicolon would be a sign of several values or of parameters.
fn is_bare(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\'))
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn key(lines: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, HeaderValue::from_bytes(line).unwrap());
        }
        parse(&headers).ok()
    }

    #[test]
    fn a_key_is_one_short_visible_text_with_or_without_quotation_marks() {
        for (line, expected) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("  order_1:2/3=+  ", "order_1:2/3=+"),
            (r#""a \"b\" \\ c""#, r#"a "b" \ c"#),
            ("\"a\";version=1", "a"),
            ("\"a, b\"", "a, b"),
        ] {
            assert_eq!(key(&[line.as_bytes()]).as_deref(), Some(expected), "{line}");
        }
        let longest = "k".repeat(255);
        assert_eq!(key(&[longest.as_bytes()]).as_deref(), Some(longest.as_str()));
    }

    #[test]
    fn a_malformed_key_is_refused() {
        let long = "k".repeat(256);
        let quoted = format!("\"{long}\"");
        for lines in [
            &[&b""[..]][..],
            &[b"   "],
            &[b"\"\""],
            &[b"\"  \""],
            &[b"\""],
            &[b"\"open"],
            &[b"\"a\" b"],
            &[b"\"a\"b"],
            &[b"\"a\\n\""],
            &[b"a b"],
            &[b"a\tb"],
            &[b"\"a\tb\""],
            &[b"a, b"],
            &[b"a;b=1"],
            &[b"a\"b"],
            &["schl\u{fc}ssel".as_bytes()],
            &[b"\xff"],
            &[b"a", b"a"],
            &[b"a", b""],
            &[long.as_bytes()],
            &[quoted.as_bytes()],
        ] {
            assert_eq!(key(lines), None, "{lines:?}");
        }
    }
}
