//! What it takes to be let in at a back end.

use std::path::Path;
use std::sync::Arc;

use http::header::HeaderMap;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::BadTarget;

/// Headers of every request to a back end, and whom it is proven by.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The headers, where there are any.
    pub headers: Option<Arc<HeaderMap>>,
    /// The certificate authorities that are trusted; `None` for the system's.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
}

impl Access {
    /// These headers, and the certificate authorities in this file (PEM).
    ///
    /// # Errors
    /// There is none in it.
    pub fn new(headers: HeaderMap, ca_file: Option<&Path>) -> Result<Self, BadTarget> {
        let headers = (!headers.is_empty()).then(|| Arc::new(headers));
        Ok(Self { headers, authorities: ca_file.map(read).transpose()? })
    }

    /// The authorities as the TLS library takes them.
    ///
    /// # Errors
    /// One of them is no certificate.
    pub fn roots(&self) -> Result<RootCertStore, BadTarget> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            // Of the system's, some may well be too strange to be read.
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Some(own) => {
                for authority in own {
                    roots.add(authority.clone()).map_err(|error| BadTarget::Tls(error.to_string()))?;
                }
            }
        }
        Ok(roots)
    }
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, BadTarget> {
    let bad = |error: rustls::pki_types::pem::Error| {
        BadTarget::Tls(format!("the certificate authorities in {}: {error}", file.display()))
    };
    let read =
        CertificateDer::pem_file_iter(file).map_err(bad)?.collect::<Result<Vec<_>, _>>().map_err(bad)?;
    if read.is_empty() {
        return Err(BadTarget::Tls(format!("there is no certificate in {}", file.display())));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
        TraceService, TraceServiceServer,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::transport::{Identity, Server, ServerTlsConfig};
    use tonic::{Request, Response, Status};

    use super::*;
    use crate::otlp::forward::{Backend, Batch, Target};
    use crate::otlp::{Protocol, Signal};

    /// Takes everything.
    struct Taking;

    #[tonic::async_trait]
    impl TraceService for Taking {
        async fn export(
            &self,
            _request: Request<ExportTraceServiceRequest>,
        ) -> Result<Response<ExportTraceServiceResponse>, Status> {
            Ok(Response::new(ExportTraceServiceResponse::default()))
        }
    }

    /// A certificate of its own authority, and that in a file.
    fn certificate() -> (rcgen::CertifiedKey<rcgen::KeyPair>, tempfile::TempDir, PathBuf) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("authority.pem");
        std::fs::write(&file, made.cert.pem()).unwrap();
        (made, directory, file)
    }

    async fn export(port: u16, protocol: Protocol, access: &Access) -> Result<(), String> {
        let target = Target::parse(&format!("https://localhost:{port}"), Some(protocol)).unwrap();
        let backend = Backend::with(target, access, Arc::new(crate::otlp::sink::Stdout)).unwrap();
        let batch = Batch {
            signal: Signal::Traces,
            tenant: "t".into(),
            slug: None,
            correlation: "c".into(),
            body: bytes::Bytes::new().into(),
            items: 0,
            stripped: 0,
            trace: HeaderMap::new(),
        };
        backend
            .export(batch, Duration::from_secs(10))
            .await
            .map(drop)
            .map_err(|failure| format!("{failure:?}"))
    }

    #[tokio::test]
    async fn a_back_end_is_proven_by_the_authorities_of_the_file_and_by_no_others() {
        let (made, _directory, file) = certificate();
        let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
        let serving = server.add_service(TraceServiceServer::new(Taking));
        tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
        let known = Access::new(HeaderMap::new(), Some(&file)).unwrap();
        export(port, Protocol::Grpc, &known).await.unwrap();
        export(port, Protocol::Grpc, &Access::default()).await.unwrap_err();
        let (_, _other, file) = certificate();
        let other = Access::new(HeaderMap::new(), Some(&file)).unwrap();
        export(port, Protocol::Grpc, &other).await.unwrap_err();
    }

    #[tokio::test]
    async fn the_same_over_http() {
        let (made, _directory, file) = certificate();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _read = stream.read(&mut [0; 4_096]).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                stream.flush().await.unwrap();
            }
        });
        let known = Access::new(HeaderMap::new(), Some(&file)).unwrap();
        export(port, Protocol::Http, &known).await.unwrap();
        export(port, Protocol::Http, &Access::default()).await.unwrap_err();
    }

    #[test]
    fn a_file_without_certificates_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("empty.pem");
        std::fs::write(&file, "nothing of the kind\n").unwrap();
        let told = Access::new(HeaderMap::new(), Some(&file)).unwrap_err().to_string();
        assert!(told.contains("no certificate") && told.contains("empty.pem"), "{told}");
    }
}
