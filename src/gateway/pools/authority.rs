//! Which certificate authorities does a pool trust?

use std::path::Path;
use std::sync::Arc;

use pingora_core::protocols::tls::CaType;
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::read::read_file;
use crate::gateway::pools::PoolError;
use crate::names::PoolName;

/// Whom a pool trusts instead of the system's.
pub(super) struct Authorities {
    pub(super) trusted: Arc<CaType>,
    /// Tells them from others.
    pub(super) hash: blake3::Hash,
}

/// Those in a PEM file, at least one.
pub(super) fn read(pool: &PoolName, path: &Path) -> Result<Authorities, PoolError> {
    let fail = |reason: String| PoolError::CertificateAuthority {
        pool: pool.clone(),
        path: path.display().to_string(),
        reason,
    };
    let text = read_file(path).map_err(|error| fail(error.to_string()))?;
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| fail(error.to_string()))?;
    if certificates.is_empty() {
        return Err(fail("it holds no certificate".to_owned()));
    }
    let mut roots = rustls::RootCertStore::empty();
    let mut parsed = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        // The store parses without panicking; what follows may rely on it.
        roots
            .add(certificate.clone())
            .map_err(|error| fail(error.to_string()))?;
        parsed.push(WrappedX509::new(certificate.to_vec(), parse_x509));
    }
    Ok(Authorities {
        trusted: Arc::from(parsed),
        hash: blake3::hash(text.as_bytes()),
    })
}
