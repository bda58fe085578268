//! The server's certificate, read again when its file changes.

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsAcceptor;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// The certificate in use.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// An acceptor for these files, and the task that watches them.
pub fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let current = Arc::new(Current(ArcSwap::from_pointee(load(certificate, key)?)));
    tokio::spawn(watch(Arc::clone(&current), certificate.to_owned(), key.to_owned()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn load(certificate: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let key = aws_lc_rs::sign::any_supported_type(&key)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match()?;
    Ok(certified)
}

/// A pair that cannot be used is left alone: the one before goes on serving.
async fn watch(current: Arc<Current>, certificate: PathBuf, key: PathBuf) {
    let mut seen = changed(&certificate);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = changed(&certificate);
        if now == seen {
            continue;
        }
        match load(&certificate, &key) {
            Ok(fresh) => {
                current.0.store(Arc::new(fresh));
                seen = now;
                tracing::info!("the certificate was read again");
            }
            Err(error) => {
                tracing::error!(%error, "the changed certificate cannot be used; the one before stays");
            }
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    match std::fs::metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(time) => Some(time),
        Err(error) => {
            tracing::error!(%error, "the certificate's file cannot be looked at");
            None
        }
    }
}
