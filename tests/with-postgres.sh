#!/bin/sh
# Runs a command with a PostgreSQL server of its own, which goes with it: KOUDAI_TEST_POSTGRES is its URL without a database.
# The server's programs are the newest in /usr/lib/postgresql, or those in KOUDAI_POSTGRES_BIN.
# It listens on a Unix socket in its own directory and on 127.0.0.1 at KOUDAI_POSTGRES_PORT, a free port if absent.
set -eu
bin="${KOUDAI_POSTGRES_BIN:-$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)}"
dir="$(mktemp -d)"
# PostgreSQL refuses to run as root.
as=""
if [ "$(id -u)" = 0 ]; then
    as="runuser -u postgres --"
    chown postgres "$dir"
fi
stop() {
    (cd / && $as "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1) || true
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

(cd / && $as "$bin/initdb" -D "$dir/data" -U koudai -A trust -E UTF8 --locale=C.UTF-8 >"$dir/initdb.log" 2>&1) \
    || { cat "$dir/initdb.log"; exit 1; }
tries=0
while :; do
    port="${KOUDAI_POSTGRES_PORT:-$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))}"
    options="-p $port -k $dir -c listen_addresses=127.0.0.1 -c max_connections=200 -c logging_collector=off"
    if (cd / && $as "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/log" -o "$options" -w start >/dev/null 2>&1); then
        break
    fi
    tries=$((tries + 1))
    if [ -n "${KOUDAI_POSTGRES_PORT:-}" ] || [ "$tries" -ge 5 ]; then
        cat "$dir/data/log"
        exit 1
    fi
done
export KOUDAI_TEST_POSTGRES="postgresql://koudai@127.0.0.1:$port"
"$@"
