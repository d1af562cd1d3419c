#!/bin/sh
# Passes every test of the project. Installs what it needs when that is absent, and says so:
# Debian packages (a headless browser, fonts, Node.js, PostgreSQL, Python), npm packages and two of PyPI, all by name.
set -eu
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never

say() { printf '\n== %s\n' "$*"; }

debian=""
command -v cc >/dev/null || debian="$debian build-essential"
command -v node >/dev/null || debian="$debian nodejs npm"
[ -x /usr/bin/chromium ] || debian="$debian chromium"
fc-list 2>/dev/null | grep -qi 'Noto Sans CJK' || debian="$debian fonts-noto-cjk"
# A virtual environment that can be made is one with pip in it.
python3 -c 'import ensurepip' 2>/dev/null || debian="$debian python3-venv"
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

say "an SDK and a mail server in Python for tests"
sh tests/sdk/python.sh

say "format"
cargo fmt --all --check

# What is ours is compiled by the compiler that `cargo clippy` calls, told the same, so that nothing is compiled once for its
# lints and once more to be run.
RUSTC_WORKSPACE_WRAPPER="$(rustc --print sysroot)/bin/clippy-driver"
CLIPPY_ARGS="-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__"
export RUSTC_WORKSPACE_WRAPPER CLIPPY_ARGS

# The simulator's crate has bugs to plant compiled into the others, which no other test is to run with.
say "lints and tests in Rust"
# Building waits for its last crates and tests for programs, servers and clocks, in which time the simulator is built and plays.
# What it found is said at the end.
found="$(mktemp)"
nice -n 19 sh tests/histories.sh >"$found" 2>&1 &
histories=$!
trap 'kill $histories 2>/dev/null || true; rm -f "$found"' EXIT
cargo test --workspace --exclude koudai-sim --no-run --quiet
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --exclude koudai-sim --no-fail-fast
else
    cargo test --workspace --exclude koudai-sim --no-fail-fast
fi
cargo test --workspace --exclude koudai-sim --doc --quiet

say "the same tests of store, engine, verify and backup on PostgreSQL"
if cargo nextest --version >/dev/null 2>&1; then
    # What was built for all tests is used again, which cargo does only for the same packages.
    sh tests/with-postgres.sh cargo nextest run --workspace --exclude koudai-sim --no-fail-fast \
        --filterset 'package(koudai-store) | package(koudai-engine) | (package(koudai) & binary(/^(backup|verify)$/))'
else
    sh tests/with-postgres.sh cargo test --no-fail-fast --package koudai-store --package koudai-engine
    sh tests/with-postgres.sh cargo test --no-fail-fast --package koudai --test backup --test verify
fi

# It is there: tests of the command line were built with it.
say "the program with real SDKs and a real browser"
if grep -q 'bugs can be planted in this program' target/debug/koudai; then
    echo "the program has the simulator's bugs compiled into it" >&2
    exit 1
fi
sh tests/with-demo.sh

say "disks that fail and power that is cut, and ten thousand simulated histories"
ended=0
wait $histories || ended=$?
cat "$found"
exit $ended
