//! Stores of Grafana's themselves behind Doorward: whose data each has, when two tenants claim to be each other.
//!
//! `DOORWARD_TEST_LOKI`, `DOORWARD_TEST_MIMIR` and `DOORWARD_TEST_TEMPO` name the programs. `tools/stores.sh` builds them
//! from their Go modules, sets the variables and runs this; programs that are there already may be named instead.
mod loki;
mod mimir;
mod rivals;
mod store;
mod tempo;
mod together;
