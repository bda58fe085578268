//! Grafana's stores themselves behind Doorward: whose data each has, when two tenants claim to be each other.
//!
//! `DOORWARD_TEST_LOKI` and `DOORWARD_TEST_MIMIR` name the two programs. `tools/stores.sh` builds them from their Go
//! modules, sets both and runs this; a release of Grafana's does as well:
//! `DOORWARD_TEST_LOKI=/usr/bin/loki cargo test --test it -- stores::loki --include-ignored`.
mod loki;
mod mimir;
mod rivals;
mod store;
mod together;
