#!/usr/bin/env bash
# Starts the store, a worker and the API; stops them in the other order, on Ctrl-C, SIGTERM, or when one of them ends.
set -u
cd "$(dirname "$0")"

BIND=${BIND:-127.0.0.1:9091}
export WEBRTC_EVENTS_CONFIG=${WEBRTC_EVENTS_CONFIG:-$PWD/settings.toml}
export WEBRTC_EVENTS_REDIS_URL=unix://$PWD/data/store.sock
STORE=$(command -v valkey-server || command -v redis-server) || {
  echo 'Neither valkey-server nor redis-server is in PATH: apt install redis-server' >&2
  exit 1
}
CLI=${STORE%-server}-cli

mkdir -p -m 0700 data
# Two stores on the same files would spoil them. Whatever still runs holds the lock.
exec 9> data/lock
flock --nonblock 9 || { echo 'It runs already.' >&2; exit 1; }
[ -s data/secret-key ] || (umask 077 && webrtc-events new-key > data/secret-key) || exit 1
webrtc-events settings --check || exit 2

# Each in a session that Ctrl-C does not reach: this script alone says in which order they stop. If it is killed, they stop
# by themselves.
start() { setsid setpriv --pdeathsig TERM "$@" & }

stop() {
  trap '' INT TERM
  # The API first: it accepts nothing new, and answers what is under way. Then the worker, which ends its deliveries.
  # The store last, with everything on disk. What was accepted and not delivered is delivered after the next start.
  for pid in "${api:-}" "${worker:-}" "${store:-}"; do
    [ -n "$pid" ] && kill -TERM "$pid" 2> /dev/null && wait "$pid"
  done
  exit "$1"
}
trap 'echo "Stopping."; stop 0' INT TERM

start "$STORE" store.conf
store=$!
until "$CLI" -s data/store.sock ping 2> /dev/null | grep -q PONG; do
  kill -0 "$store" 2> /dev/null || { echo 'The store did not start.' >&2; exit 1; }
  sleep 0.1
done

start webrtc-events worker
worker=$!
start gunicorn -c python:webrtc_events.gunicorn_conf --bind "$BIND" 'webrtc_events.app:create_app()'
api=$!
echo "The API listens on $BIND once gunicorn says so. Ctrl-C stops everything."

wait -n
echo 'One of them has ended; the others stop.' >&2
stop 1
