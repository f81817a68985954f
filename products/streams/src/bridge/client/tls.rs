//! TLS to the other cluster.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// The certificates of a PEM text.
pub(in crate::bridge) fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| "the certificates to trust are not PEM".to_owned())?;
        roots.add(certificate).map_err(|_| "a certificate to trust is none of X.509".to_owned())?;
    }
    if roots.is_empty() {
        return Err("the certificates to trust hold no certificate in PEM form".to_owned());
    }
    Ok(roots)
}

/// What makes TLS connections, trusting the given certificates or else the system's.
pub(super) fn connector(ca: Option<&str>) -> Result<TlsConnector, String> {
    let roots = match ca {
        Some(pem) => roots(pem)?,
        None => {
            let mut roots = RootCertStore::empty();
            // One that cannot be read is not trusted; the others are.
            for certificate in rustls_native_certs::load_native_certs().certs {
                let _ = roots.add(certificate);
            }
            if roots.is_empty() {
                return Err("this machine trusts no certificate: give the bridge the cluster's CA".to_owned());
            }
            roots
        }
    };
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
