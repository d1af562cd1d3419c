#!/bin/sh
# Passes every test of the project. Installs what it needs when that is absent, and says so:
# Debian packages (a headless browser, fonts, Node.js, PostgreSQL) and npm packages, all by name.
set -eu
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never

say() { printf '\n== %s\n' "$*"; }

debian=""
command -v cc >/dev/null || debian="$debian build-essential"
command -v node >/dev/null || debian="$debian nodejs npm"
[ -x /usr/bin/chromium ] || debian="$debian chromium"
fc-list 2>/dev/null | grep -qi 'Noto Sans CJK' || debian="$debian fonts-noto-cjk"
command -v psql >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || debian="$debian postgresql"
if [ -n "$debian" ]; then
    say "installing Debian packages:$debian"
    root=""
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -q
    DEBIAN_FRONTEND=noninteractive $root apt-get install -q -y --no-install-recommends $debian
fi
for folder in tests/sdk tests/e2e; do
    if [ ! -e "$folder/node_modules/.package-lock.json" ] \
        || [ "$folder/package-lock.json" -nt "$folder/node_modules/.package-lock.json" ]; then
        say "installing the npm packages of $folder"
        (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error)
    fi
done

say "format and lints"
cargo fmt --all --check
cargo clippy --workspace --all-targets --quiet -- -D warnings

say "tests in Rust"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --no-fail-fast
else
    cargo test --workspace --no-fail-fast
fi
cargo test --workspace --doc --quiet

say "the same tests of store and engine on PostgreSQL"
sh tests/with-postgres.sh cargo test --no-fail-fast --package koudai-store --package koudai-engine

say "the program with real SDKs and a real browser"
cargo build --quiet
sh tests/with-demo.sh
