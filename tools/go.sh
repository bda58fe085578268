# Sourced by scripts that set `go_needed`: puts a Go of at least that version on PATH, and installs one where it is missing.
# shellcheck shell=bash

# The version that is fetched where the one that is there is too old.
go_version=1.26.8

if ! command -v go >/dev/null; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update --quiet
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends golang-go
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
