//! Which certificate does a listener show?
//!
//! The one that is in force when a handshake begins: pingora asks a resolver of ours
//! for every handshake, so a new pair needs no new listener. A pair is read and tried
//! before it comes into force, because pingora would panic on one that does not fit.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora_core::listeners::tls::TlsSettings;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;

use crate::config::read::read_file;
use crate::config::server::Tls;

/// The pair in force.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

/// A pair that fits.
#[derive(Debug)]
pub struct Pair(Arc<CertifiedKey>);

/// Why a certificate and a key cannot be used.
#[derive(Debug, Error)]
#[error(
    "cannot use the TLS certificate {cert} with the key {key}: {reason}; both must be PEM files that belong together"
)]
pub struct PairError {
    /// The certificate's path.
    pub cert: String,
    /// The key's path.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

impl Pair {
    /// Reads a certificate chain and its key.
    ///
    /// # Errors
    /// Where one cannot be read, or the two do not belong together.
    pub fn read(tls: &Tls) -> Result<Self, PairError> {
        let pair = read(&tls.cert, &tls.key).map_err(|reason| PairError {
            cert: tls.cert.display().to_string(),
            key: tls.key.display().to_string(),
            reason,
        })?;
        Ok(Self(pair))
    }
}

impl Certificate {
    /// This pair is in force.
    #[must_use]
    pub fn new(pair: Pair) -> Arc<Self> {
        Arc::new(Self(ArcSwap::new(pair.0)))
    }

    /// From the next handshake on, this pair is.
    pub fn replace(&self, pair: Pair) {
        self.0.store(pair.0);
    }

    /// How a listener shows it: TLS with HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// Never with pingora's rustls; what it says where it changes its mind.
    pub fn settings(self: &Arc<Self>) -> Result<TlsSettings, PairError> {
        // Paths are looked at only where there is no resolver.
        let mut settings = TlsSettings::intermediate("", "").map_err(|error| PairError {
            cert: String::new(),
            key: String::new(),
            reason: error.to_string(),
        })?;
        settings.set_cert_resolver(Arc::<Self>::clone(self));
        settings.enable_h2();
        Ok(settings)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn read(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, String> {
    let text = read_file(cert).map_err(|error| error.to_string())?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("certificate: {error}"))?;
    let text = read_file(key).map_err(|error| error.to_string())?;
    let key =
        PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| format!("key: {error}"))?;
    let provider = default_provider();
    let made = CertifiedKey::from_der(chain, key, &provider).map_err(|error| error.to_string())?;
    made.end_entity_cert().map_err(|error| error.to_string())?;
    Ok(Arc::new(made))
}
