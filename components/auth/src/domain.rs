//! Passwords of accounts, and required fields.

const PASSWORD_CHARACTERS: std::ops::RangeInclusive<usize> = 8..=128;

/// Checks the password of a new account. Any characters are allowed.
pub(crate) fn new_password(text: &str) -> Result<String, String> {
    if PASSWORD_CHARACTERS.contains(&text.chars().count()) {
        Ok(text.to_owned())
    } else {
        Err("password must be between 8 and 128 characters".to_owned())
    }
}

/// Checks that a field is not empty.
pub(crate) fn required(name: &str, text: &str) -> Result<String, String> {
    if text.is_empty() { Err(format!("{name} is required")) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_measured_in_characters() {
        assert!(new_password("short12").is_err());
        assert!(new_password("ünïcödé!").is_ok());
        assert!(new_password(&"é".repeat(128)).is_ok());
        assert!(new_password(&"é".repeat(129)).is_err());
    }
}
