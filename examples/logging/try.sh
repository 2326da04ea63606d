#!/usr/bin/env bash
# Walks through this example step by step, with the real output, and fails where anything does not hold.
#
#   examples/logging/try.sh     on the Swarm that is there; `make examples` brings one. See examples/lib.sh
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib.sh"

begin python:3-slim busybox

heading 'Deploy' 'One stack without the plugin, one with it.'
deploy stack.yml logging; stack=$deployed
deploy stack-plugin.yml plugin; plugin=$deployed
up "$stack" pod
up "$plugin" pod
containers_shown "$stack"
containers_shown "$plugin"

# The service's log, as its log driver has it: what users and collectors see.
service_log() { docker service logs --raw "$1_pod" 2>&1; }
orders() { service_log "$1" | sed -nE 's/.*order ([0-9]+) of .*/\1/p'; }
at_least() { [ "$(orders "$1" | wc -l)" -ge "$2" ]; }
# No order is missing, and none is there twice.
complete() { [ "$(orders "$1")" = "$(seq "$(orders "$1" | tail -n 1)")" ]; }
confidential() { service_log "$1" | grep -F 'lovelace'; }

heading 'A component follows the file' 'The application writes to a volume. A second component runs `tail` and `awk`.'
expect 'lines of the file arrive in the log of the service' 20 at_least "$stack" 3
command_shown 'docker service logs --raw logging_pod'
service_log "$stack" | grep 'order' | tail -n 3 | shown
docker exec "$(component "$stack" pod app)" tail -n 1 /var/log/app/app.log | grep 'ada.lovelace@example.com' >/dev/null || fails 'the file has no address, so the check would prove nothing'
if confidential "$stack" >/dev/null; then fails 'the address is in the log' "$(confidential "$stack")"; fi
complete "$stack" || fails 'a line is missing or appears twice' "$(service_log "$stack")"
holds 'every line appears once, without the address'

heading 'The file is rotated' 'As logrotate does: a new file gets the name. The application writes to the old file until it opens the file again.'
command_shown "docker exec <app> sh -c 'mv app.log app.log.1; echo order 0 of grace.hopper@example.com taken > app.log'"
docker exec "$(component "$stack" pod app)" sh -c 'cd /var/log/app && mv app.log app.log.1 && echo "order 0 of grace.hopper@example.com taken" >app.log'
rotated() { service_log "$stack" | grep -E '^\[out\] tail: order 0 of \[redacted\] taken'; }
expect 'the component follows the new file' 15 rotated

heading 'With a plugin' 'The controller collects the output of the application, and the plugin `redact` filters each line.'
expect 'lines arrive in the log of the service' 20 at_least "$plugin" 3
command_shown 'docker service logs --raw plugin_pod'
service_log "$plugin" | grep 'order' | tail -n 3 | shown
docker logs "$(component "$plugin" pod app)" 2>&1 | grep 'ada.lovelace@example.com' >/dev/null || fails 'the application did not write the address, so the check would prove nothing'
if confidential "$plugin" >/dev/null; then fails 'the address is in the log' "$(confidential "$plugin")"; fi
complete "$plugin" || fails 'a line is missing or appears twice' "$(service_log "$plugin")"
holds 'every line appears once, without the address, and with one container and one volume less'

heading 'Remove' 'Both stacks.'
remove "$stack" "$plugin"
all_hold
