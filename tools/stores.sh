#!/usr/bin/env bash
# Grafana's Loki, Mimir and Tempo themselves behind Doorward: builds them from their Go modules, as `tests/stores` and this
# script pin them, and a Collector, and runs the tests that need them. The first run compiles for up to an hour. What is built
# stays below target/.
# A program that is there already is taken as it is: DOORWARD_TEST_LOKI=/usr/bin/loki tools/stores.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Go for both go.mod of tests/stores.
go_needed=1.26.5
# The newest Tempo that can be had as a module, and the Go of its time: with one after 1.20, which initialises packages in
# another order, it breaks at the first span, since two of its packages register one codec.
tempo=github.com/grafana/tempo@v1.5.0
tempo_go=/usr/lib/go-1.19

tools/setup.sh
# shellcheck source=tools/go.sh
. tools/go.sh

home=${CARGO_TARGET_DIR:-$PWD/target}/stores
mkdir -p "$home"
export CGO_ENABLED=0 GOFLAGS='-buildvcs=false -modcacherw'

build() { # name package
    (cd "tests/stores/$1" && go build -mod=readonly -trimpath -ldflags '-s -w' -o "$home/$1" "$2")
}

# In its own module, which replaces many others.
build_tempo() {
    if [ ! -x $tempo_go/bin/go ]; then
        as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo)
        "${as_root[@]}" apt-get update --quiet
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --quiet --no-install-recommends golang-1.19-go
    fi
    export GOROOT=$tempo_go PATH="$tempo_go/bin:$PATH"
    go mod download "$tempo"
    rm -rf "$home/tempo-sources"
    cp -r "$(go env GOMODCACHE)/$tempo" "$home/tempo-sources"
    chmod -R u+w "$home/tempo-sources"
    # A module's archive has only a part of it.
    rm -rf "$home/tempo-sources/vendor"
    (cd "$home/tempo-sources" && go build -mod=readonly -trimpath -ldflags '-s -w' -o "$home/tempo" ./cmd/tempo)
}

if [ -z "${DOORWARD_TEST_LOKI:-}" ]; then
    build loki github.com/grafana/loki/v3/cmd/loki
    export DOORWARD_TEST_LOKI=$home/loki
fi
if [ -z "${DOORWARD_TEST_MIMIR:-}" ]; then
    build mimir github.com/grafana/mimir/cmd/mimir
    export DOORWARD_TEST_MIMIR=$home/mimir
fi
if [ -z "${DOORWARD_TEST_TEMPO:-}" ]; then
    (build_tempo)
    export DOORWARD_TEST_TEMPO=$home/tempo
fi

unset CGO_ENABLED GOFLAGS
cargo test --locked --test it -- stores:: --include-ignored "$@"
