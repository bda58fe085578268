#!/usr/bin/env bash
# Fuzzes the rewriting of OTLP exports: `tools/fuzz.sh protobuf -max_total_time=3600`, `tools/fuzz.sh json`.
# Arguments after the target's name go to libFuzzer. What is found new is kept in fuzz/corpus; a finding is written to
# fuzz/artifacts, and ends the run with an error. Needs g++, and neither nightly nor cargo-fuzz (which works as well:
# `cargo +nightly fuzz run protobuf`).
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?the name of a target: protobuf or json}
shift

# What cargo-fuzz passes, without the address sanitizer: there is no unsafe code to be watched.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 -Cforce-frame-pointers \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --manifest-path fuzz/Cargo.toml --locked --release --target "$host" --bin "$target"

mkdir -p "fuzz/artifacts/$target" "fuzz/corpus/$target"
exec "${CARGO_TARGET_DIR:-fuzz/target}/$host/release/$target" \
    -artifact_prefix="fuzz/artifacts/$target/" -dict=fuzz/keys.dict -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
    "$@" "fuzz/corpus/$target"
