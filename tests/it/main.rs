//! Doorward from outside: the real binary on real databases, called by real clients.
//!
//! A scenario is named after what it proves and says in a comment which promise that is.
//! `harness` starts and stops everything that a scenario needs; nothing has to run beforehand.
#![expect(
    clippy::disallowed_methods,
    reason = "a test may read clocks, and may drop an error that it expects"
)]

#[cfg(test)]
mod audit;
#[cfg(test)]
mod break_glass;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod cut;
#[cfg(test)]
mod exporters;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod ops;
#[cfg(test)]
mod otlp;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod passkeys;
#[cfg(test)]
mod people;
#[cfg(test)]
mod people_http;
#[cfg(test)]
mod python_client;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tenancy;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod vault;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod watch;
