#!/usr/bin/env bash
# Every exporter of the table in docs/otlp.md against a real server, and a real OpenTelemetry Collector behind it.
# `tools/test.sh` runs those of Python and JavaScript; these need Go, a JDK with Maven and some minutes besides.
# What is downloaded and built stays below target/.
set -euo pipefail
cd "$(dirname "$0")/.."

# The toolchain for go.mod of the exporters and of the Collector.
go_version=1.26.8
go_needed=1.25

tools/setup.sh

missing=()
command -v go >/dev/null || missing+=(golang-go)
command -v javac >/dev/null || missing+=(default-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update --quiet
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
fi

# Debian's Go is too old: it fetches the newer one as a module, checked against the public checksum database.
have=$(go env GOVERSION)
if [ "$(printf '%s\n' "$go_needed" "${have#go}" | sort --version-sort | head -n 1)" != "$go_needed" ]; then
    arch=$(go env GOARCH)
    export GOPATH=${CARGO_TARGET_DIR:-$PWD/target}/go
    (cd /tmp && GOFLAGS=-modcacherw go mod download "golang.org/toolchain@v0.0.1-go$go_version.linux-$arch")
    export GOROOT="$GOPATH/pkg/mod/golang.org/toolchain@v0.0.1-go$go_version.linux-$arch"
    # A module's files are not executable.
    find "$GOROOT/bin" "$GOROOT/pkg/tool" -type f -exec chmod u+x {} +
    export PATH="$GOROOT/bin:$PATH"
fi
export GOTOOLCHAIN=local

cargo test --locked --test it -- exporters:: --include-ignored "$@"
