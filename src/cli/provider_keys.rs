//! `doorward provider-key`: sets, lists, deletes and fetches the tenant's keys
//! of other providers.

use crate::cli::failure::Failure;
use crate::cli::output::{Format, Shown};
use crate::cli::paging::PageArgs;
use crate::cli::prompt;
use crate::cli::session::Session;
use crate::cli::table::{View, moment};
use crate::client::Repeat;
use crate::pb::v1::{
    DeleteProviderKeyRequest, DeleteProviderKeyResponse, FetchProviderKeyRequest, FetchProviderKeyResponse,
    ListProviderKeysRequest, ListProviderKeysResponse, ProviderKey, SetProviderKeyRequest,
    SetProviderKeyResponse,
};
use clap::{Args, Subcommand};
use zeroize::{Zeroize, Zeroizing};

const HEADERS: &[&str] = &["PROVIDER", "LABEL", "FINGERPRINT", "SET BY", "SET", "LAST FETCHED"];

const SET_HELP: &str = "\
The secret is asked for, or read from standard input with --from-stdin; it is
never an argument. Nobody but a service sees it again.

Examples:
  doorward provider-key set openai
  doorward provider-key set anthropic --label team-a --from-stdin < anthropic.key";

const LIST_HELP: &str = "\
Examples:
  doorward provider-key list
  doorward provider-key list --output json | jq -r '.provider_keys[].provider'";

const DELETE_HELP: &str = "\
Example:
  doorward provider-key delete anthropic --label team-a";

const FETCH_HELP: &str = "\
For keys of kind service that have provider_keys.fetch. Each call is an entry of
the audit log.

Example:
  key=$(doorward provider-key fetch openai)";

/// What to do with provider keys.
#[derive(Debug, Subcommand)]
pub enum ProviderKeyVerb {
    /// Set a key, in place of the one before
    #[command(after_help = SET_HELP)]
    Set(SetArgs),
    /// List the keys, without their secrets
    #[command(after_help = LIST_HELP)]
    List(ListArgs),
    /// Delete a key
    #[command(after_help = DELETE_HELP)]
    Delete(NameArgs),
    /// Print a key's secret, to a service
    #[command(after_help = FETCH_HELP)]
    Fetch(NameArgs),
}

/// Which key.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// Who it is for, such as openai
    pub provider: String,
    /// Which of the keys of this provider, if there are several
    #[arg(long, value_name = "LABEL", default_value = "", hide_default_value = true)]
    pub label: String,
}

/// Options of `provider-key set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Which key.
    #[command(flatten)]
    pub name: NameArgs,
    /// Read the secret from standard input, a line
    #[arg(long)]
    pub from_stdin: bool,
}

/// Options of `provider-key list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which part of the list.
    #[command(flatten)]
    pub page: PageArgs,
}

/// Runs a verb on provider keys.
pub async fn run(verb: ProviderKeyVerb, session: Session<'_>) -> Result<(), Failure> {
    match verb {
        ProviderKeyVerb::Set(args) => set(args, session).await,
        ProviderKeyVerb::List(args) => list(args, session).await,
        ProviderKeyVerb::Delete(args) => delete(args, session).await,
        ProviderKeyVerb::Fetch(args) => fetch(args, session).await,
    }
}

async fn set(args: SetArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let NameArgs { provider, label } = args.name;
    let secret = prompt::secret(session.world, "Provider's key: ", args.from_stdin, "--from-stdin")?;
    let client = session.client.keys();
    let answer = session.call(Repeat::Safe, || {
        let (provider, label, secret) = (provider.clone(), label.clone(), secret.to_string());
        let mut client = client.clone();
        async move { client.set_provider_key(SetProviderKeyRequest { provider, label, secret }).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn list(args: ListArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = ListProviderKeysRequest { page_size: args.page.page_size, ..<_>::default() };
    let client = session.client.keys();
    let ask = |page_token| {
        let (mut client, request) =
            (client.clone(), ListProviderKeysRequest { page_token, ..request.clone() });
        async move { client.list_provider_keys(request).await }
    };
    args.page.show(&mut session, ask).await
}

async fn delete(args: NameArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = DeleteProviderKeyRequest { provider: args.provider, label: args.label };
    let client = session.client.keys();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.delete_provider_key(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.done(&answer, "deleted; no service gets it any more")?)
}

async fn fetch(args: NameArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = FetchProviderKeyRequest { provider: args.provider, label: args.label };
    let client = session.client.keys();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.fetch_provider_key(request).await }
    });
    let mut answer = answer.await?;
    let written = match session.world.output.format() {
        Format::Json => session.world.output.show(&answer),
        Format::Table => {
            let line = Zeroizing::new(format!("{}\n", answer.secret));
            session.world.output.result(&line)
        }
    };
    answer.secret.zeroize();
    Ok(written?)
}

impl Shown for SetProviderKeyResponse {
    const NAME: &'static str = "SetProviderKeyResponse";

    fn view(&self) -> View {
        View::Fields(self.provider_key.as_ref().map_or_else(Vec::new, fields))
    }
}

impl Shown for ListProviderKeysResponse {
    const NAME: &'static str = "ListProviderKeysResponse";

    fn view(&self) -> View {
        let rows = self.provider_keys.iter().map(row).collect();
        View::Rows { headers: HEADERS, rows, empty: "no provider keys" }
    }
}

impl Shown for DeleteProviderKeyResponse {
    const NAME: &'static str = "DeleteProviderKeyResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}

impl Shown for FetchProviderKeyResponse {
    const NAME: &'static str = "FetchProviderKeyResponse";

    fn view(&self) -> View {
        View::Fields(self.provider_key.as_ref().map_or_else(Vec::new, fields))
    }
}

fn row(key: &ProviderKey) -> Vec<String> {
    vec![
        key.provider.clone(),
        key.label.clone(),
        key.fingerprint.clone(),
        key.set_by.clone(),
        moment(key.set_time.as_ref()),
        moment(key.last_fetched_time.as_ref()),
    ]
}

fn fields(key: &ProviderKey) -> Vec<(&'static str, String)> {
    vec![
        ("Id", key.id.clone()),
        ("Provider", key.provider.clone()),
        ("Label", key.label.clone()),
        ("Fingerprint", key.fingerprint.clone()),
        ("Set by", key.set_by.clone()),
        ("Set", moment(key.set_time.as_ref())),
        ("Last fetched", moment(key.last_fetched_time.as_ref())),
    ]
}
