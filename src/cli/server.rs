//! The verbs that are the server.

use super::told::{LabTold, Told};
use super::vault;
use crate::boot;
use crate::boot::LabTenant;
use crate::config::{self, LogFormat, Settings};
use crate::domain::reading::Reading;
use clap::{Args, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const DEV_HELP: &str = "\
The first start makes the tenant `acme` with an owner, an API key and an ingest
key, and prints them once. A later start uses the same data and says how to
make new keys.

Examples:
  doorward dev
  doorward dev --json --dir /tmp/doorward | jq -r .api_key";

const LAB_HELP: &str = "\
For trying out what stands behind Doorward. There are no keys: each resource
says in its attribute `tenant.id` whose it is. Only this machine gets in, only
OTLP and the ops port are served, no database is opened, and a request that
brings a key is refused. Every answer, the log and the metric doorward_otlp_lab
say that this is a lab. For telemetry that has to be told apart safely, use
`doorward dev` or `doorward serve`, where the key alone decides.

Examples:
  doorward lab
  doorward lab --default-tenant team-a --json
  DOORWARD_OTLP__BACKEND=http://127.0.0.1:14318 doorward lab";

const SERVE_HELP: &str = "\
Settings come from the file, then from the environment: the setting `key` of
the section `section` is DOORWARD_SECTION__KEY. All faults are reported at once,
before any port is bound, with exit code 64.

Examples:
  DOORWARD_DATABASE_URL=postgres://doorward@db/doorward doorward serve
  doorward serve --config /etc/doorward/doorward.toml";

const MIGRATE_HELP: &str = "\
`serve` does the same when it starts, under a lock; this verb is for those who
keep the right to change tables apart from the server's.

Example:
  doorward migrate --config /etc/doorward/doorward.toml";

const BOOTSTRAP_HELP: &str = "\
Prints the owner's e-mail and password, an API key and an ingest key, once.

Example:
  doorward bootstrap --tenant acme --email owner@acme.example --json";

const CHECK_CONFIG_HELP: &str = "\
Exit code 0 if the server would start with it, 64 if not.

Example:
  doorward check-config --config /etc/doorward/doorward.toml";

const JOBS_LIST_HELP: &str = "\
Examples:
  doorward jobs list
  doorward jobs list --json | jq -r '.[] | select(.last_failure) | .name'";

const JOBS_RUN_HELP: &str = "\
A server has to be running on the same database.

Example:
  doorward jobs run changes_prune";

const DOCTOR_HELP: &str = "\
Looks at the database and the settings for whatever voids a promise: an
asynchronous standby, fsync off, a standby where the primary should be, a lease
that differs between replicas. Exit code 1 if something does.

Examples:
  doorward doctor --config /etc/doorward/doorward.toml
  doorward doctor --json | jq '.[] | select(.verdict == \"bad\")'";

const NEW_ERA_HELP: &str = "\
To be run once after a backup was restored, or after a fail-over that lost
commits. Replicas that have seen later changes answer nothing until then; they
load everything anew, without a restart. What was revoked after the backup was
taken is valid again: revoke it again.

Example:
  doorward new-era --config /etc/doorward/doorward.toml";

/// The verbs that are the server.
#[derive(Debug, Subcommand)]
pub enum ServerVerb {
    /// Start a server on this machine only, with a tenant and keys to try it out
    #[command(after_help = DEV_HELP)]
    Dev(DevArgs),
    /// Take telemetry without keys, on this machine only, and believe whose it says it is
    #[command(after_help = LAB_HELP)]
    Lab(LabArgs),
    /// Start the server
    #[command(after_help = SERVE_HELP)]
    Serve(ConfigArgs),
    /// Bring the database to this version's schema
    #[command(after_help = MIGRATE_HELP)]
    Migrate(ConfigArgs),
    /// Make the first tenant, its owner and keys in a fresh database
    #[command(after_help = BOOTSTRAP_HELP)]
    Bootstrap(BootstrapArgs),
    /// Check the configuration without starting anything
    #[command(after_help = CHECK_CONFIG_HELP)]
    CheckConfig(ConfigArgs),
    /// Find what voids a promise, in the database and in the settings
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorArgs),
    /// Say that the database was set back, so that all replicas load it anew
    #[command(after_help = NEW_ERA_HELP)]
    NewEra(ConfigArgs),
    /// See what is done now and then, or have it done now
    #[command(subcommand)]
    Jobs(JobsVerb),
    /// Change the root key that everything readable hangs from
    #[command(subcommand)]
    Vault(vault::VaultVerb),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// TOML file with settings
    #[arg(long, env = "DOORWARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to do about jobs.
#[derive(Debug, Subcommand)]
pub enum JobsVerb {
    /// List every job, when it was last done and what came of it
    #[command(after_help = JOBS_LIST_HELP)]
    List(DoctorArgs),
    /// Have a job done at once by whichever server looks first, and wait for it
    #[command(after_help = JOBS_RUN_HELP)]
    Run(JobArgs),
}

/// Options of `jobs run`.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// Where the configuration is, and how the answer is printed.
    #[command(flatten)]
    pub told: DoctorArgs,
    /// The job's name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print the findings as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Options of `dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print addresses and keys as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Where the data is kept
    #[arg(long, default_value = "./doorward-dev", value_name = "DIR")]
    pub dir: PathBuf,
}

/// Options of `lab`.
#[derive(Debug, Args)]
pub struct LabArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The tenant of what names none
    #[arg(long, default_value = "lab", value_name = "NAME")]
    pub default_tenant: LabTenant,
    /// Print the addresses as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `bootstrap`.
#[derive(Debug, Args)]
pub struct BootstrapArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Short name of the tenant: lower-case letters, digits and hyphens
    #[arg(long, required = true, value_name = "SLUG")]
    pub tenant: String,
    /// E-mail address of the tenant's owner
    #[arg(long, value_name = "EMAIL")]
    pub email: String,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs a server verb.
pub async fn run(verb: ServerVerb) -> anyhow::Result<ExitCode> {
    match verb {
        ServerVerb::Dev(args) => {
            let Some(mut settings) = load(&args.config)? else { return Ok(BAD_CONFIGURATION.into()) };
            as_text(&mut settings);
            boot::start_log(&settings.log);
            let dev = boot::dev(settings, &args.dir).await?;
            let told = Told::of_dev(&dev);
            told.print(args.json, &mut std::io::stdout().lock())?;
            dev.server.run_until_told().await;
        }
        ServerVerb::Lab(args) => {
            let Some(mut settings) = load(&args.config)? else { return Ok(BAD_CONFIGURATION.into()) };
            as_text(&mut settings);
            boot::start_log(&settings.log);
            let lab = boot::lab(settings, args.default_tenant.clone()).await?;
            LabTold::new(&lab, &args.default_tenant).print(args.json, &mut std::io::stdout().lock())?;
            lab.run_until_told().await;
        }
        ServerVerb::Serve(args) => {
            let Some(settings) = load(&args)? else { return Ok(BAD_CONFIGURATION.into()) };
            boot::start_log(&settings.log);
            boot::serve(settings).await?;
        }
        ServerVerb::Migrate(args) => {
            let Some(settings) = load(&args)? else { return Ok(BAD_CONFIGURATION.into()) };
            let steps = boot::migrate(&settings).await?;
            writeln!(std::io::stdout(), "{}", migrated(steps))?;
        }
        ServerVerb::Bootstrap(args) => {
            let Some(settings) = load(&args.config)? else { return Ok(BAD_CONFIGURATION.into()) };
            let beginning = boot::bootstrap(&settings, &args.tenant, &args.email).await?;
            let told = Told::of_bootstrap(&settings, &args.email, &beginning);
            told.print(args.json, &mut std::io::stdout().lock())?;
        }
        ServerVerb::CheckConfig(args) => {
            if load(&args)?.is_none() {
                return Ok(BAD_CONFIGURATION.into());
            }
            writeln!(std::io::stdout(), "the configuration is sound")?;
        }
        ServerVerb::Doctor(args) => {
            let Some(settings) = load(&args.config)? else { return Ok(BAD_CONFIGURATION.into()) };
            let findings = boot::doctor(&settings).await;
            tell(&findings, args.json)?;
            if findings.iter().any(|finding| finding.verdict == boot::Verdict::Bad) {
                return Ok(ExitCode::FAILURE);
            }
        }
        ServerVerb::NewEra(args) => {
            let Some(settings) = load(&args)? else { return Ok(BAD_CONFIGURATION.into()) };
            boot::new_era(&settings).await?;
            writeln!(std::io::stdout(), "a new era has begun; replicas load the database anew")?;
        }
        ServerVerb::Jobs(JobsVerb::List(args)) => {
            let Some(settings) = load(&args.config)? else { return Ok(BAD_CONFIGURATION.into()) };
            tell_jobs(&boot::jobs_list(&settings).await?, args.json)?;
        }
        ServerVerb::Jobs(JobsVerb::Run(args)) => {
            let Some(settings) = load(&args.told.config)? else { return Ok(BAD_CONFIGURATION.into()) };
            let job = boot::jobs_run(&settings, &args.name).await?;
            let failed = job.last_failure.is_some();
            tell_jobs(&[job], args.told.json)?;
            if failed {
                return Ok(ExitCode::FAILURE);
            }
        }
        ServerVerb::Vault(verb) => {
            let Some(settings) = load(verb.config())? else { return Ok(BAD_CONFIGURATION.into()) };
            boot::start_log(&settings.log);
            return vault::run(&verb, &settings, &mut std::io::stdout()).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever tries something out reads the log with their own eyes, unless they say otherwise.
fn as_text(settings: &mut Settings) {
    if std::env::var_os("DOORWARD_LOG__FORMAT").is_none() {
        settings.log.format = LogFormat::Text;
    }
}

fn tell_jobs(jobs: &[boot::JobTold], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(jobs)?)?;
        return Ok(());
    }
    for job in jobs {
        let last = match (&job.last_end, &job.last_failure) {
            (None, _) => "never done".to_owned(),
            (Some(end), None) => format!("done at {end}, {} rows", job.last_rows),
            (Some(end), Some(failure)) => format!("failed at {end}: {failure}"),
        };
        writeln!(out, "{}  every {} s  {last}\n    {}", job.name, job.every_seconds, job.what)?;
    }
    Ok(())
}

fn tell(findings: &[boot::Finding], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(findings)?)?;
        return Ok(());
    }
    for finding in findings {
        let mark = match finding.verdict {
            boot::Verdict::Good => "good",
            boot::Verdict::Note => "note",
            boot::Verdict::Bad => "BAD ",
        };
        writeln!(out, "{mark}  {}: {}", finding.subject, finding.finding)?;
    }
    Ok(())
}

/// The exit code of a configuration that cannot be used (`EX_USAGE` of sysexits).
const BAD_CONFIGURATION: u8 = 64;

/// The settings, or `None` after telling everything that is wrong with them.
fn load(args: &ConfigArgs) -> std::io::Result<Option<Settings>> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().readable()?, value.into_string().readable()?)));
    match config::load(args.config.as_deref(), variables) {
        Ok(settings) => Ok(Some(settings)),
        Err(bad) => {
            writeln!(std::io::stderr(), "error: {bad}")?;
            Ok(None)
        }
    }
}

fn migrated(steps: usize) -> String {
    match steps {
        0 => "the database is up to date already".into(),
        1 => "the database was brought up to date in 1 step".into(),
        many => format!("the database was brought up to date in {many} steps"),
    }
}
