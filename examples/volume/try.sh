#!/usr/bin/env bash
# Walks through this example step by step, with the real output, and fails where anything does not hold.
#
#   examples/volume/try.sh     on the Swarm that is there; `make examples` brings one. See examples/lib.sh
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib.sh"

begin nginx python:3-slim

started_at() { docker inspect --format '{{.Id}} {{.State.StartedAt}}' "$(pod "$1" pod)" "$(component "$1" pod web)"; }
serves() { [ "$(fetch "http://$(published "$1" pod 80)/")" = "$2" ]; }
# post STACK TEXT: shows it, too.
post() { run curl --silent --show-error --max-time 10 --data "$2" "http://$(published "$1" pod 5000)/"; }
# Whether nginx would start with the file that lies there.
would_start() { docker exec "$(component "$1" pod web)" nginx -t; }

heading 'Deploy' 'One stack without the plugin, one with it.'
deploy stack.yml volume; stack=$deployed
deploy stack-plugin.yml plugin; plugin=$deployed
up "$stack" pod
up "$plugin" pod
containers_shown "$stack"
containers_shown "$plugin"

heading 'The server writes, and signals' 'The two components share a volume and a PID namespace.'
expect 'nginx uses the first configuration' 15 serves "$stack" 'good morning'
before=$(started_at "$stack")
post "$stack" 'good evening'
expect 'nginx uses the second configuration' 15 serves "$stack" 'good evening'
[ "$(started_at "$stack")" = "$before" ] || fails 'something was restarted' "$before -> $(started_at "$stack")"
holds 'nothing was restarted'

heading 'The server writes nonsense' 'Nothing validates the file before nginx uses it.'
post "$stack" 'say "friend"'
expect 'nginx complains' 15 logged "$stack" pod '\[err\] web: .*\[emerg\]'
logs "$stack" pod | grep -E '\[emerg\]' | tail -n 1 | shown
expect 'nginx goes on as it was' 5 serves "$stack" 'good evening'
if would_start "$stack" >"$work/check" 2>&1; then fails 'nginx accepts the file, so the check would prove nothing' "$(cat "$work/check")"; fi
command_shown 'docker exec <web> nginx -t'
shown <"$work/check"
holds 'the bad file stays in place, and nginx could not start again with it'

heading 'With a plugin' 'The server only writes the file. The plugin `reload` does the rest.'
expect 'nginx uses the first configuration' 20 serves "$plugin" 'good morning'
before=$(started_at "$plugin")
post "$plugin" 'good evening'
expect 'nginx uses the second configuration' 15 serves "$plugin" 'good evening'
[ "$(started_at "$plugin")" = "$before" ] || fails 'something was restarted' "$before -> $(started_at "$plugin")"
holds 'nothing was restarted'

heading 'The same nonsense' 'The plugin validates the file with nginx before it signals nginx, and restores the last good file.'
post "$plugin" 'say "friend"'
expect 'the pod logs the reason for the refusal' 20 logged "$plugin" pod 'WARN .*\[emerg\]'
logs "$plugin" pod | grep -E 'WARN .*\[emerg\]' | tail -n 1 | cut -c 1-400 | shown
expect 'the last good file is restored' 10 would_start "$plugin"
command_shown 'docker exec <web> nginx -t'
would_start "$plugin" 2>&1 | shown
serves "$plugin" 'good evening' || fails 'nginx serves a different answer'
post "$plugin" 'good night'
expect 'nginx uses the next good file' 15 serves "$plugin" 'good night'
[ "$(started_at "$plugin")" = "$before" ] || fails 'something was restarted' "$before -> $(started_at "$plugin")"
holds 'nothing was restarted'

heading 'Remove' 'Both stacks.'
remove "$stack" "$plugin"
all_hold
