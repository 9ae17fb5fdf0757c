//! How does the simulator speak TLS?
//!
//! With a certificate from its caller, and with the provider named: two are linked into
//! this program, and rustls refuses to guess between them.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// A certificate and what is offered under it.
#[derive(Clone)]
pub struct Tls {
    /// The chain, PEM, the simulator's own certificate first.
    pub certificates_pem: String,
    /// The private key, PEM.
    pub key_pem: String,
    /// Whether HTTP/2 is offered, before HTTP/1.1.
    pub http2: bool,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("certificates_pem", &self.certificates_pem)
            .field("key_pem", &"***")
            .field("http2", &self.http2)
            .finish()
    }
}

impl Tls {
    pub(super) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let certificates = CertificateDer::pem_slice_iter(self.certificates_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| invalid("the simulator's certificates are no PEM", &error))?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|error| invalid("the simulator's private key is no PEM", &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("no TLS version is left to offer", &error))?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|error| invalid("certificate and key do not go together", &error))?;
        config.alpn_protocols = if self.http2 {
            vec![HTTP2.to_vec(), b"http/1.1".to_vec()]
        } else {
            vec![b"http/1.1".to_vec()]
        };
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// HTTP/2's name in ALPN, RFC 9113 §3.2.
pub(super) const HTTP2: &[u8] = b"h2";

fn invalid(what: &str, error: &dyn std::error::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{what}: {error}"))
}
