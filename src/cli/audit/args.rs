//! The options of `doorward audit`.

use crate::cli::paging::PageArgs;
use crate::cli::values::{self, Expiry};
use clap::{Args, Subcommand};
use std::path::PathBuf;

const LIST_HELP: &str = "\
Times are a date, a moment, or a duration that is counted back from now.

Examples:
  doorward audit list
  doorward audit list --action key.revoked --start 7d
  doorward audit list --actor user_01jabcdefghjkmnpqrstvwxyz0 --all --output json";

const EXPORT_HELP: &str = "\
The file has the entries, what they committed to and was not erased, and all
that proves them: the signed checkpoint and the hashes around a part.

Examples:
  doorward audit export > acme.dwaudit
  doorward audit export --start 2026-01-01 --end 2026-04-01 > q1.dwaudit
  doorward audit export --since old.checkpoint > acme.dwaudit";

const VERIFY_HELP: &str = "\
Needs no server and no credential. Exit code 0 if every entry is what was
signed, 1 if not; then the first bad entry is named. Without --key the key is
the file's own: compare the one that is printed with the one that you kept.

Examples:
  doorward audit verify acme.dwaudit
  doorward audit verify acme.dwaudit --key \"$(cat acme.key)\" --since old.checkpoint";

const CHECKPOINT_HELP: &str = "\
Keep it outside: whoever has it can prove any later change of the entries that
it covers, by `doorward audit verify --since`.

Examples:
  doorward audit checkpoint > $(date +%F).checkpoint
  doorward audit checkpoint --key > acme.key";

const ERASE_HELP: &str = "\
Erases addresses, names, reasons and whatever else may be personal from entries
that the person made or that are about them. The entries themselves stay, and
stay provable. It cannot be undone, and is an entry itself.

Example:
  doorward audit erase --user user_01jabcdefghjkmnpqrstvwxyz0";

const HOLD_HELP: &str = "\
While a log is held nothing of it is pruned or erased.

Examples:
  doorward audit hold --reason \"case 42\"
  doorward audit hold --end";

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// List entries, the newest first
    #[command(after_help = LIST_HELP)]
    List(ListArgs),
    /// Write the log, or a part of it, with all that proves it
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArgs),
    /// Judge an export without a server
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Print the log's signed checkpoint
    #[command(after_help = CHECKPOINT_HELP)]
    Checkpoint(CheckpointArgs),
    /// Erase a person's data
    #[command(after_help = ERASE_HELP)]
    Erase(EraseArgs),
    /// Hold the log against pruning and erasure
    #[command(after_help = HOLD_HELP)]
    Hold(HoldArgs),
}

/// Options of `audit list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which part of the list.
    #[command(flatten)]
    pub page: PageArgs,
    /// When.
    #[command(flatten)]
    pub when: WhenArgs,
    /// Only what this user or key did
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub actor: String,
    /// Only this action, such as key.revoked
    #[arg(long, value_name = "ACTION", default_value = "", hide_default_value = true)]
    pub action: String,
    /// Only what was done to this
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub target: String,
    /// The log of the instance itself; for its operators
    #[arg(long)]
    pub platform: bool,
}

/// Between which times.
#[derive(Clone, Debug, Args)]
pub struct WhenArgs {
    /// Not before this time
    #[arg(long, value_name = "TIME", value_parser = values::expiry)]
    pub start: Option<Expiry>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = values::expiry)]
    pub end: Option<Expiry>,
}

/// Options of `audit export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// When.
    #[command(flatten)]
    pub when: WhenArgs,
    /// The first entry
    #[arg(long, value_name = "N")]
    pub from_index: Option<u64>,
    /// The entry after the last
    #[arg(long, value_name = "N")]
    pub to_index: Option<u64>,
    /// A file with an older checkpoint: the export proves that the log goes on from it
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// The log of the instance itself; for its operators
    #[arg(long)]
    pub platform: bool,
}

/// Options of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The export
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A file with an older checkpoint that the log must go on from
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// The key that must have signed it, as `audit checkpoint --key` prints it
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

/// Options of `audit checkpoint`.
#[derive(Debug, Args)]
pub struct CheckpointArgs {
    /// Print the key that signs checkpoints instead
    #[arg(long)]
    pub key: bool,
    /// The log of the instance itself; for its operators
    #[arg(long)]
    pub platform: bool,
}

/// Options of `audit erase`.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// The person, user_…
    #[arg(long, value_name = "ID")]
    pub user: String,
}

/// Options of `audit hold`.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// Let the log go
    #[arg(long)]
    pub end: bool,
    /// Why; kept in the log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}
