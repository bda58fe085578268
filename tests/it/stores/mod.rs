//! A store of Grafana's itself behind Doorward: whose data it has, when two tenants claim to be each other.
//!
//! `DOORWARD_TEST_LOKI` names the program. `tools/stores.sh` builds it from its Go module, sets the variable and runs
//! this; a program that is there already may be named instead.
mod loki;
mod rivals;
mod store;
