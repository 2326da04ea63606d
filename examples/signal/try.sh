#!/usr/bin/env bash
# Walks through this example step by step, with the real output, and fails where anything does not hold.
#
#   examples/signal/try.sh     on the Swarm that is there; `make examples` brings one. See examples/lib.sh
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib.sh"

begin python:3-slim

# What proves that nothing was restarted.
started_at() { docker inspect --format '{{.Id}} {{.State.StartedAt}}' "$(pod "$1" pod)" "$(component "$1" pod app)"; }

heading 'Deploy' 'One stack without the plugin, one with it.'
deploy stack.yml signal; stack=$deployed
deploy stack-plugin.yml plugin; plugin=$deployed
up "$stack" pod
up "$plugin" pod
containers_shown "$stack"
containers_shown "$plugin"

heading 'A component signals another' 'Both are in one PID namespace, and have a file with the process id on a volume.'
expect 'the second component has found the first' 15 logged "$stack" pod '\[out\] notify: watching'
pid=$(logs "$stack" pod | sed -n 's/^\[out\] app: the application is process //p')
command_shown "docker exec <notify> cat /proc/$pid/cmdline"
docker exec "$(component "$stack" pod notify)" cat "/proc/$pid/cmdline" | tr '\0' ' ' >"$work/process"
{ cat "$work/process"; echo; } | shown
grep -q '^python3 /opt/app.py' "$work/process" || fails 'the second component does not see the process of the first' "$(cat "$work/process")"
before=$(started_at "$stack")
command_shown "docker exec <app> sh -c 'echo colour=green > /shared/settings'"
docker exec "$(component "$stack" pod app)" sh -c 'echo colour=green >/shared/settings'
expect 'the application has read the new settings' 15 logged "$stack" pod '\[out\] app: settings, read 2 times: colour=green'
logs "$stack" pod | grep -E '^\[out\]' | shown
logged "$stack" pod "\[out\] notify: sent SIGHUP to process $pid\$" || fails 'the other component did not send the signal'
[ "$(started_at "$stack")" = "$before" ] || fails 'something was restarted' "$before -> $(started_at "$stack")"
holds "one component signalled process $pid of the other, and nothing was restarted"

heading 'With a plugin' 'The plugin `signal` passes signals of the pod on: docker kill --signal HUP <the pod>'
before=$(started_at "$plugin")
expect 'the application has its first settings' 15 logged "$plugin" pod '\[out\] app: settings, read 1 times: colour=red'
command_shown "docker exec <app> sh -c 'echo colour=green > /tmp/settings'"
docker exec "$(component "$plugin" pod app)" sh -c 'echo colour=green >/tmp/settings'
command_shown 'docker kill --signal HUP <pod>'
docker kill --signal HUP "$(pod "$plugin" pod)" >/dev/null
expect 'the application has read the new settings' 15 logged "$plugin" pod '\[out\] app: settings, read 2 times: colour=green'
logs "$plugin" pod | grep -E '^\[out\]' | shown
[ "$(started_at "$plugin")" = "$before" ] || fails 'something was restarted' "$before -> $(started_at "$plugin")"
holds 'nothing was restarted'

heading 'Without the plugin, the pod ignores the signal' 'The signal would end most applications. The pod logs a warning and keeps running.'
before=$(started_at "$stack")
docker kill --signal HUP "$(pod "$stack" pod)" >/dev/null
expect 'the pod reports that it ignores the signal' 15 logged "$stack" pod 'WARN .*the controller ignores this signal'
logs "$stack" pod | grep -E 'WARN .*the controller ignores this signal' | shown
[ "$(started_at "$stack")" = "$before" ] || fails 'something was restarted' "$before -> $(started_at "$stack")"
[ "$(times_logged "$stack" pod 'app: settings, read')" = 2 ] || fails 'the application received the signal' "$(logs "$stack" pod)"
holds 'the application did not receive the signal and is still running'

heading 'Remove' 'Both stacks.'
remove "$stack" "$plugin"
all_hold
