#!/bin/sh
# Disks that fail and power that is cut, ten thousand simulated histories (or KOUDAI_SIM_SEEDS), and every bug that can be
# planted, found.
set -eu
cd "$(dirname "$0")/.."
child=""
trap '[ -z "$child" ] || kill "$child"; exit 1' INT TERM
# A command that ends when this is told to.
run() {
    "$@" &
    child=$!
    wait "$child"
}
run cargo test --profile simulation --quiet --package koudai-sim --no-fail-fast
run cargo run --profile simulation --quiet --package koudai-sim -- --seeds "${KOUDAI_SIM_SEEDS:-10000}"
run cargo run --profile simulation --quiet --package koudai-sim -- --seeds 1000 --plant-each
