//! TLS of a listener. Its certificate can change while the host serves.

use arc_swap::ArcSwap;
use host_config::http::TlsFiles;
use std::{
    fmt::Display,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};

const CERTIFICATE: &str = "http.tls_certificate";
const KEY: &str = "http.tls_key";
/// The largest file that is read.
const FILE_BYTES: u64 = 1 << 20;
/// The bytes that wait in the memory of one connection for its socket.
const BUFFERED_BYTES: usize = 16 << 10;

/// The certificate that new connections get.
pub struct Tls(ArcSwap<ServerConfig>);

impl Tls {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// Names the setting, the file and the cure.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self(ArcSwap::from_pointee(read(files)?)))
    }

    /// Reads both files again. Connections that are open keep their certificate.
    ///
    /// # Errors
    /// As those of [`Tls::load`]. New connections then get the certificate as before.
    pub fn reload(&self, files: &TlsFiles) -> Result<(), TlsError> {
        self.0.store(Arc::new(read(files)?));
        Ok(())
    }

    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.0.load_full());
        acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(BUFFERED_BYTES))).await
    }
}

/// A certificate or key that the host cannot use.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {file}: {problem}; {cure}")]
pub struct TlsError {
    setting: &'static str,
    file: String,
    problem: String,
    cure: &'static str,
}

impl TlsError {
    fn new(setting: &'static str, file: &Path, problem: impl Display, cure: &'static str) -> Self {
        Self { setting, file: file.display().to_string(), problem: problem.to_string(), cure }
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12]);
    let config = builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| {
        let cure = "name a certificate and its own key, the certificate of the host first in its file";
        TlsError::new(CERTIFICATE, &files.certificate, error, cure)
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let cure = "name a file in PEM with the certificate and the certificates of its issuers";
    let wrong = |problem: &dyn Display| TlsError::new(CERTIFICATE, path, problem, cure);
    let text = contents(path).map_err(|error| wrong(&error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(wrong(&"the file has no certificate")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(wrong(&error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let cure = "name a file in PEM with the private key of the certificate, without a passphrase";
    let wrong = |problem: &dyn Display| TlsError::new(KEY, path, problem, cure);
    let text = contents(path).map_err(|error| wrong(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| wrong(&"the file has no private key"))?;
    if fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o007 != 0) {
        tracing::warn!(file = %path.display(), "every user of this machine can reach the key of http.tls_key; make its mode 0600");
    }
    Ok(key)
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The opening of a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    File::open(path)?.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES { Err(io::Error::other("it has more than 1 MiB")) } else { Ok(bytes) }
}
