//! Which certificate does a test trust?
//!
//! One of its own, made for the test, for this machine's names only. It is its own
//! authority, so that whoever is to trust it is given the very file.

use std::path::{Path, PathBuf};

/// A certificate for `localhost` and `127.0.0.1`, and its key.
pub(crate) struct Certificate {
    /// The certificate, PEM.
    pub(crate) certificate_pem: String,
    /// Its private key, PEM.
    pub(crate) key_pem: String,
}

impl Certificate {
    /// A new one.
    pub(crate) fn new() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Self {
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        }
    }

    /// Writes both into a folder, and says where the certificate is.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let certificate = folder.join("certificate.pem");
        std::fs::write(&certificate, &self.certificate_pem).unwrap();
        std::fs::write(folder.join("key.pem"), &self.key_pem).unwrap();
        certificate
    }
}
