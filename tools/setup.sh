#!/usr/bin/env bash
# Installs what the tests need from Debian's packages, if anything is missing. Rust is expected to be there.
set -euo pipefail

missing=()

# need COMMAND PACKAGE…: notes the packages if there is no such command.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null || missing+=("$@")
}

need cc gcc libc6-dev
need python3 python3
need npm nodejs npm
need setpriv util-linux
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if ! command -v initdb >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    missing+=(postgresql)
fi

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "install these first (names of Debian's packages): ${missing[*]}" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update --quiet
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
