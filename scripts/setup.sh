#!/bin/sh
# Makes the environment this project runs in: uv in .uv/, the packages of uv.lock in .venv/, and
# Kafka's jars. Needs python3 >= 3.11 with venv. Run again after an interruption, it heals.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
NEEDED='import sys; sys.exit(sys.version_info < (3, 11))'

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup: $*"; exit 1; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        path=$(command -v "$candidate" 2>/dev/null) || continue
        if "$path" -c "$NEEDED" 2>/dev/null; then
            printf '%s\n' "$path"
            return
        fi
        if [ -n "${PYTHON:-}" ]; then
            break
        fi
    done
    found=$("${PYTHON:-python3}" --version 2>&1) || found="no ${PYTHON:-python3}"
    fail "needs Python 3.11 or newer, found: $found. Install it, or run: make setup PYTHON=/path/to/python3"
}

# A marker is written when a folder is whole; one without it is of an interrupted set-up.
install_uv() {
    if [ -f ".uv/uv-$UV_VERSION" ] && .uv/bin/uv --version >/dev/null 2>&1; then
        return
    fi
    say "installing uv $UV_VERSION into .uv/"
    rm -rf .uv
    "$python" -m venv .uv || {
        rm -rf .uv
        fail "$python cannot make virtual environments; install its venv module (python3-venv on Debian)"
    }
    .uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" ||
        fail "could not install uv; is the package index reachable?"
    : >".uv/uv-$UV_VERSION"
}

sync_packages() {
    if [ -f .uv/syncing ]; then
        say "the last set-up was interrupted: making .venv/ anew"
        rm -rf .venv
    fi
    : >.uv/syncing
    say "installing the packages of uv.lock into .venv/"
    # uv keeps an environment that fits; named an interpreter, it would make it anew each time.
    [ -x .venv/bin/python ] || .uv/bin/uv venv --quiet --clear --python "$python" .venv
    # Compiled now, whatever PYTHONDONTWRITEBYTECODE says: ten programs start at once later on.
    .uv/bin/uv sync --frozen --compile-bytecode || fail "could not install the packages of uv.lock"
    .venv/bin/python -m compileall -q */src proto/python clients/python || true # a draft may not compile
    rm .uv/syncing
}

cache_writable() {
    cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}}
    mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ]
}

python=$(find_python)
install_uv
export UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=.venv
if ! cache_writable; then
    export UV_CACHE_DIR="$PWD/.uv/cache"
fi
sync_packages
.venv/bin/python -m forebay_standalone.jars
: >.venv/whole
say "set up; next: make up"
