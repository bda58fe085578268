//! `doorward completions`: scripts that complete the command line.

use crate::cli::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use clap::{Args, CommandFactory};
use clap_complete::{Generator, Shell};

const AFTER_HELP: &str = "\
Examples:
  doorward completions bash > /etc/bash_completion.d/doorward
  doorward completions zsh > \"${fpath[1]}/_doorward\"
  doorward completions fish > ~/.config/fish/completions/doorward.fish";

/// Options of `completions`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CompletionsArgs {
    /// The shell that shall complete
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, output: &mut Output) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.set_bin_name("doorward");
    command.build();
    let mut script = Vec::new();
    args.shell.try_generate(&command, &mut script)?;
    let script = String::from_utf8(script).map_err(|cause| Failure::Local(cause.to_string()))?;
    Ok(output.result(&script)?)
}
