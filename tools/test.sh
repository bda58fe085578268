#!/usr/bin/env bash
# The whole proof: installs what is missing, lints, then runs every test on both databases.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh
tools/lint.sh
cargo test --locked "$@"
