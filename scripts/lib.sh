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

# with_signs WHAT COMMAND...: runs the command, with a sign of life every 5 seconds.
with_signs() {
  local what=$1 start=$SECONDS code=0 ticker; shift
  (
    # Also where this script is killed, so that nothing speaks on behalf of nobody.
    while sleep 5 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do say "$what ($((SECONDS - start)) s)"; done
  ) &
  ticker=$!
  "$@" || code=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  return "$code"
}

# cargo_counted COMMAND ARGUMENT...: cargo, which shows what it has compiled and what is left. By itself it does so on a terminal only.
cargo_counted() {
  if [ -t 2 ] && [ -z "${CI:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    cargo "$@"
  else
    # Cargo draws its progress with carriage returns: each becomes a line, of which one is shown every 5 seconds.
    { CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=100 CARGO_TERM_COLOR=never cargo "$@" 2>&1 1>&3 |
      stdbuf -o0 tr '\r' '\n' | counted; } 3>&1
  fi
}
counted() {
  local line code start=$SECONDS told=$SECONDS at=
  while :; do
    code=0
    IFS= read -r -t 5 line || code=$?
    if [ "$code" = 0 ]; then
      # What erases the rest of the line on a terminal.
      line=${line//$'\e[K'/}
      if [[ $line =~ ^\ *Building\ .*\]\ ([0-9]+)/([0-9]+) ]]; then
        at="compiled ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
      elif [[ $line =~ ^\ *(Downloading|Updating|Blocking|Fetch)[a-z]*\ +(.*[^ ]) ]]; then
        at="${BASH_REMATCH[1],} ${BASH_REMATCH[2]}"
      elif [[ ! $line =~ ^\ *((Compiling|Downloaded|Locking)\ .*)?$ ]]; then
        printf '%s\n' "$line" >&2
      fi
    elif [ "$code" -le 128 ]; then
      break
    fi
    if [ -n "$at" ] && [ $((SECONDS - told)) -ge 5 ]; then
      told=$SECONDS
      say "$at ($((SECONDS - start)) s)"
    fi
  done
}

# install_packages PACKAGE...: as root, with apt. The package lists are fetched only where apt does not know the packages yet, or the mirror has moved on.
install_packages() {
  local log; log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  local install=(apt-get install --yes -qq --no-install-recommends "$@")
  quietly() { "$@" >"$log" 2>&1; }
  if ! with_signs "installing $*" quietly "${install[@]}"; then
    say 'fetching package lists'
    if ! with_signs 'fetching package lists' quietly apt-get update -qq && ! grep -q '_Packages' < <(ls /var/lib/apt/lists); then
      die 'apt cannot fetch its package lists' "$(tail -n 20 "$log")"
    fi
    with_signs "installing $*" quietly "${install[@]}" || die "apt cannot install $*" "$(tail -n 20 "$log")"
  fi
  rm -f "$log"
}

# rustup's usual place, for a shell that has not read its profile since the installation.
command -v cargo >/dev/null 2>&1 || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

# The machine's own kind, statically linked: what the image is made of.
MUSL_TARGET=$(uname -m)-unknown-linux-musl
export MUSL_TARGET
# What the demo, the tests and the examples build: `quick` of Cargo.toml. CI tests what is released.
TEST_PROFILE=${TEST_PROFILE:-quick}
export TEST_PROFILE
