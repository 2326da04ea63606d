#!/usr/bin/env bash
# Walks through this example step by step, with the real output, and fails where anything does not hold.
#
#   examples/sidecar/try.sh     on the Swarm that is there; `make examples` brings one. See examples/lib.sh
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib.sh"

begin nginx python:3-slim

heading 'Deploy' 'One service with one pod: the application, and nginx with a cache in front of it.'
deploy stack.yml sidecar
stack=$deployed
up "$stack" site
containers_shown "$stack"
url=http://$(published "$stack" site 80)
printf '   %s\n' "The pod's port 80 is ${url#http://} here."

# X-Cache of one more request.
cache() { fetch --dump-header - --output /dev/null "$url/home" | sed -n 's/^X-Cache: //p'; }
cache_is() { [ "$(cache)" = "$1" ]; }
status() { fetch --output /dev/null --write-out '%{http_code}' "$url/home"; }

heading 'A fresh page comes from the cache' 'Only the first request reaches the application.'
expect 'the first request is a miss, and then the page is fresh' 15 cache_is HIT
before=$(times_logged "$stack" site '\[out\] app: 200 ')
for _ in {1..20}; do fetch "$url/home" >/dev/null; done
run curl --silent --include "$url/home"
after=$(times_logged "$stack" site '\[out\] app: 200 ')
# Two seconds may well be over in between.
[ $((after - before)) -le 3 ] || fails "21 requests of visitors caused $((after - before)) requests to the application"
holds "21 requests of visitors caused $((after - before)) requests to the application"
page=$(fetch "$url/home")

heading 'The application breaks: it answers 503' 'A file causes the failure: docker exec <app> touch /tmp/broken'
docker exec "$(component "$stack" site app)" touch /tmp/broken
# As soon as the page has gone stale.
expect 'the page is stale now, and served all the same' 15 cache_is STALE
run curl --silent --include "$url/home"
[ "$(status)" = 200 ] || fails 'visitors see the failure' "$(fetch --include "$url/home")"
[ "$(fetch "$url/home" | cut -d, -f1)" = "$(cut -d, -f1 <<<"$page")" ] || fails 'the page is a different one' "$(fetch "$url/home")"
logged "$stack" site '\[out\] app: 503 ' || fails 'nginx did not ask the application, so the check would prove nothing' "$(logs "$stack" site)"
holds 'visitors get the last good page with status 200'
[ "$(fetch --output /dev/null --write-out '%{http_code}' "$url/never-seen")" = 503 ] || fails 'a page that was never good is not a 503'
holds 'a page that is not in the cache shows the failure'

heading 'The application hangs' 'The application is frozen and does not answer.'
docker exec "$(component "$stack" site app)" rm /tmp/broken
expect 'first it works again' 15 cache_is HIT
command_shown 'docker pause <app>'
docker pause "$(component "$stack" site app)" >/dev/null
expect 'the page is stale, and served all the same' 15 cache_is STALE
[ "$(status)" = 200 ] || fails 'visitors see the failure'
holds 'visitors get the last good page with status 200, after the one second that nginx waits'
docker unpause "$(component "$stack" site app)" >/dev/null
expect 'with the application back, pages are fresh' 15 cache_is HIT

heading 'Remove' 'Swarm removes the service, and the controller removes its components.'
remove "$stack"
all_hold
