//! Whose request it is, as far as the network can tell.

use crate::domain::address::{Networks, client_address};
use crate::domain::reading::Reading;
use http::HeaderMap;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// `[proxies]`: which hops may say whose request they pass on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Networks of proxies whose `x-forwarded-for` is believed.
    pub trusted: Networks,
}

/// The other end of a request's connection; the accept loop puts it into the
/// request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Entries of `x-forwarded-for` that are looked at; more is nobody's proxy chain.
const MAX_HOPS: usize = 32;

pub struct Peers {
    trusted: Networks,
}

impl Peers {
    pub fn new(options: &Options) -> Self {
        Self { trusted: options.trusted.clone() }
    }

    /// The client's address. `None` if a trusted proxy wrote what cannot be read.
    pub fn address(&self, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
        if self.trusted.is_everywhere() || !self.trusted.contain(peer) {
            return Some(peer.to_canonical());
        }
        let values = headers.get_all("x-forwarded-for").iter();
        let texts: Option<Vec<&str>> = values.map(|value| value.to_str().readable()).collect();
        let hops: Vec<&str> = texts?.into_iter().flat_map(|text| text.split(',')).collect();
        if hops.len() > MAX_HOPS {
            return None;
        }
        client_address(peer, hops.into_iter(), &self.trusted)
    }
}
