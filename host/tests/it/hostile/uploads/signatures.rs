//! A host that accepts only signed uploads.

use super::good;
use crate::support::{Client, Host, Reply, Setup, chameleon_host};
use base64::Engine;
use http::Method;
use minisign::KeyPair;
use reqwest::multipart::{Form, Part};
use std::io::Cursor;

fn sign(pair: &KeyPair, bytes: &[u8]) -> String {
    minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(bytes), Some("of a test"), None).unwrap().into_string()
}

async fn trusting(pair: &KeyPair) -> Host {
    let settings = format!("[uploads]\nrequire_signature = true\nkeys = ['{}']", pair.pk.to_base64());
    chameleon_host(Setup::without_components().private_cache().toml(&settings)).await
}

/// Uploads a file with a signature in the header.
async fn signed(operator: &Client, bytes: Vec<u8>, signature: &str) -> Reply {
    let header = base64::engine::general_purpose::STANDARD.encode(signature);
    let operator = operator.with_header("x-plugin-signature", &header);
    operator.upload(bytes).await
}

async fn form(operator: &Client, form: Form) -> Reply {
    Reply::of(operator.request(Method::POST, "/plugins").multipart(form)).await.unwrap()
}

#[tokio::test]
async fn only_files_with_a_signature_of_a_trusted_key_are_accepted() {
    let (pair, stranger) =
        (KeyPair::generate_unencrypted_keypair().unwrap(), KeyPair::generate_unencrypted_keypair().unwrap());
    let host = trusting(&pair).await;
    let operator = host.operator();
    let before = host.installed().await;
    let component = || Part::bytes(good());
    let right = sign(&pair, &good());
    let replies = [
        ("not signed", operator.upload(good()).await, "is not signed"),
        ("of other bytes", signed(&operator, good(), &sign(&pair, b"other")).await, "signature is wrong"),
        ("of a stranger", signed(&operator, good(), &sign(&stranger, &good())).await, "does not trust"),
        ("cut off", signed(&operator, good(), &right[..right.len() / 2]).await, "not one of minisign"),
        ("empty", signed(&operator, good(), "").await, "not one of minisign"),
        (
            "with another comment",
            signed(&operator, good(), &right.replace("of a test", "of another")).await,
            "signature is wrong",
        ),
        (
            "a form that is not signed",
            form(&operator, Form::new().part("component", component())).await,
            "is not signed",
        ),
        (
            "a manifest that is not signed",
            form(
                &operator,
                Form::new()
                    .part("component", component())
                    .text("signature", right.clone())
                    .text("manifest", "name = 'other'\nversion = '1.0.0'"),
            )
            .await,
            "manifest beside the component is not signed",
        ),
    ];
    for (what, reply, reason) in replies {
        assert_eq!(reply.status, 403, "{what}: {reply:?}");
        assert!(reply.errors()[0].0.contains(reason), "{what}: {reply:?}");
    }
    let garbage = operator.with_header("x-plugin-signature", "not base64!").upload(good()).await;
    assert_eq!(garbage.status, 400, "{garbage:?}");
    assert_eq!(host.installed().await, before);

    assert_eq!(signed(&operator, good(), &right).await.status, 201);
    let again = Form::new().part("component", component()).text("signature", right);
    assert_eq!(form(&operator, again).await.status, 200, "the same file, signed in a form");
}
