#!/usr/bin/env bash
# Every exporter of the table in docs/otlp.md against a real server, and a real OpenTelemetry Collector behind it.
# `tools/test.sh` runs those of Python and JavaScript; these need Go, a JDK with Maven and some minutes besides.
# What is downloaded and built stays below target/.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Go for go.mod of the exporters and of the Collector.
go_needed=1.25

tools/setup.sh

missing=()
command -v javac >/dev/null || missing+=(default-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update --quiet
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
fi

# shellcheck source=tools/go.sh
. tools/go.sh

cargo test --locked --test it -- exporters:: --include-ignored "$@"
