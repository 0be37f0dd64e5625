//! The limits on the status and the headers of a component's answer. They hold
//! for the platform's components and for those of `wasi:http`.

use host_capabilities::head_limits;

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
    head_limits::check(headers)
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
    fn an_answer_has_a_final_status() {
        for status in [200, 204, 304, 404, 599] {
            assert_eq!(check(status, []), Ok(0));
        }
        for status in [0, 99, 100, 101, 103, 199, 600, 999, u16::MAX] {
            assert!(check(status, []).is_err(), "{status}");
        }
        assert!(check(200, [(1, 1); head_limits::MAX_HEADERS + 1]).is_err());
    }
}
