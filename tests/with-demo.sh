#!/bin/sh
# Starts a demo of its own, drives it with the merchant SDKs and with a browser, and looks for secrets in its log.
# KOUDAI_BIN names the program, target/debug/koudai if absent.
set -eu
cd "$(dirname "$0")/.."
bin="${KOUDAI_BIN:-$PWD/target/debug/koudai}"
dir="$(mktemp -d)"
trap 'kill "$demo" 2>/dev/null; wait "$demo" 2>/dev/null || true; rm -rf "$dir"' EXIT INT TERM

"$bin" --log debug demo --json --data "$dir/data" >"$dir/addresses" 2>"$dir/log" &
demo=$!
tries=0
until [ -s "$dir/addresses" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$demo" 2>/dev/null; then
        cat "$dir/log"
        echo "the demo does not start"
        exit 1
    fi
    sleep 0.1
done
cat "$dir/addresses"
address() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p' "$dir/addresses"; }

"$bin" merchant create --data "$dir/data" --name 'SDK 食堂' --products native,codepay >"$dir/merchant.json"
export KOUDAI_WALLET="$(address wallet)" KOUDAI_GATEWAY="$(address gateway)" KOUDAI_SHOP="$(address shop)"
export KOUDAI_BANK="$(address bank)" KOUDAI_INBOX="$(address inbox)"
export KOUDAI_MERCHANT="$dir/merchant.json" KOUDAI_LOG="$dir/log" KOUDAI_SECRETS="$dir/secrets"
export KOUDAI_DATA="$dir/data" KOUDAI_BIN="$bin"

(cd tests/sdk && node --test --test-concurrency=1 --test-reporter=spec)
(cd tests/e2e && node --test --test-concurrency=1 --test-reporter=spec)
"$bin" verify --data "$dir/data"
