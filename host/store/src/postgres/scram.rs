//! The verifier of a password for `SCRAM-SHA-256`, by RFC 5802 and RFC 7677.
//!
//! PostgreSQL stores it in place of the password and takes it in `ALTER ROLE`.
//! So the password stands in no statement, and in no log of statements.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The least number that RFC 7677 recommends, and the default of PostgreSQL.
const ITERATIONS: u32 = 4096;
const SALT_BYTES: usize = 16;

/// The verifier of a password of ASCII characters, with a new salt.
pub(super) fn verifier(password: &str) -> String {
    verifier_with(password, &rand::random::<[u8; SALT_BYTES]>(), ITERATIONS)
}

fn verifier_with(password: &str, salt: &[u8], iterations: u32) -> String {
    let salted = hi(password.as_bytes(), salt, iterations);
    let stored_key = Sha256::digest(hmac(&salted, &[b"Client Key"]));
    let server_key = hmac(&salted, &[b"Server Key"]);
    let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    format!("SCRAM-SHA-256${iterations}:{}${}:{}", base64(salt), base64(&stored_key), base64(&server_key))
}

/// `Hi` of RFC 5802: PBKDF2 with HMAC-SHA-256 and one block.
fn hi(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..iterations {
        last = hmac(password, &[&last]);
        for (sum, byte) in sum.iter_mut().zip(last) {
            *sum ^= byte;
        }
    }
    sum
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys behind the exchange in section 3 of RFC 7677. Its client proof
    /// and its server signature are the evidence.
    #[test]
    fn the_verifier_proves_the_exchange_of_rfc_7677() {
        let decode = |text: &str| BASE64_STANDARD.decode(text).unwrap();
        let verifier = verifier_with("pencil", &decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
        let keys = verifier.strip_prefix("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$").unwrap();
        let (stored_key, server_key) = keys.split_once(':').unwrap();
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let message =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}");
        let signature = hmac(&decode(server_key), &[message.as_bytes()]);
        assert_eq!(BASE64_STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let client_signature = hmac(&decode(stored_key), &[message.as_bytes()]);
        let proof = decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let client_key: Vec<u8> = proof.iter().zip(client_signature).map(|(proof, byte)| proof ^ byte).collect();
        assert_eq!(BASE64_STANDARD.encode(Sha256::digest(client_key)), stored_key);
    }

    #[test]
    fn each_verifier_has_a_salt_of_its_own_and_does_not_contain_the_password() {
        let (one, other) = (verifier("secret"), verifier("secret"));
        assert_ne!(one, other);
        assert!(one.starts_with("SCRAM-SHA-256$4096:") && !one.contains("secret"));
    }
}
