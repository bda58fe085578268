//! `doorward vault`: changes the root key. A server verb: it works on the
//! database, with the server's own settings.

use super::server::ConfigArgs;
use crate::app::vault::{Needs, Tally};
use crate::boot::{self, Rotation};
use crate::config::Settings;
use clap::Subcommand;
use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

const ROTATE_HELP: &str = "\
The new root key is people.root_key, the one before people.older_root_key; start
every replica with both first, so that none seals under the old one any more.
Nothing is opened: only the keys of the values are wrapped anew. It can be broken
off and run again, while servers run. Exit code 1 if something could not be moved.

Example:
  DOORWARD_PEOPLE__ROOT_KEY_FILE=/run/keys/new DOORWARD_PEOPLE__OLDER_ROOT_KEY_FILE=/run/keys/old \\
    doorward vault rotate --config /etc/doorward/doorward.toml";

const STATUS_HELP: &str = "\
Says which root keys the values in the database need, by the keys' names (64 bits
of a digest). A root key that nothing needs can be destroyed once no backup needs
it either.

Example:
  doorward vault status --config /etc/doorward/doorward.toml";

/// What to do with the vault.
#[derive(Debug, Subcommand)]
pub enum VaultVerb {
    /// Wrap everything that is sealed under the new root key
    #[command(after_help = ROTATE_HELP)]
    Rotate(ConfigArgs),
    /// Show which root keys are needed
    #[command(after_help = STATUS_HELP)]
    Status(ConfigArgs),
}

impl VaultVerb {
    /// Where the configuration is.
    pub const fn config(&self) -> &ConfigArgs {
        match self {
            Self::Rotate(config) | Self::Status(config) => config,
        }
    }
}

/// Runs a verb on the vault.
pub async fn run(verb: &VaultVerb, settings: &Settings, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match verb {
        VaultVerb::Rotate(_) => rotate(settings, out).await,
        VaultVerb::Status(_) => status(settings, out).await,
    }
}

async fn rotate(settings: &Settings, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut written = Ok(());
    let mut tell = |column: &'static str, tally: Tally| {
        if written.is_ok() {
            written = writeln!(out, "{column}: {}", counts(tally));
        }
    };
    let rotation = boot::vault_rotate(settings, &mut tell).await?;
    written?;
    writeln!(out, "{}", verdict(&rotation))?;
    Ok(if is_whole(rotation.values) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn status(settings: &Settings, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (current, columns) = boot::vault_needs(settings).await?;
    writeln!(out, "the root key in use is {current}")?;
    for (column, needs) in columns {
        writeln!(out, "{column}: {}", needed(&needs))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn counts(tally: Tally) -> String {
    let Tally { rewrapped, already, changed, stuck } = tally;
    let mut text = format!("{rewrapped} moved, {already} there already");
    for (count, what) in [(changed, "changed meanwhile"), (stuck, "cannot be opened")] {
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

const fn is_whole(tally: Tally) -> bool {
    tally.changed == 0 && tally.stuck == 0
}

fn verdict(rotation: &Rotation) -> String {
    let Rotation { root_key, values } = rotation;
    if values.stuck > 0 {
        return format!(
            "NOT DONE: {} values are under a root key that is not configured, or were tampered with; \
             `doorward vault status` says which keys are needed",
            values.stuck
        );
    }
    if values.changed > 0 {
        return format!("NOT DONE: {} values were changed meanwhile; run it again", values.changed);
    }
    let all = values.rewrapped + values.already;
    format!("done: all {all} values are under {root_key}; no older root key is needed")
}

fn needed(needs: &Needs) -> String {
    if needs.is_empty() {
        return "no values".to_owned();
    }
    let under = |(key, count): (&String, &u64)| format!("{count} under {key}");
    needs.iter().map(under).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_never_called_done() {
        let rotation = |values| Rotation { root_key: "00ff".into(), values };
        let good = Tally { rewrapped: 2, already: 1, ..Tally::default() };
        assert_eq!(
            verdict(&rotation(good)),
            "done: all 3 values are under 00ff; no older root key is needed"
        );
        for bad in [Tally { stuck: 1, ..good }, Tally { changed: 1, ..good }] {
            assert!(!is_whole(bad) && verdict(&rotation(bad)).starts_with("NOT DONE"));
            assert!(counts(bad).contains(", 1 "));
        }
    }
}
