#!/usr/bin/env bash
# Grafana's Loki itself behind Doorward: builds it from its Go module, as `tests/stores/loki` pins it, and a Collector, and
# runs the tests that need them. The first run compiles for up to half an hour. What is built stays below target/.
# A Loki that is there already is taken as it is: DOORWARD_TEST_LOKI=/usr/bin/loki tools/stores.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Go for Loki's go.mod.
go_needed=1.26.5

tools/setup.sh
# shellcheck source=tools/go.sh
. tools/go.sh

if [ -z "${DOORWARD_TEST_LOKI:-}" ]; then
    home=${CARGO_TARGET_DIR:-$PWD/target}/stores
    mkdir -p "$home"
    (cd tests/stores/loki && GOFLAGS='-buildvcs=false -modcacherw' CGO_ENABLED=0 \
        go build -mod=readonly -trimpath -ldflags '-s -w' -o "$home/loki" github.com/grafana/loki/v3/cmd/loki)
    export DOORWARD_TEST_LOKI=$home/loki
fi

cargo test --locked --test it -- stores:: --include-ignored "$@"
