//! Which part of a list is shown.

use crate::cli::failure::Failure;
use crate::cli::output::{Format, Output, Shown};
use crate::cli::session::Session;
use crate::client::Repeat;
use crate::pb::v1;
use clap::Args;
use tonic::{Response, Status};

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

/// An answer that is one page of a list.
pub trait Paged: Shown + Default {
    /// Adds the page after this one.
    fn append(&mut self, next: Self);

    /// Where the page ends; empty for the last one.
    fn end(&self) -> &str;
}

macro_rules! paged {
    ($($answer:ident $items:ident;)*) => {$(
        impl Paged for v1::$answer {
            fn append(&mut self, next: Self) {
                self.$items.extend(next.$items);
                self.next_page_token = next.next_page_token;
            }

            fn end(&self) -> &str {
                &self.next_page_token
            }
        }
    )*};
}

paged! {
    ListApiKeysResponse api_keys;
    ListEventsResponse events;
    ListInvitationsResponse invitations;
    ListMembersResponse members;
    ListProviderKeysResponse provider_keys;
    ListSessionsResponse sessions;
    ListTenantsResponse tenants;
}

impl PageArgs {
    /// Shows the pages that are asked for. `ask` gets one of them, by the end of the one before.
    pub async fn show<A, F>(
        &self,
        session: &mut Session<'_>,
        ask: impl Fn(String) -> F,
    ) -> Result<(), Failure>
    where
        A: Paged,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let (mut answer, mut token) = (A::default(), self.page_token.clone());
        for _ in 0..self.pages() {
            answer.append(session.call(Repeat::Safe, || ask(token.clone())).await?);
            answer.end().clone_into(&mut token);
            if token.is_empty() {
                break;
            }
        }
        session.world.output.show(&answer)?;
        self.say_more(&mut session.world.output, &token)
    }

    /// How many pages may be asked for.
    fn pages(&self) -> usize {
        if self.all { MAX_PAGES } else { 1 }
    }

    /// Says on standard error how to see the rest of a list; JSON has the token itself.
    fn say_more(&self, output: &mut Output, token: &str) -> Result<(), Failure> {
        if token.is_empty() || output.format() == Format::Json {
            return Ok(());
        }
        let or_all = if self.all { "" } else { ", or with --all" };
        Ok(output.note(&format!("there are more: repeat with --page-token {token}{or_all}"))?)
    }
}
