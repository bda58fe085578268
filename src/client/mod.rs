//! Calls Doorward from another Rust program: a connection that carries a
//! credential, refusals in a form to act on, and careful retries.
//!
//! Needs neither the database nor the password hashing of the server.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use doorward::client::{Address, Client, Options, Presented, Refusal};
//! use doorward::pb::v1::WhoAmIRequest;
//!
//! let key = Presented::from_environment(&|name| std::env::var_os(name))?;
//! let address = Address::parse("auth.example.com:443")?;
//! let client = Client::connect(&address, Some(&key), &Options::default()).await?;
//! let answer = client.authn().who_am_i(WhoAmIRequest {}).await.map_err(|status| Refusal::from(&status))?;
//! println!("{:?}", answer.into_inner().principal);
//! # Ok(())
//! # }
//! ```

mod address;
mod clock;
mod connect;
mod credential;
pub mod embedded;
pub mod login;
mod refusal;
mod retry;

pub use address::{Address, AddressError};
pub use clock::SystemClock;
pub use connect::{Client, ConnectError, Options};
pub use credential::{Attach, CredentialError, KEY_FILE_VARIABLE, KEY_VARIABLE, Presented};
pub use refusal::{FieldFault, REASON_DOMAIN, Refusal};
pub use retry::{MAX_RETRIES, Repeat, call};
