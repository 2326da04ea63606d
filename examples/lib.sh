# What the try.sh of the examples for Swarm share: sourced, with `set -euo pipefail` in force.
#
# A try.sh deploys its stack files to the Swarm that is there, shows what happens, checks each claim, and removes everything, either way. The files are
# deployed as they are, but for three things: the stack's name is this run's own, the image is OUTRIGGER_IMAGE (by default outrigger:latest), and
# ports of the node are chosen by the engine, since those that are written may be in use here.
# shellcheck shell=bash
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../scripts/lib.sh"

image=${OUTRIGGER_IMAGE:-outrigger:latest}
example=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
work=$(mktemp -d)
# Set by the user for something else.
unset PORT
stacks=() # as deployed
step=0
# Longest time that a pod may take to be healthy, and to be gone.
START_SECONDS=60
GONE_SECONDS=60

# --- showing and checking -----------------------------------------------------------------------------------------------

heading() { step=$((step + 1)); printf '\n%s%d. %s%s\n' "$BOLD" "$step" "$1" "$PLAIN"; shift; [ $# -eq 0 ] || printf '   %s\n' "$@"; }
shown() { sed 's/^/     /'; }
command_shown() { printf '   %s$ %s%s\n' "$DIM" "$*" "$PLAIN"; }
# run COMMAND...: shows the command and its output.
run() { command_shown "$*"; "$@" 2>&1 | shown; }
holds() { printf '   %spassed:%s %s\n' "$GREEN" "$PLAIN" "$*"; }

# fails WHAT [EVIDENCE]: with all that helps to find out why.
fails() {
  printf '\n%sstep %d failed:%s %s\n' "$RED" "$step" "$PLAIN" "$1" >&2
  [ $# -lt 2 ] || printf '%s\n' "$2" | shown >&2
  local stack id
  for stack in "${stacks[@]}"; do
    { echo "--- tasks of $stack"; docker stack ps --no-trunc "$stack" 2>&1 || true
      echo '--- containers'; containers "$stack" || true
      for id in $(docker ps --all --quiet --no-trunc --filter "label=com.docker.stack.namespace=$stack" | head -n 3); do
        echo "--- log of $(docker inspect --format '{{.Name}}' "$id")"; docker logs --tail 40 "$id" 2>&1 || true
      done; } | shown >&2
  done
  exit 1
}

# expect WHAT SECONDS COMMAND...: the command succeeds within that time.
expect() {
  local what=$1 seconds=$2; shift 2
  wait_until "$seconds" "$what" "$@" || fails "$what (within $seconds s)" "$("$@" 2>&1 || true)"
  holds "$what"
}

# --- stacks and pods ----------------------------------------------------------------------------------------------------

# All of a stack: the pods' controllers are named <stack>_<service>.<n>.<task>, their components <controller>.podlike.<component>.
containers() { docker ps --all --filter "name=^/$1_" --format '{{.Names}}: {{.Status}}'; }
# Which of its task is which says the id in the name; it is nothing to read here.
containers_shown() { containers "$1" | sed -E 's/\.[a-z0-9]{25}(\.|:)/.<task>\1/' | shown; }

# deploy FILE NAME: sets $deployed to the stack's real name.
deploy() {
  local file=$1 name=$2
  deployed=$name-$$
  sed -E -e "s|^( +image: )outrigger\$|\\1$image|" -e 's|^( +- *\{.*published: )[0-9]+|\10|' "$example/$file" >"$work/$file"
  command_shown "outrigger check $file"
  docker run --rm --interactive --network none "$image" check - <"$work/$file" 2>&1 | shown || fails 'the stack file has errors'
  stacks+=("$deployed")
  command_shown "${PORT:+PORT=$PORT }docker stack deploy -c $file $name"
  # Nobody needs to be asked which image is meant: all are on this node.
  docker stack deploy --resolve-image never --compose-file "$work/$file" "$deployed" >"$work/deploy" 2>&1 || fails 'docker rejects the stack' "$(cat "$work/deploy")"
  # Newer versions of the command announce what it will do some day.
  { grep -vE '^(Since --detach|In a future release)' "$work/deploy" || true; } | shown
}

# pod STACK SERVICE: the id of the container of its newest running task.
pod() { docker ps --quiet --no-trunc --filter "label=com.docker.swarm.service.name=$1_$2" | head -n 1; }
# component STACK SERVICE NAME: its id.
component() { docker ps --all --quiet --no-trunc --filter "label=outrigger.pod=$(pod "$1" "$2")" --filter "label=outrigger.component=$3"; }
healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$(pod "$1" "$2")")" = healthy ]; }
# up STACK SERVICE
up() {
  wait_until "$START_SECONDS" "$2 to be healthy" healthy "$1" "$2" || fails "the pod \`$2\` is not healthy within $START_SECONDS s"
  holds "the pod \`$2\` is healthy"
}
logs() { docker logs "$(pod "$1" "$2")" 2>&1; }
# logged STACK SERVICE REGEX
logged() { logs "$1" "$2" | grep -E -- "$3" >/dev/null; }
# times_logged STACK SERVICE REGEX
times_logged() { logs "$1" "$2" | grep -cE -- "$3" || true; }
# published STACK SERVICE PORT: where on this node the pod's port is.
published() { echo "127.0.0.1:$(docker port "$(pod "$1" "$2")" "$3/tcp" | head -n 1 | sed 's/.*://')"; }
fetch() { curl --silent --show-error --max-time 20 "$@" | tr -d '\r'; }

# --- the end ------------------------------------------------------------------------------------------------------------

# Of a pod that ended by a failure, the component that failed remains for `docker logs` (docs/operations.md).
kept_of() { docker ps --all --quiet --filter "name=^/$1_.*[.]failed-[0-9]+\$"; }
kept_removed() { local kept; kept=$(kept_of "$1"); [ -z "$kept" ] || docker rm $kept; }
gone() { [ -z "$(containers "$1" | grep -v '[.]failed-[0-9]*:')$(docker network ls --quiet --filter "label=com.docker.stack.namespace=$1")" ]; }
volumes_of() { docker volume ls --quiet --filter "label=com.docker.stack.namespace=$1"; }
volumes_gone() {
  local left; left=$(volumes_of "$1")
  # shellcheck disable=SC2086
  [ -z "$left" ] || docker volume rm $left
  [ -z "$(volumes_of "$1")" ]
}

# remove STACK...: the last step of every try.sh.
remove() {
  local stack left='' kept=''
  command_shown 'docker stack rm' "${@%-*}"
  docker stack rm "$@" 2>&1 | shown
  for stack in "$@"; do
    wait_until "$GONE_SECONDS" "the containers of $stack to be gone" gone "$stack" || fails 'some containers are left' "$(containers "$stack")"
  done
  for stack in "$@"; do
    # By name, for that is what components have of their stack.
    command_shown "docker ps --all --filter name=${stack%-*}_"
    docker ps --all --filter "name=${stack}_" --format '{{.Names}}: {{.Status}}' | shown
  done
  for stack in "$@"; do kept+=$(kept_of "$stack"); done
  if [ -n "$kept" ]; then
    printf '   %s\n' 'The failed component is kept for one hour for inspection; this example removes it now:'
    for stack in "$@"; do
      [ -n "$(kept_of "$stack")" ] || continue
      command_shown "docker rm \$(docker ps --all --quiet --filter 'name=^/${stack%-*}_.*[.]failed-')"
      kept_removed "$stack" | shown
    done
  fi
  for stack in "$@"; do left+=$(volumes_of "$stack"); done
  if [ -n "$left" ]; then
    printf '   %s\n' 'Swarm does not remove volumes, not even the volumes of removed tasks; this example removes them:'
    for stack in "$@"; do
      [ -n "$(volumes_of "$stack")" ] || continue
      command_shown "docker volume rm \$(docker volume ls -q --filter label=com.docker.stack.namespace=${stack%-*})"
      volumes_of "$stack" | shown
      wait_until 20 'the volumes to be free' volumes_gone "$stack" || fails 'a volume is left' "$(volumes_of "$stack")"
    done
  fi
  holds 'no container, network or volume is left'
  stacks=()
}

all_hold() { printf '\n%sAll %d steps passed in %d s.%s\n' "$GREEN" "$step" "$SECONDS" "$PLAIN"; }

clean_up() {
  local code=$? stack
  trap '' INT TERM HUP
  for stack in "${stacks[@]}"; do
    docker stack rm "$stack" >/dev/null 2>&1 || true
    wait_until "$GONE_SECONDS" "the containers of $stack to be gone" gone "$stack" || say "left: $(containers "$stack")"
    kept_removed "$stack" >/dev/null || true
    wait_until 20 'the volumes to be free' volumes_gone "$stack" || say "left: $(volumes_of "$stack")"
  done
  rm -rf "$work"
  # An example may have more to undo.
  if declare -F undo >/dev/null; then undo || true; fi
  if [ "$code" != 0 ] && [ "$step" -gt 0 ]; then printf '\n%sthe example FAILED%s in step %d\n' "$RED" "$PLAIN" "$step" >&2; fi
}
trap clean_up EXIT
# A command that fails where nothing was expected of it must not end this in silence.
trap 'printf "line %d failed: %s\n" "$LINENO" "$BASH_COMMAND" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- what must be there -------------------------------------------------------------------------------------------------

# begin IMAGE...: the images of the components.
begin() {
  need curl 'the Debian package curl: `scripts/setup` installs it'
  need docker 'an engine: `scripts/engine start` installs and starts one'
  local info; info=$(docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}} {{.Swarm.Nodes}}' 2>/dev/null) || die 'no engine answers' '`make examples` starts an engine'
  case $info in
    'active true 1') ;;
    'active true '*) die "this Swarm has more than one node (${info##* })" 'the example inspects containers through this engine, so it needs a Swarm of one node; `make examples` starts one' ;;
    'active false '*) die 'this engine is a worker of its Swarm' 'run the example on a manager' ;;
    *) die 'this engine is not in a Swarm; nothing was changed' '`docker swarm init` makes this engine a Swarm of one node; `make examples` runs the examples on a separate engine' ;;
  esac
  local wanted
  for wanted in "$image" "$@"; do
    docker image inspect "$wanted" >/dev/null 2>&1 || die "the engine has no image \`$wanted\`" '`make image` and `scripts/demo-images` build the images; `make examples` does everything'
  done
  # Configs are files beside the stack file.
  cp -r "$example/." "$work/"
}
