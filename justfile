# Each recipe is a script or a plain cargo command, so that none of them needs `just`.

# Shows the recipes.
default:
    @just --list

# Installs Debian's packages that the tests need.
setup:
    tools/setup.sh

# Format, lints, protos, documentation.
lint:
    tools/lint.sh

# Everything: set-up, lints and all tests on both databases.
test *ARGS:
    tools/test.sh {{ARGS}}

# One scenario or module of the integration tests, such as `just it keys::`.
it *ARGS:
    cargo test --test it -- {{ARGS}}

# OpenTelemetry's exporters of every language, and a real Collector behind Doorward.
exporters *ARGS:
    tools/exporters.sh {{ARGS}}

# Grafana's own stores behind Doorward, built from their Go modules.
stores *ARGS:
    tools/stores.sh {{ARGS}}

# Real replicas, a real PostgreSQL, real faults: `just faults --minutes 30`, `just faults --help`.
faults *ARGS:
    cargo test --test faults -- {{ARGS}}

# The same with a protection switched off: it must find stale acceptances. NAME is one of
# return-at-commit, no-lease, expiry-from-receive, sequence-tail.
sabotage NAME *ARGS:
    cargo test --features sabotage --test faults -- --sabotage {{NAME}} --expect-stale {{ARGS}}

# Every order of events of the larger configurations of the protocol's model; takes minutes.
model:
    cargo test --release --no-default-features --test model -- --ignored --nocapture

# Licences, banned crates and sources; needs `cargo-deny`.
deny:
    cargo deny check bans licenses sources

# A working Doorward on this machine, with telemetry printed instead of forwarded.
dev:
    cargo run -- dev

# Measurements against their floors.
bench:
    cargo bench
