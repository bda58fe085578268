//! The connection to a server.

use super::address::Address;
use super::credential::{Attach, CredentialError, Presented};
use crate::pb::v1::audit_service_client::AuditServiceClient;
use crate::pb::v1::authn_service_client::AuthnServiceClient;
use crate::pb::v1::keys_service_client::KeysServiceClient;
use crate::pb::v1::tenancy_service_client::TenancyServiceClient;
use std::error::Error;
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

const USER_AGENT: &str = concat!("doorward/", env!("CARGO_PKG_VERSION"));

/// Bytes that a message of an export may have.
const MAX_EXPORT: usize = 16 * 1024 * 1024;

/// How long to wait, and for which tenant to speak.
#[derive(Clone, Debug)]
pub struct Options {
    /// Until the connection stands, TLS included; 5 seconds by default.
    pub connect_timeout: Duration,
    /// For one call, retries included; 10 seconds by default.
    pub deadline: Duration,
    /// The tenant that calls are meant for, by id or slug; the credential's own if not set.
    pub tenant: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), deadline: Duration::from_secs(10), tenant: None }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing answered as it should.
    #[error("cannot reach {address}: {cause}")]
    Unreachable {
        /// The address that was tried.
        address: String,
        /// What the network or TLS said.
        cause: String,
    },
    /// Nothing answered in time.
    #[error("{address} did not answer within {} s", .after.as_secs_f32())]
    TimedOut {
        /// The address that was tried.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// The platform's trusted certificates could not be used.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The credential or the tenant cannot be sent.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

/// A connection to a server, with the credential that its calls carry. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    attach: Attach,
    deadline: Duration,
}

impl Client {
    /// Connects. Trusts the platform's certificates (`SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name others).
    pub async fn connect(
        address: &Address,
        credential: Option<&Presented>,
        options: &Options,
    ) -> Result<Self, ConnectError> {
        let attach = Attach::new(credential, options.tenant.as_deref(), options.deadline)?;
        let endpoint = endpoint(address, options)?;
        let channel = open(&endpoint, address, options.connect_timeout).await?;
        Ok(Self { channel, attach, deadline: options.deadline })
    }

    /// A client that connects when it is first used, for tests of what holds one.
    #[cfg(test)]
    pub(super) fn lazy(address: &Address) -> Self {
        let options = Options::default();
        let channel = endpoint(address, &options).unwrap().connect_lazy();
        Self {
            channel,
            attach: Attach::new(None, None, options.deadline).unwrap(),
            deadline: options.deadline,
        }
    }

    /// Checks of credentials.
    pub fn authn(&self) -> AuthnServiceClient<InterceptedService<Channel, Attach>> {
        AuthnServiceClient::with_interceptor(self.channel.clone(), self.attach.clone())
    }

    /// The same for streams, without a deadline.
    pub fn watching(&self) -> AuthnServiceClient<InterceptedService<Channel, Attach>> {
        let attach = self.attach.clone().without_deadline();
        AuthnServiceClient::with_interceptor(self.channel.clone(), attach)
    }

    /// API keys.
    pub fn keys(&self) -> KeysServiceClient<InterceptedService<Channel, Attach>> {
        KeysServiceClient::with_interceptor(self.channel.clone(), self.attach.clone())
    }

    /// The audit log.
    pub fn audit(&self) -> AuditServiceClient<InterceptedService<Channel, Attach>> {
        AuditServiceClient::with_interceptor(self.channel.clone(), self.attach.clone())
    }

    /// The same for exports, without a deadline.
    pub fn exporting(&self) -> AuditServiceClient<InterceptedService<Channel, Attach>> {
        let attach = self.attach.clone().without_deadline();
        AuditServiceClient::with_interceptor(self.channel.clone(), attach)
            .max_decoding_message_size(MAX_EXPORT)
    }

    /// Tenants and their members.
    pub fn tenancy(&self) -> TenancyServiceClient<InterceptedService<Channel, Attach>> {
        TenancyServiceClient::with_interceptor(self.channel.clone(), self.attach.clone())
    }

    /// Has calls that begin from now on carry another credential, those of clones too.
    pub fn present(&self, credential: &Presented) -> Result<(), CredentialError> {
        self.attach.replace(credential)
    }

    /// The same connection for calls that need no credential and are meant for no tenant.
    #[must_use]
    pub fn without_credential(&self) -> Self {
        Self { attach: self.attach.without_credential(), ..self.clone() }
    }

    /// How long one call may take, retries included.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }
}

fn endpoint(address: &Address, options: &Options) -> Result<Endpoint, ConnectError> {
    let tls = |cause: tonic::transport::Error| ConnectError::Tls(innermost(&cause));
    let endpoint = Endpoint::from(address.uri().clone())
        .user_agent(USER_AGENT)
        .map_err(tls)?
        .connect_timeout(options.connect_timeout)
        .timeout(options.deadline)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    if !address.is_encrypted() {
        return Ok(endpoint);
    }
    endpoint.tls_config(ClientTlsConfig::new().with_native_roots()).map_err(tls)
}

/// The endpoint's own timeout covers TCP alone; this one covers TLS too.
async fn open(endpoint: &Endpoint, address: &Address, limit: Duration) -> Result<Channel, ConnectError> {
    match tokio::time::timeout(limit, endpoint.connect()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(cause)) => {
            Err(ConnectError::Unreachable { address: address.to_string(), cause: innermost(&cause) })
        }
        Err(_elapsed) => Err(ConnectError::TimedOut { address: address.to_string(), after: limit }),
    }
}

/// The error at the bottom of the chain: the layers above it say only "transport error".
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut lowest = error;
    while let Some(cause) = lowest.source() {
        lowest = cause;
    }
    lowest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn connect(text: &str, options: Options) -> ConnectError {
        Client::connect(&Address::parse(text).unwrap(), None, &options).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_closed_port_is_named_with_its_cause() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let error = connect(&address.to_string(), Options::default()).await.to_string();
        assert!(error.starts_with(&format!("cannot reach http://{address}: ")), "{error}");
        assert!(error.contains("refused"), "{error}");
    }

    #[tokio::test]
    async fn a_silent_tls_server_ends_in_a_timeout() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = format!("https://{}", silent.local_addr().unwrap());
        let options = Options { connect_timeout: Duration::from_millis(200), ..Options::default() };
        let error = connect(&text, options).await;
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
        assert!(error.to_string().ends_with("within 0.2 s"), "{error}");
    }

    #[tokio::test]
    async fn a_plain_server_is_not_taken_for_a_tls_server() {
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = format!("https://{}", plain.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = plain.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        });
        let error = connect(&text, Options::default()).await;
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    }

    #[cfg(feature = "server")]
    #[tokio::test]
    async fn a_certificate_of_nobody_that_is_trusted_is_refused() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let identity =
            tonic::transport::Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let mut server = tonic::transport::Server::builder()
            .tls_config(tonic::transport::ServerTlsConfig::new().identity(identity))
            .unwrap();
        let (health, service) = tonic_health::server::health_reporter();
        let router = server.add_service(service);
        tokio::spawn(router.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));

        let error = connect(&text, Options::default()).await.to_string();
        assert!(error.contains("certificate"), "{error}");

        let trusting =
            ClientTlsConfig::new().ca_certificate(tonic::transport::Certificate::from_pem(made.cert.pem()));
        let endpoint = Endpoint::from_shared(text).unwrap().tls_config(trusting).unwrap();
        assert!(endpoint.connect().await.is_ok(), "it is the certificate alone that was refused");
        drop(health);
    }
}
