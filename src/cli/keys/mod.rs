//! `doorward key`: makes, lists, changes, rotates, revokes and imports API keys.

mod args;
mod ingest;
mod shown;
mod usage;

pub use args::{KeyVerb, Kind};

use crate::cli::failure::Failure;
use crate::cli::output::{Format, Shown};
use crate::cli::repeat::{id_or_fresh, with_etag};
use crate::cli::session::Session;
use crate::client::{Presented, Repeat};
use crate::pb::v1::{
    ApiKeyKind, CreateApiKeyRequest, Environment, GetApiKeyRequest, ImportApiKeyRequest, ListApiKeysRequest,
    RevokeApiKeyRequest, RotateApiKeyRequest, UpdateApiKeyRequest,
};
use args::{CreateArgs, GetArgs, ImportArgs, ListArgs, RevokeArgs, RotateArgs, UpdateArgs};
use jiff::Timestamp;
use prost_types::FieldMask;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Read;
use zeroize::Zeroizing;

const SECRET_WARNING: &str = "This is the key. It is shown this once; keep it safe:";

/// Runs a verb on keys.
pub async fn run(verb: KeyVerb, session: Session<'_>) -> Result<(), Failure> {
    match verb {
        KeyVerb::Create(args) => create(args, session).await,
        KeyVerb::List(args) => list(args, session).await,
        KeyVerb::Get(args) => get(args, session).await,
        KeyVerb::Update(args) => update(args, session).await,
        KeyVerb::Rotate(args) => rotate(args, session).await,
        KeyVerb::Revoke(args) => revoke(args, session).await,
        KeyVerb::Import(args) => import(args, session).await,
        KeyVerb::Usage(args) => usage::run(args, session).await,
    }
}

async fn create(args: CreateArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let quiet = args.quiet;
    let request = create_request(args, session.world.now)?;
    let client = session.client.keys();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.create_api_key(request).await }
    });
    let mut answer = answer.await?;
    let secret = Zeroizing::new(answer.secret.clone());
    let id = answer.api_key.as_ref().map_or_else(String::new, |key| key.id.clone());
    let shown = show_with_secret(&mut session, &answer, &secret, &id, quiet);
    zeroize::Zeroize::zeroize(&mut answer.secret);
    shown
}

async fn rotate(args: RotateArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let quiet = args.quiet;
    let request = rotate_request(args)?;
    let client = session.client.keys();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.rotate_api_key(request).await }
    });
    let mut answer = answer.await?;
    let secret = Zeroizing::new(answer.secret.clone());
    let shown = show_with_secret(&mut session, &answer, &secret, &request.id, quiet);
    zeroize::Zeroize::zeroize(&mut answer.secret);
    shown
}

async fn list(args: ListArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = list_request(&args);
    let client = session.client.keys();
    let ask = |page_token| {
        let (mut client, request) = (client.clone(), ListApiKeysRequest { page_token, ..request.clone() });
        async move { client.list_api_keys(request).await }
    };
    args.page.show(&mut session, ask).await
}

async fn get(args: GetArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = GetApiKeyRequest { id: args.id, ..GetApiKeyRequest::default() };
    let client = session.client.keys();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.get_api_key(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn update(args: UpdateArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = update_request(args, session.world.now)?;
    let client = session.client.keys();
    let answer = session.call(with_etag(&request.etag), || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.update_api_key(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn revoke(args: RevokeArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = RevokeApiKeyRequest { id: args.id };
    let client = session.client.keys();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.revoke_api_key(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn import(args: ImportArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = import_request(args, session.world.now, &mut *session.world.input)?;
    let client = session.client.keys();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.import_api_key(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

/// Shows the answer, then the secret alone on its line. A secret that cannot
/// be written is lost, so the failure says what to do about the key.
fn show_with_secret<T: Shown>(
    session: &mut Session<'_>,
    answer: &T,
    secret: &str,
    id: &str,
    quiet: bool,
) -> Result<(), Failure> {
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::Incomplete("secret that is one"));
    }
    let output = &mut session.world.output;
    let line = Zeroizing::new(format!("{secret}\n"));
    let written = match (quiet, output.format()) {
        (true, _) => output.result(&line),
        (false, Format::Json) => output.show(answer),
        (false, Format::Table) => {
            output.show(answer).and_then(|()| output.note(SECRET_WARNING)).and_then(|()| output.result(&line))
        }
    };
    written.map_err(|cause| {
        Failure::Local(format!(
            "{id} has a new secret, but it could not be written ({cause}); rotate or revoke the key"
        ))
    })
}

fn create_request(args: CreateArgs, now: Timestamp) -> Result<CreateApiKeyRequest, Failure> {
    Ok(CreateApiKeyRequest {
        display_name: args.name,
        kind: args.kind.map_or(ApiKeyKind::Unspecified, ApiKeyKind::from).into(),
        user_id: args.user.unwrap_or_default(),
        scopes: args.limits.scopes,
        environment: args.environment.map_or(Environment::Unspecified, Environment::from).into(),
        expire_time: args.expires.resolve(now).map_err(|cause| Failure::Usage(cause.to_string()))?,
        allowed_networks: args.limits.networks,
        rate_limit: args.limits.rate_limit,
        request_id: id_or_fresh(args.request_id)?,
    })
}

fn rotate_request(args: RotateArgs) -> Result<RotateApiKeyRequest, Failure> {
    let overlap =
        prost_types::Duration::try_from(args.overlap).map_err(|cause| Failure::Usage(cause.to_string()))?;
    Ok(RotateApiKeyRequest {
        id: args.id,
        overlap: Some(overlap),
        request_id: id_or_fresh(args.request_id)?,
        etag: args.etag.unwrap_or_default(),
    })
}

fn list_request(args: &ListArgs) -> ListApiKeysRequest {
    ListApiKeysRequest {
        page_size: args.page.page_size,
        user_id: args.user.clone().unwrap_or_default(),
        kind: args.kind.map_or(ApiKeyKind::Unspecified, ApiKeyKind::from).into(),
        show_revoked: args.show_revoked,
        min_revision: String::new(),
        ..ListApiKeysRequest::default()
    }
}

fn update_request(args: UpdateArgs, now: Timestamp) -> Result<UpdateApiKeyRequest, Failure> {
    let changed = [
        ("display_name", args.name.is_some()),
        ("scopes", args.all_scopes || !args.scopes.is_empty()),
        ("allowed_networks", args.any_network || !args.networks.is_empty()),
        ("rate_limit", args.rate_limit.is_some()),
        ("expire_time", args.expires.is_some()),
    ];
    let paths = changed.iter().filter(|(_, given)| *given).map(|(path, _)| (*path).to_owned()).collect();
    let expire_time = args.expires.map_or(Ok(None), |end| end.resolve(now));
    Ok(UpdateApiKeyRequest {
        id: args.id,
        update_mask: Some(FieldMask { paths }),
        display_name: args.name.unwrap_or_default(),
        scopes: args.scopes,
        allowed_networks: args.networks,
        rate_limit: args.rate_limit.unwrap_or_default(),
        expire_time: expire_time.map_err(|cause| Failure::Usage(cause.to_string()))?,
        etag: args.etag.unwrap_or_default(),
    })
}

fn import_request(
    args: ImportArgs,
    now: Timestamp,
    input: &mut dyn Read,
) -> Result<ImportApiKeyRequest, Failure> {
    let expire_time = args.expires.resolve(now).map_err(|cause| Failure::Usage(cause.to_string()))?;
    if expire_time.is_none() {
        return Err(Failure::Usage("an imported key needs an end: --expires 90d, say".to_owned()));
    }
    let sha256 = match args.sha256 {
        Some(hex) => hex,
        None => digest_of_input(input)?,
    };
    Ok(ImportApiKeyRequest {
        sha256,
        profile: args.profile,
        display_name: args.name,
        expire_time,
        user_id: args.user.unwrap_or_default(),
        scopes: args.limits.scopes,
        allowed_networks: args.limits.networks,
        rate_limit: args.limits.rate_limit,
        request_id: id_or_fresh(args.request_id)?,
    })
}

fn digest_of_input(input: &mut dyn Read) -> Result<String, Failure> {
    let read = Presented::read(input).map_err(|cause| Failure::Usage(format!("standard input: {cause}")))?;
    let key = read.map_err(|cause| Failure::Usage(format!("standard input: {cause}")))?;
    let digest = Sha256::digest(key.expose().as_bytes());
    Ok(digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn parse(line: &str) -> Result<KeyVerb, clap::Error> {
        let cli = Cli::try_parse_from(format!("doorward key {line}").split_whitespace())?;
        let Command::Key(verb) = cli.command else { panic!("{cli:?}") };
        Ok(verb)
    }

    #[test]
    fn create_takes_over_every_option() {
        let line = "create ci --kind service --user user_1 --scope keys.read --scope a.b --environment test \
            --expires 90d --network 10.0.0.0/8 --network ::1 --rate-limit 600 \
            --request-id 6f6e1a4e-33d3-4a53-9d6c-1d7c7c7c0a01";
        let KeyVerb::Create(args) = parse(line).unwrap() else { panic!() };
        let request = create_request(args, NOW).unwrap();
        let expected = CreateApiKeyRequest {
            display_name: "ci".into(),
            kind: ApiKeyKind::Service.into(),
            user_id: "user_1".into(),
            scopes: vec!["keys.read".into(), "a.b".into()],
            environment: Environment::Test.into(),
            expire_time: Some(prost_types::Timestamp { seconds: 90 * 86_400, nanos: 0 }),
            allowed_networks: vec!["10.0.0.0/8".into(), "::1".into()],
            rate_limit: 600,
            request_id: "6f6e1a4e-33d3-4a53-9d6c-1d7c7c7c0a01".into(),
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn create_needs_a_name_only_and_gets_an_id_of_its_own() {
        let KeyVerb::Create(args) = parse("create ci").unwrap() else { panic!() };
        let request = create_request(args, NOW).unwrap();
        assert_eq!((request.kind, request.environment, request.expire_time), (0, 0, None));
        assert_eq!(Uuid::parse_str(&request.request_id).unwrap().get_version_num(), 4);
    }

    #[test]
    fn update_names_what_was_given_and_nothing_else() {
        for (line, mask) in [
            ("--name x", vec!["display_name"]),
            ("--scope a.b --rate-limit 0", vec!["scopes", "rate_limit"]),
            ("--all-scopes --any-network", vec!["scopes", "allowed_networks"]),
            ("--expires never", vec!["expire_time"]),
        ] {
            let KeyVerb::Update(args) = parse(&format!("update key_1 {line}")).unwrap() else { panic!() };
            let request = update_request(args, NOW).unwrap();
            assert_eq!(request.update_mask.unwrap().paths, mask, "{line}");
        }
    }

    #[test]
    fn wrong_usage_is_found_before_any_call() {
        for line in [
            "create",
            "create ci --kind global",
            "create ci --network example.com",
            "create ci --expires soon",
            "create ci --request-id 7",
            "create ci --rate-limit -1",
            "list --page-size 0",
            "list --page-size 1001",
            "update key_1",
            "update key_1 --etag x",
            "update key_1 --scope a --all-scopes",
            "rotate key_1 --overlap 24",
            "revoke",
            "import --profile p --expires 90d",
            "import --profile p --sha256 00",
            "import --profile p --expires 90d --sha256 dw_live_x",
        ] {
            assert_eq!(parse(line).map(|_| ()).unwrap_err().exit_code(), 2, "{line}");
        }
        let both = format!("import --profile p --expires 90d --from-stdin --sha256 {}", "0".repeat(64));
        assert_eq!(parse(&both).map(|_| ()).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_key_on_standard_input_is_hashed_here() {
        let import = || {
            let line = "import --profile legacy --expires 1d --from-stdin";
            let KeyVerb::Import(args) = parse(line).unwrap() else { panic!() };
            args
        };
        let request = import_request(import(), NOW, &mut &b"abc\n"[..]).unwrap();
        assert_eq!(request.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        for bad in [&b""[..], b"\n", b"a b\n", b"\xff\n"] {
            assert_eq!(import_request(import(), NOW, &mut &bad[..]).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn an_import_must_end() {
        let KeyVerb::Import(args) = parse("import --profile p --expires never --from-stdin").unwrap() else {
            panic!()
        };
        let failure = import_request(args, NOW, &mut &b"abc"[..]).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
    }
}
