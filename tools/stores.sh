#!/usr/bin/env bash
# Grafana's Loki and Mimir themselves behind Doorward: builds both from their Go modules, as `tests/stores` pins them, and a
# Collector, and runs the tests that need them. The first run compiles for up to an hour. What is built stays below target/.
# A program that is there already is taken as it is: DOORWARD_TEST_LOKI=/usr/bin/loki tools/stores.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Go for both go.mod.
go_needed=1.26.5

tools/setup.sh
# shellcheck source=tools/go.sh
. tools/go.sh

home=${CARGO_TARGET_DIR:-$PWD/target}/stores
mkdir -p "$home"

build() { # name package
    (cd "tests/stores/$1" && GOFLAGS='-buildvcs=false -modcacherw' CGO_ENABLED=0 \
        go build -mod=readonly -trimpath -ldflags '-s -w' -o "$home/$1" "$2")
}

if [ -z "${DOORWARD_TEST_LOKI:-}" ]; then
    build loki github.com/grafana/loki/v3/cmd/loki
    export DOORWARD_TEST_LOKI=$home/loki
fi
if [ -z "${DOORWARD_TEST_MIMIR:-}" ]; then
    build mimir github.com/grafana/mimir/cmd/mimir
    export DOORWARD_TEST_MIMIR=$home/mimir
fi

cargo test --locked --test it -- stores:: --include-ignored "$@"
