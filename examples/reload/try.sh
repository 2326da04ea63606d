#!/usr/bin/env bash
# Walks through this example step by step, with the real output, and fails where anything does not hold.
#
#   examples/reload/try.sh
#
# Needs an engine on this machine, the images `nginx` and `python:3-slim`, and Outrigger: its image (OUTRIGGER_IMAGE, by default outrigger:latest) and
# its command (OUTRIGGER, by default what `make image` built). `make demo` brings all of that. What is made here is named after this
# run and removed at the end, either way; nothing else is touched.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../../scripts/lib.sh"

example=$ROOT/examples/reload
image=${OUTRIGGER_IMAGE:-outrigger:latest}
outrigger=${OUTRIGGER:-$TARGET/$MUSL_TARGET/release/outrigger}
plugins=${OUTRIGGER_PLUGIN_DIR:-$TARGET/image/plugins}
pod=outrigger-demo-$$
work=$(mktemp -d "$(mkdir -p "$TARGET" && echo "$TARGET/demo.XXXXXX")")
ids=() # of the controllers, of which one after the other bears the name
step=0

# --- showing and checking -----------------------------------------------------------------------------------------------

heading() { step=$((step + 1)); printf '\n%s%d. %s%s\n' "$BOLD" "$step" "$1" "$PLAIN"; shift; [ $# -eq 0 ] || printf '   %s\n' "$@"; }
shown() { sed "s/^/     /"; }
# run COMMAND...: shows the command and its output.
run() { printf '   %s$ %s%s\n' "$DIM" "$*" "$PLAIN"; "$@" 2>&1 | shown; }
holds() { printf '   %spassed:%s %s\n' "$GREEN" "$PLAIN" "$*"; }
logs() { docker logs "$pod" 2>&1; }

# fails WHAT [EVIDENCE]: with all that helps to find out why.
fails() {
  printf '\n%sstep %d failed:%s %s\n' "$RED" "$step" "$PLAIN" "$1" >&2
  [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/     /' >&2
  if docker inspect "$pod" >/dev/null 2>&1; then
    { echo "--- status of the pod"; "$outrigger" status --container "$pod" 2>&1 || true
      echo "--- containers of the pod"; containers || true
      echo "--- log of the pod"; logs | tail -n 80 || true; } | sed 's/^/     /' >&2
  elif [ -s "$work/log" ]; then
    { echo "--- log of the pod"; tail -n 80 "$work/log"; } | sed 's/^/     /' >&2
  fi
  exit 1
}

# expect WHAT SECONDS COMMAND...: the command succeeds within that time.
expect() {
  local what=$1 seconds=$2; shift 2
  wait_until "$seconds" "$what" "$@" || fails "$what (within $seconds s)" "$("$@" 2>&1 || true)"
  holds "$what"
}

# --- the pod ------------------------------------------------------------------------------------------------------------

# Everything of this pod, by name and by its owner's id.
containers() {
  { docker ps --all --filter "name=^/$pod(\$|[.])" --format '{{.Names}}: {{.Status}}'
    for id in "${ids[@]}"; do docker ps --all --filter "label=outrigger.pod=$id" --format '{{.Names}}: {{.Status}}'; done; } | sort --unique
}
nothing_left() { [ -z "$(containers)" ]; }
component() { docker ps --all --no-trunc --filter "label=outrigger.pod=${ids[-1]}" --filter "label=outrigger.component=$1" --format '{{.ID}}'; }
started_at() { docker inspect --format '{{.Name}} {{.Id}} started {{.State.StartedAt}} restarts {{.RestartCount}}' "$(component app)" "$(component web)" "$pod"; }
healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$pod")" = healthy ]; }
logged() { logs | grep -E "$1" >/dev/null; }
# How often a line stands in the log.
times_logged() { logs | grep -cE "$1" || true; }
# A file appears complete or not at all: written beside, then renamed. The name without .conf is none that nginx or the plugin looks for.
push() { cp "$1" "$work/live/.new" && mv "$work/live/.new" "$work/live/nginx.conf"; }
served_by() { curl --silent --show-error --max-time 5 --dump-header - --output /dev/null "$url/" | tr -d '\r' | grep -x "X-Config: $1" >/dev/null; }

started() {
  ids+=("$(docker inspect --format '{{.Id}}' "$pod")")
  healthy_or_gone() { healthy || [ "$(docker inspect --format '{{.State.Running}}' "$pod" 2>&1)" != true ]; }
  wait_until 90 'the pod to be healthy' healthy_or_gone || true
  healthy || fails 'the pod is not healthy within 90 s'
}
code_is() { # FILE CODE
  printf 'exit code of the pod: %s\n' "$(cat "$1")" | shown
  [ "$(cat "$1")" = "$2" ] || fails "the exit code is $(cat "$1"), expected $2"
}

clean_up() {
  local code=$? id left
  trap '' INT TERM HUP
  # The name is this run's own.
  if id=$(docker inspect --format '{{.Id}}' "$pod" 2>/dev/null); then ids+=("$id"); fi
  for id in "${ids[@]}"; do
    docker stop --time 20 "$id" >/dev/null 2>&1 || true
    left=$(docker ps --all --quiet --no-trunc --filter "label=outrigger.pod=$id"; docker ps --all --quiet --no-trunc --filter "id=$id")
    # shellcheck disable=SC2086
    [ -z "$left" ] || docker rm --force --volumes $left >/dev/null 2>&1 || true
  done
  wait
  rm -rf "$work"
  if [ "$code" != 0 ] && [ "$step" -gt 0 ]; then printf '\n%sthe demo FAILED%s in step %d\n' "$RED" "$PLAIN" "$step" >&2; fi
}
trap clean_up EXIT
# A command that fails where nothing was expected of it must not end this in silence.
trap 'printf "line %d failed: %s\n" "$LINENO" "$BASH_COMMAND" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- what must be there -------------------------------------------------------------------------------------------------

need curl '`scripts/setup` installs this Debian package'
need docker '`scripts/engine start` installs and starts an engine'
[ -x "$outrigger" ] || die "no \`outrigger\` at $outrigger" '`make image` builds it; `make demo` does everything'
for wanted in "$image" nginx python:3-slim; do
  docker image inspect "$wanted" >/dev/null 2>&1 || die "the engine has no image \`$wanted\`" '`make image` and `scripts/demo-images` build the images; `make demo` does everything'
done
# For the command here; the settings of this script are none of its own.
export OUTRIGGER_PLUGIN_DIR=$plugins NO_COLOR=1
export -n OUTRIGGER_IMAGE OUTRIGGER

# The example as it is, but for the name of the image, and a port that the engine chooses: 8080 may be in use here.
cp -r "$example/app" "$example/configs" "$work/"
mkdir "$work/live"
sed -e "s|image: outrigger:latest|image: $image|" -e 's|127.0.0.1:8080:8080|127.0.0.1::8080|' "$example/pod.yaml" >"$work/pod.yaml"
push "$work/configs/1-good.conf"

# --- the demo -----------------------------------------------------------------------------------------------------------

heading 'The plan' '`outrigger plan` prints what the pod in examples/reload/pod.yaml would do. It does not need an engine.'
run "$outrigger" plan "$work/pod.yaml"
plan=$("$outrigger" plan "$work/pod.yaml" 2>&1)
for word in app web reload signal redact; do
  grep -q "$word" <<<"$plan" || fails "the plan does not mention \`$word\`" "$plan"
done
holds 'the plan contains both components and the three plugins'

heading 'The pod starts' 'The controller is one container. It starts the application and, when the application is healthy, a real nginx in front of it.'
run "$outrigger" run --detach --name "$pod" "$work/pod.yaml"
started
containers | shown
[ "$(containers | grep -c ': Up')" -ge 3 ] || fails 'the controller, the application or nginx is not running' "$(containers)"
holds 'the pod is healthy'
run "$outrigger" status --container "$pod"
address=$(docker port "$pod" 8080/tcp | head -n 1)
url=http://$address

heading 'A request through nginx' "The pod's port 8080 is published at $address."
expect 'nginx answers with the first configuration' 15 served_by one
run curl --silent --show-error --include "$url/welcome"
curl --silent --max-time 5 "$url/welcome" | grep '^order [0-9]* received$' >/dev/null || fails 'the answer does not come from the application'
holds 'the answer comes from the application'

heading 'Redacted log lines' 'The application logs e-mail addresses and card numbers. The plugin `redact` removes them before they reach the log of the pod.'
expect "the application's lines arrive in the pod's log" 15 logged 'order [0-9]+ for '
logs | grep -E 'order [0-9]+ for ' | tail -n 2 | shown
docker logs "$(component app)" 2>/dev/null | grep 'ada.lovelace@example.com' >/dev/null || fails 'the application did not write the address, so the check would prove nothing'
if logged 'ada\.lovelace|lovelace@|4111111111111111'; then fails 'confidential data is in the log' "$(logs | grep -E 'lovelace|4111111111111111')"; fi
holds 'the application wrote the address and the card number, and the log of the pod contains neither'

heading 'A good configuration, applied without a restart' 'The file in the watched directory is replaced. The plugin `reload` validates the new file with nginx, replaces the old one and signals nginx.'
before=$(started_at)
printf '   %s$ cp configs/2-good.conf live/nginx.conf%s\n' "$DIM" "$PLAIN"
push "$work/configs/2-good.conf"
expect 'nginx uses the second configuration' 20 served_by two
# nginx lets its old worker end in peace: for a moment the two answer side by side.
new_page() { curl --silent --max-time 5 "$url/opening-hours" | grep -x 'nine to five' >/dev/null; }
expect 'nginx serves the new page' 10 new_page
run curl --silent --show-error --include "$url/opening-hours"
[ "$(started_at)" = "$before" ] || fails 'a container was replaced or restarted' "before:
$before
after:
$(started_at)"
started_at | shown
holds 'the same containers are running, with the same start times'

heading 'A bad configuration, refused' 'The new file has a typing error. `nginx -t` rejects it inside the component, so nginx keeps its current file.'
# The second rollout ends only after its `healthy-for`; a third one before that waits for it.
{ diff "$work/configs/2-good.conf" "$work/configs/3-bad.conf" || true; } | grep '^[<>] *proxy_pas' | shown
printf '   %s$ cp configs/3-bad.conf live/nginx.conf%s\n' "$DIM" "$PLAIN"
push "$work/configs/3-bad.conf"
expect 'the log contains the reason for the refusal' 30 logged 'unknown directive'
logs | grep -E 'unknown directive' | tail -n 1 | shown
for _ in 1 2 3; do served_by two || fails 'nginx no longer uses the second configuration'; done
docker exec "$(component web)" cat /etc/nginx/nginx.conf | cmp -s - "$work/configs/2-good.conf" || fails 'the file in the component is not the last good version'
[ "$(started_at)" = "$before" ] || fails 'a container was replaced or restarted' "$(started_at)"
holds 'nginx still uses the second configuration, in the same containers'

heading 'SIGHUP to the pod reaches only nginx' 'The plugin `signal` delivers the signal to nginx. The application has no handler for SIGHUP, so the signal would end it.'
reloads=$(times_logged 'signal 1 \(SIGHUP\) received')
run docker kill --signal HUP "$pod"
one_more_reload() { [ "$(times_logged 'signal 1 \(SIGHUP\) received')" -gt "$reloads" ]; }
expect 'nginx reloads' 15 one_more_reload
logs | grep -E 'signal 1 \(SIGHUP\) received' | tail -n 1 | shown
expect 'nginx and the application still answer' 10 served_by two
[ "$(started_at)" = "$before" ] || fails 'a container was replaced or restarted' "$(started_at)"
holds 'the same containers are running'

heading 'A component ends, and the pod ends too' 'nginx is killed. The controller stops the application, and the pod exits with the exit code of nginx: 128 + 9.'
run docker kill --signal KILL "$(component web)"
timeout 60 docker wait "$pod" >"$work/exit" || fails 'the pod is still running without nginx'
logs | tail -n 6 | shown
code_is "$work/exit" 137
run docker ps --all --filter "name=$pod"
kept=$(containers | sed -n "s/^\($pod[.]podlike[.]web[.]failed-[0-9]*\): Exited (137).*/\1/p")
[ -n "$kept" ] || fails 'the failed component is not kept' "$(containers)"
[ "$(containers | wc -l)" = 2 ] || fails 'other containers are left than the controller and the failed component' "$(containers)"
containers | grep -q "^$pod: Exited (137)" || fails 'the controller did not exit with the exit code of its component' "$(containers)"
holds 'two stopped containers are left: the controller, because the pod ran detached, and the failed component, which is kept for inspection for one hour'
run docker rm "$kept" "$pod"

heading 'A clean stop' 'The pod runs again, this time in the foreground. `docker stop` ends it: the controller stops the components in reverse order and removes everything.'
push "$work/configs/2-good.conf"
printf '   %s$ outrigger run --name %s pod.yaml%s\n' "$DIM" "$pod" "$PLAIN"
{ "$outrigger" run --name "$pod" "$work/pod.yaml" >"$work/log" 2>&1 && echo 0 || echo "$?"; } >"$work/exit" &
waiter=$!
exists() { docker inspect "$pod"; }
wait_until 30 'the controller' exists || fails 'the controller was not created' "$(cat "$work/log")"
started
containers | shown
run docker stop "$pod"
ended() { ! kill -0 "$waiter"; }
wait_until 30 'the pod to end' ended || fails '`outrigger run` does not end'
tail -n 6 "$work/log" | shown
code_is "$work/exit" 0
nothing_left || fails 'some containers are left' "$(containers)"
run docker ps --all --filter "name=$pod"
holds 'no container is left, not even the controller; the exit code is 0, because a requested stop is a success'

printf '\n%sAll %d steps passed.%s\n' "$GREEN" "$step" "$PLAIN"
