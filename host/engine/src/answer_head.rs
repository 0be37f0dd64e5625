//! The limits on the status and the headers of a component's answer. They hold
//! for the platform's components and for those of `wasi:http`.

/// The largest number of headers.
pub const MAX_HEADERS: usize = 100;
/// The largest size of all names and values together.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// Checks the status and the lengths of each name and value. Returns the size of
/// all of them.
///
/// # Errors
/// What breaks the contract.
pub fn check(status: u16, headers: impl IntoIterator<Item = (usize, usize)>) -> Result<usize, String> {
    // A component gives final answers only, see RFC 9110, section 15.2.
    if !(200..600).contains(&status) {
        return Err(format!("the status {status}"));
    }
    let (count, bytes) = headers
        .into_iter()
        .fold((0_usize, 0_usize), |(count, bytes), (name, value)| (count + 1, bytes.saturating_add(name + value)));
    if count > MAX_HEADERS {
        return Err(format!("{count} headers, over the limit of {MAX_HEADERS}"));
    }
    if bytes > MAX_HEADER_BYTES {
        return Err(format!("headers of {bytes} bytes, over the limit of {MAX_HEADER_BYTES}"));
    }
    Ok(bytes)
}

/// The same for a head of the standard's types.
///
/// # Errors
/// What breaks the contract.
pub fn check_parts(status: http::StatusCode, headers: &http::HeaderMap) -> Result<usize, String> {
    check(status.as_u16(), headers.iter().map(|(name, value)| (name.as_str().len(), value.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_final_status_and_few_headers() {
        for status in [200, 204, 304, 404, 599] {
            assert_eq!(check(status, []), Ok(0));
        }
        for status in [0, 99, 100, 101, 103, 199, 600, 999, u16::MAX] {
            assert!(check(status, []).is_err(), "{status}");
        }
        assert_eq!(check(200, [(1, 1); MAX_HEADERS]), Ok(2 * MAX_HEADERS));
        assert!(check(200, [(1, 1); MAX_HEADERS + 1]).is_err());
        assert_eq!(check(200, [(4, MAX_HEADER_BYTES - 4)]), Ok(MAX_HEADER_BYTES));
        assert!(check(200, [(4, MAX_HEADER_BYTES - 3)]).is_err());
        assert!(check(200, [(MAX_HEADER_BYTES, 1)]).is_err());
    }
}
