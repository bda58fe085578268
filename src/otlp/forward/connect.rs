//! Connections to an HTTP back end, with TLS where its URL says so.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tower::Service;

use super::{Access, BadTarget, CONNECT_TIMEOUT};

/// Opens connections.
#[derive(Clone)]
pub struct Connect {
    tcp: HttpConnector,
    tls: TlsConnector,
}

/// A connection, encrypted or not.
pub trait Link: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

impl Connection for Box<dyn Link> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Connect {
    /// A connector that trusts these certificate authorities.
    ///
    /// # Errors
    /// The TLS library does not take them, or not its own defaults.
    pub fn new(access: &Access) -> Result<Self, BadTarget> {
        let bad = |error: rustls::Error| BadTarget::Tls(error.to_string());
        let roots = access.roots()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(bad)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Ok(Self { tcp, tls: TlsConnector::from(Arc::new(config)) })
    }
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connect")
    }
}

impl Service<Uri> for Connect {
    type Response = TokioIo<Box<dyn Link>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_ready(cx).map_err(io::Error::other)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let host = (url.scheme_str() == Some("https")).then(|| url.host().unwrap_or_default().to_owned());
        let tcp = self.tcp.call(url);
        let tls = self.tls.clone();
        Box::pin(async move {
            let stream = tcp.await.map_err(io::Error::other)?.into_inner();
            let Some(host) = host else { return Ok(TokioIo::new(Box::new(stream) as Box<dyn Link>)) };
            let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(bare).map_err(io::Error::other)?;
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, tls.connect(name, stream)).await??;
            Ok(TokioIo::new(Box::new(stream) as Box<dyn Link>))
        })
    }
}
