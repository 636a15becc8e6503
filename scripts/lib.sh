# shellcheck shell=bash
# Shared by the scripts in this folder; meant to be sourced.

SCRIPTS=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck disable=SC2034
ROOT=$(dirname -- "$SCRIPTS")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/readiness
DEBIAN_RUSTC=/usr/bin/rustc # rustc-web, cargo-web: newer than Debian's own, with library sources
# shellcheck disable=SC2034
DEBIAN_CARGO=/usr/bin/cargo

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# Only one script at a time may build in the cache, with those that it calls. The lock ends with the
# process, or with unlock_cache.
lock_cache() {
    [[ -z ${READINESS_CACHE_LOCKED-} ]] || return 0
    mkdir -p -- "$CACHE"
    exec 9>"$CACHE/lock"
    if command -v flock >/dev/null && ! flock -n 9; then
        say "waiting for another script that is filling $CACHE"
        flock 9
    fi
    export READINESS_CACHE_LOCKED=$$
}
unlock_cache() {
    [[ ${READINESS_CACHE_LOCKED-} == "$$" ]] || return 0
    exec 9>&-
    unset READINESS_CACHE_LOCKED
}

# once HOME COMMAND...: makes a folder of the cache and fills it, if that was not done before.
once() {
    local home=$1 status=0
    shift
    [[ ! -e $home/ready ]] || return 0
    lock_cache
    if [[ ! -e $home/ready ]]; then
        rm -rf -- "$home"
        mkdir -p -- "$home"
        if "$@"; then : >"$home/ready"; else status=1; fi
    fi
    unlock_cache
    return $status
}

# Run quietly; show the output only when it went wrong.
quietly() {
    local log
    log=$(mktemp)
    if "$@" >"$log" 2>&1 9>&- </dev/null; then
        rm -f -- "$log"
    else
        local status=$?
        tail -n 40 -- "$log" >&2
        rm -f -- "$log"
        return $status
    fi
}

# debian_packages PACKAGE...: install those that are missing, or say how to.
debian_packages() {
    local package missing=()
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok' || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ! command -v apt-get >/dev/null; then
        say "missing, and this is no Debian to install from: ${missing[*]}"
        return 1
    fi
    local root=()
    if (($(id -u) != 0)); then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            root=(sudo -n)
        else
            say "missing packages; as root: apt-get install ${missing[*]}"
            return 1
        fi
    fi
    say "installing Debian packages: ${missing[*]}"
    # One update a session is enough: it is slow and its result stays.
    if [[ -z ${READINESS_APT_UPDATED-} ]]; then
        quietly ${root[@]+"${root[@]}"} apt-get update -q || true
        export READINESS_APT_UPDATED=1
    fi
    quietly ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# The toolchain that a plain `cargo` would use has std for this target.
rustup_has() {
    local dir
    dir=$(rustc --print target-libdir --target "$1" 2>/dev/null) || return 1
    compgen -G "$dir/libstd-*" >/dev/null
}

use_rustup() { [[ ${READINESS_TOOLCHAIN-} != debian ]] && rustup_has "$1"; }

# Where the compiler's own tools are (rust-lld, wasm-component-ld).
rust_tools() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    printf '%s/lib/rustlib/%s/bin\n' "$(rustc --print sysroot)" "$host"
}

# The sysroot that scripts/toolchain makes, by the exact compiler that made it and by the number of
# toolchain's recipe: count it up with a change there that what was built before lacks.
debian_sysroot() {
    local version
    version=$("$DEBIAN_RUSTC" -vV 2>/dev/null) || return 1
    printf '%s/sysroot-%s-%.9s-1\n' "$CACHE" \
        "$(sed -n 's/^release: //p' <<<"$version")" "$(sed -n 's/^commit-hash: //p' <<<"$version")"
}
