#!/usr/bin/env bash
# Everything that is checked without running the product: format, lints, protos, documentation.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --check
cargo clippy --locked --all-targets -- -D warnings
cargo clippy --locked --lib --no-default-features --features client -- -D warnings
cargo clippy --locked --example embedded --no-default-features --features client -- -D warnings
# What other services link has no database and no password hashing in it.
linked=$(cargo tree --locked --no-default-features --features client --edges normal --prefix none)
if grep -E '^(argon2|deadpool|diesel|libsqlite3-sys|tokio-postgres)' <<<"$linked"; then
    echo "feature \`client\` must not depend on the above" >&2
    exit 1
fi
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

if [ ! -x tools/buf/node_modules/.bin/buf ]; then
    npm --prefix tools/buf install --no-audit --no-fund
fi
tools/buf/node_modules/.bin/buf lint

# Only where it is installed: it needs the advisory database from the network.
if command -v cargo-deny >/dev/null; then
    cargo deny check bans licenses sources
fi
