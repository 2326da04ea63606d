#!/usr/bin/env bash
# Walks through this example step by step, with the real output, and fails where anything does not hold.
#
#   examples/hello/try.sh     on the Swarm that is there; `make examples` brings one. See examples/lib.sh
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib.sh"

begin python:3-slim
node=$(docker info --format '{{.Swarm.NodeID}}')
[ -z "$(docker node inspect --format '{{index .Spec.Labels "hello.zone"}}' "$node")" ] || die 'this node has a label `hello.zone` already' 'this example adds and removes it'
undo() { docker node update --label-rm hello.zone "$node" >/dev/null 2>&1; }

# As `docker service ls` has it: tasks that run, which a pod does once it is healthy, and tasks that are wanted.
replicas_are() { [ "$(docker service ls --filter "name=$1" --format '{{.Replicas}}')" = "$2" ]; }
ask() { fetch "http://$(published "$stack" front 8080)$1"; }
asked() { command_shown "curl http://$(published "$stack" front 8080)$1"; ask "$1" | shown; }
says() { ask "$1" | grep -E -- "$2"; }

heading 'Deploy' 'Three services of pods. `world` may run only on nodes in the zone `north`, and there is no such node yet.'
deploy stack.yml hello; stack=$deployed
expect '`front` runs' 60 replicas_are "${stack}_front" 1/1
expect '`hello` runs, twice' 60 replicas_are "${stack}_hello" 2/2
waiting() { docker service ps --no-trunc --format '{{.CurrentState}}: {{.Error}}' "${stack}_world" | grep 'no suitable node'; }
expect '`world` waits' 20 waiting
waiting | shown
command_shown 'docker service ls'
docker service ls --filter "name=$stack" --format 'table {{.Name}}\t{{.Replicas}}' | shown

heading 'Each finds the others by name' 'http://front:8080/view asks all tasks of all others, at `tasks.<service>`.'
expect '`front` finds both tasks of `hello`, and none of `world`' 20 says /view 'front: hello is hello.1 on .*, hello.2 on '
asked /view
says /view 'front: world is nowhere' >/dev/null || fails '`world` is already running' "$(ask /view)"
holds '`world` is not running'

heading 'Placement by constraint' 'This node is now in the zone `north`.'
command_shown 'docker node update --label-add hello.zone=north <node>'
docker node update --label-add hello.zone=north "$node" >/dev/null
expect '`world` runs' 60 replicas_are "${stack}_world" 1/1
expect '`front` finds `world`' 20 says /view 'front: world is world.1 on '
asked /view
expect '`hello` finds the other two' 20 says /of/hello 'hello: world is world.1 on '
asked /of/hello
says /of/hello 'hello: front is front.1 on ' >/dev/null || fails '`hello` does not find `front`' "$(ask /of/hello)"
expect '`world` finds the other two' 20 says /of/world 'world: hello is hello.1 on .*, hello.2 on '
asked /of/world
says /of/world 'world: front is front.1 on ' >/dev/null || fails '`world` does not find `front`' "$(ask /of/world)"
holds 'each of the three services has found all tasks of the other two'

heading 'Spread' 'Swarm applies the placement preference of `hello`; one node means one zone.'
command_shown "docker service inspect --format '{{(index .Spec.TaskTemplate.Placement.Preferences 0).Spread.SpreadDescriptor}}' hello_hello"
docker service inspect --format '{{(index .Spec.TaskTemplate.Placement.Preferences 0).Spread.SpreadDescriptor}}' "${stack}_hello" | shown
[ "$(docker service inspect --format '{{(index .Spec.TaskTemplate.Placement.Preferences 0).Spread.SpreadDescriptor}}' "${stack}_hello")" = node.labels.hello.zone ] || fails 'Swarm does not know the preference'
command_shown "docker service ps --format '{{.Name}} {{.Node}}' hello_hello"
docker service ps --format '{{.Name}} {{.Node}}' "${stack}_hello" | shown
holds 'Swarm has the preference, and both tasks run'

heading 'Scale' 'One more pod. The others find it without a change of their configuration.'
command_shown 'docker service scale hello_hello=3'
docker service scale --detach "${stack}_hello=3" >/dev/null
expect '`front` finds the third task' 60 says /view 'front: hello is hello.1 on .*, hello.2 on .*, hello.3 on '
asked /view

heading 'Remove' 'All three services.'
remove "$stack"
undo
all_hold
