//! Which part of a list is shown.

use crate::cli::failure::Failure;
use crate::cli::output::{Format, Output};
use clap::Args;

/// How many pages `--all` follows: 100,000 things at most, so that memory has a bound.
const MAX_PAGES: usize = 100;

/// Which part of a list.
#[derive(Clone, Debug, Args)]
pub struct PageArgs {
    /// How many at once, at most 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub page_size: i32,
    /// Where the page before this one ended
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub page_token: String,
    /// Every page (up to 100)
    #[arg(long)]
    pub all: bool,
}

impl PageArgs {
    /// How many pages may be asked for.
    pub fn pages(&self) -> usize {
        if self.all { MAX_PAGES } else { 1 }
    }

    /// Says on standard error how to see the rest of a list; JSON has the token itself.
    pub fn say_more(&self, output: &mut Output, token: &str) -> Result<(), Failure> {
        if token.is_empty() || output.format() == Format::Json {
            return Ok(());
        }
        let or_all = if self.all { "" } else { ", or with --all" };
        Ok(output.note(&format!("there are more: repeat with --page-token {token}{or_all}"))?)
    }
}
