//! Doorward as the binary runs it.

use crate::child;
use crate::options::Options;
use anyhow::{Context as _, Result};
use doorward::boot::Server;
use doorward::config::{Settings, load};

/// Serves until the parent goes away; announces OTLP over gRPC, then over HTTP.
pub async fn serve(options: &Options) -> Result<()> {
    let server = Server::start(settings(options)?).await?;
    let at = server.addresses();
    child::announce(&[
        at.otlp_grpc.context("no OTLP over gRPC")?,
        at.otlp_http.context("no OTLP over HTTP")?,
    ])?;
    child::parent_gone().await;
    Ok(())
}

/// The defaults but for the settings given, on ports of the system's choice.
fn settings(options: &Options) -> Result<Settings> {
    let path = options.database.as_deref().context("a Doorward needs a database")?;
    let database = format!("sqlite://{}", path.to_str().context("the path is not text")?);
    let mut variables = vec![("DOORWARD_DATABASE_URL".to_owned(), database)];
    for port in ["API__LISTEN", "OPS__LISTEN", "OTLP__GRPC_LISTEN", "OTLP__HTTP_LISTEN"] {
        variables.push((format!("DOORWARD_{port}"), "127.0.0.1:0".to_owned()));
    }
    for setting in &options.settings {
        let (name, value) = setting.split_once('=').context("a setting has no value")?;
        variables.push((format!("DOORWARD_{name}"), value.to_owned()));
    }
    Ok(load(None, variables.into_iter())?)
}
