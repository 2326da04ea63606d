#!/usr/bin/env bash
# Walks through this example step by step, with the real output, and fails where anything does not hold.
#
#   examples/sidecar-init/try.sh     on the Swarm that is there; `make examples` brings one. See examples/lib.sh
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib.sh"

begin nginx python:3-slim busybox

answers() { [ "$(fetch "http://$(published "$1" site 80)/")" = 'hello from port 12000' ]; }
# When a line was written, in nanoseconds.
time_of() { nanoseconds "$(docker logs --timestamps "$(pod "$1" site)" 2>&1 | grep -E -- "$2" | head -n 1 | cut -d' ' -f1)"; }
nanoseconds() { date --date "$1" +%s%N; }

heading 'Deploy' 'Three stacks: one with an init component, one with `depends_on`, and one with a mistake for a later step.'
deploy stack.yml init; init=$deployed
deploy stack-depends-on.yml waits; waits=$deployed
export PORT=eighty
deploy stack.yml wrong; wrong=$deployed
unset PORT

heading 'An init component' 'The init component renders the configuration and exits with 0. Only then, the controller starts the application and nginx.'
up "$init" site
containers_shown "$init"
logs "$init" site | grep -E 'rendered|listens' | shown
[ "$(time_of "$init" 'render: rendered')" -lt "$(time_of "$init" 'app: the application listens')" ] || fails 'the application started first' "$(logs "$init" site)"
holds 'the file was rendered before the application started'
[ -z "$(docker ps --quiet --filter "label=outrigger.pod=$(pod "$init" site)" --filter label=outrigger.component=render)" ] || fails 'the init component still runs'
holds 'the init component has ended'
expect 'nginx passes requests on, by the configuration that was rendered' 15 answers "$init"
command_shown 'docker exec <proxy> cat /etc/nginx/conf.d/default.conf'
docker exec "$(component "$init" site proxy)" cat /etc/nginx/conf.d/default.conf | shown
run curl --silent "http://$(published "$init" site 80)/"

heading 'The same with `depends_on`' 'The component that renders keeps running, and nginx waits until it is healthy.'
up "$waits" site
containers_shown "$waits"
[ -n "$(docker ps --quiet --filter "label=outrigger.pod=$(pod "$waits" site)" --filter label=outrigger.component=render)" ] || fails 'the component that renders is not running'
started() { docker inspect --format '{{.State.StartedAt}}' "$(component "$waits" site "$1")"; }
probed() { docker inspect --format '{{range .State.Health.Log}}{{if eq .ExitCode 0}}{{.End.UTC.Format "2006-01-02T15:04:05.000000000Z"}}{{"\n"}}{{end}}{{end}}' "$(component "$waits" site render)" | head -n 1; }
printf '     the first health check to succeed ended at %s\n     nginx was started at                        %s\n' "$(probed)" "$(started proxy)"
[ "$(nanoseconds "$(probed)")" -lt "$(nanoseconds "$(started proxy)")" ] || fails 'nginx did not wait'
holds 'nginx started after the health check of the renderer succeeded'
expect 'nginx passes requests on' 15 answers "$waits"

heading 'Each task has its own volume' 'Both stacks, and all their replicas, use the volume name `conf`.'
for stack in "$init" "$waits"; do
  docker volume ls --filter "label=com.docker.stack.namespace=$stack" --format '{{.Name}}' | shown
  docker volume inspect "conf_$(docker inspect --format '{{index .Config.Labels "com.docker.swarm.task.id"}}' "$(pod "$stack" site)")" >/dev/null || fails "$stack has no volume of its task"
done
holds 'each volume has the name of its task'

heading 'A mistake' 'With PORT=eighty the init component fails, and the controller starts nothing else. The task exits with the exit code of the init component.'
failed() { docker stack ps --no-trunc --format '{{.CurrentState}} {{.Error}}' "$wrong" | grep -F 'non-zero exit (64)'; }
expect 'the task has failed with 64' 20 failed
failed | tail -n 1 | shown
first=$(docker ps --all --quiet --no-trunc --filter "label=com.docker.stack.namespace=$wrong" | tail -n 1)
docker logs "$first" 2>&1 | tail -n 3 | shown
docker logs "$first" 2>&1 | grep 'PORT is no number: `eighty`' >/dev/null || fails 'the log does not contain the reason' "$(docker logs "$first" 2>&1)"
if docker logs "$first" 2>&1 | grep 'the application listens' >/dev/null; then fails 'the application was started'; fi
holds 'the log contains the reason, and the application was never started'
kept=$(docker ps --all --quiet --filter "name=^/${wrong}_.*[.]failed-")
command_shown 'docker ps --all --filter name=.failed-'
docker ps --all --filter "name=^/${wrong}_.*[.]failed-" --format '{{.Names}}: {{.Status}}' | sed -E 's/\.[a-z0-9]{25}\./.<task>./' | shown
[ "$(docker logs "$kept" 2>&1 | grep -c 'PORT is no number')" = 1 ] || fails 'the failed component is not kept' "$(containers "$wrong")"
holds 'the failed init component is kept, stopped, with its output'

heading 'Remove' 'All stacks.'
remove "$init" "$waits" "$wrong"
all_hold
