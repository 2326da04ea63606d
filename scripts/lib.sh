# What the scripts share; sourced, with `set -euo pipefail` in force.
# shellcheck shell=bash
ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
TARGET=$(realpath -m "${CARGO_TARGET_DIR:-$ROOT/target}")
export ROOT TARGET

# Colours only on a terminal.
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi
export BOLD DIM RED GREEN PLAIN

# Progress, on standard error: standard output is for what was asked for.
say() { printf '%s  · %s%s\n' "$DIM" "$*" "$PLAIN" >&2; }

# die MESSAGE [EVIDENCE]
die() {
  printf '%serror:%s %s\n' "$RED" "$PLAIN" "$1" >&2
  [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/    /' >&2
  exit 1
}

# need COMMAND WHAT-IT-IS
need() { command -v "$1" >/dev/null 2>&1 || die "\`$1\` is missing: $2"; }

is_root() { [ "$(id -u)" = 0 ]; }

# wait_until SECONDS WHAT COMMAND...: waits for the command to succeed, with a sign of life every 5 seconds; silent where that is quick.
wait_until() {
  local limit=$1 what=$2 start=$SECONDS told=0; shift 2
  until "$@" >/dev/null 2>&1; do
    [ $((SECONDS - start)) -lt "$limit" ] || return 1
    if [ $(((SECONDS - start) / 5)) -gt "$told" ]; then
      told=$(((SECONDS - start) / 5))
      say "waiting for $what ($((SECONDS - start)) s)"
    fi
    sleep 0.1
  done
}

# install_packages PACKAGE...: as root, with apt. The package lists are fetched only where apt does not know the packages yet, or the mirror has moved on.
install_packages() {
  local log; log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  local install=(apt-get install --yes -qq --no-install-recommends "$@")
  if ! "${install[@]}" >"$log" 2>&1; then
    say 'fetching package lists'
    if ! apt-get update -qq >"$log" 2>&1 && ! grep -q '_Packages' < <(ls /var/lib/apt/lists); then
      die 'apt cannot fetch its package lists' "$(tail -n 20 "$log")"
    fi
    "${install[@]}" >"$log" 2>&1 || die "apt cannot install $*" "$(tail -n 20 "$log")"
  fi
  rm -f "$log"
}

# rustup's usual place, for a shell that has not read its profile since the installation.
command -v cargo >/dev/null 2>&1 || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

# The machine's own kind, statically linked: what the image is made of.
MUSL_TARGET=$(uname -m)-unknown-linux-musl
export MUSL_TARGET
