#!/bin/sh
# The larger runs. Each appends its result line, with commit and machine, to docs/results/NAME.md.
set -eu
cd "$(dirname "$0")/.."
name="${1:?which: kill, two-phones}"
case "$name" in
    kill)
        export KOUDAI_KILL_ROUNDS="${KOUDAI_KILL_ROUNDS:-50}" KOUDAI_KILL_ACKS="${KOUDAI_KILL_ACKS:-200}"
        test=kill
        line='^kill: '
        ;;
    two-phones)
        export KOUDAI_TWO_PHONES="${KOUDAI_TWO_PHONES:-200}"
        test=two_phones
        line='^two phones: '
        ;;
    *)
        echo "no long run is called $name" >&2
        exit 2
        ;;
esac
out="$(mktemp)"
cargo test --release --package koudai --test "$test" -- --nocapture | tee "$out"
result="$(grep "$line" "$out")"
commit="$(git rev-parse --short=12 HEAD)"
git diff --quiet HEAD || commit="$commit with changes"
machine="$(nproc) cores, $(awk '/MemTotal/ {printf "%d GiB", $2 / 1048576}' /proc/meminfo), $(uname -sm)"
mkdir -p docs/results
printf -- '- %s, commit %s, %s: %s\n' "$(date -u +%Y-%m-%d)" "$commit" "$machine" "$result" >>"docs/results/$name.md"
tail -n 1 "docs/results/$name.md"
