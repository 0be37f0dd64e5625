//! The limits on the headers of one message. They hold for the answers of
//! components, and for the requests that components send to other hosts and the
//! responses to them.

/// The largest number of headers.
pub const MAX_HEADERS: usize = 100;
/// The largest size of all names and values together.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// Checks the lengths of each name and value. Returns the size of all of them.
///
/// # Errors
/// The limit that is exceeded.
pub fn check(headers: impl IntoIterator<Item = (usize, usize)>) -> Result<usize, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_few_headers() {
        assert_eq!(check([(1, 1); MAX_HEADERS]), Ok(2 * MAX_HEADERS));
        assert!(check([(1, 1); MAX_HEADERS + 1]).is_err());
        assert_eq!(check([(4, MAX_HEADER_BYTES - 4)]), Ok(MAX_HEADER_BYTES));
        assert!(check([(4, MAX_HEADER_BYTES - 3)]).is_err());
        assert!(check([(MAX_HEADER_BYTES, 1)]).is_err());
    }
}
