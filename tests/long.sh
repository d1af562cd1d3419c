#!/bin/sh
# The larger runs. Each appends its result line, with commit and machine, to docs/results/NAME.md.
set -eu
cd "$(dirname "$0")/.."
name="${1:?which: kill, takeover, two-phones, two-wallets, unionpay, alipay, wechat, engine, engine-postgres, http, gateway, networks, bill, notices, reconcile, simulate, fuzz}"
case "$name" in
    kill)
        export KOUDAI_KILL_ROUNDS="${KOUDAI_KILL_ROUNDS:-50}" KOUDAI_KILL_ACKS="${KOUDAI_KILL_ACKS:-200}"
        test=kill
        line='^kill: '
        ;;
    takeover)
        export KOUDAI_TAKEOVER_ROUNDS="${KOUDAI_TAKEOVER_ROUNDS:-50}" KOUDAI_TAKEOVER_STOPS="${KOUDAI_TAKEOVER_STOPS:-50}"
        test=takeover
        line='^takeover: '
        ;;
    two-phones)
        export KOUDAI_TWO_PHONES="${KOUDAI_TWO_PHONES:-200}"
        test=two_phones
        line='^two phones: '
        ;;
    two-wallets)
        export KOUDAI_TWO_WALLETS_ROUNDS="${KOUDAI_TWO_WALLETS_ROUNDS:-200}"
        test=two_wallets
        line='^two wallets: '
        ;;
    unionpay)
        export KOUDAI_UNIONPAY_ROUNDS="${KOUDAI_UNIONPAY_ROUNDS:-200}"
        test=unionpay
        line='^unionpay: '
        ;;
    alipay | wechat)
        rounds="KOUDAI_$(echo "$name" | tr '[:lower:]' '[:upper:]')_ROUNDS"
        eval "export $rounds=\"\${$rounds:-200}\""
        test=other_wallets
        line="^$name: "
        filter="$name"
        ;;
    notices)
        export KOUDAI_DEAD_MERCHANTS="${KOUDAI_DEAD_MERCHANTS:-10000}" KOUDAI_DEAD_SECONDS="${KOUDAI_DEAD_SECONDS:-60}"
        package=koudai-web
        test=dead_endpoints
        line='^notices: '
        ;;
    reconcile)
        export KOUDAI_RECONCILE_PAYMENTS="${KOUDAI_RECONCILE_PAYMENTS:-100000}" KOUDAI_RECONCILE_ONE_IN="${KOUDAI_RECONCILE_ONE_IN:-100}"
        test=reconcile
        line='^reconcile: '
        ;;
    simulate)
        commit="$(git rev-parse --short=12 HEAD)"
        git diff --quiet HEAD || commit="$commit with changes"
        cargo build --profile simulation --package koudai-sim
        # Further seeds each time: a run goes on where the one before ended.
        file=docs/results/simulate.md
        from="$(sed -n 's/.*simulated: \([0-9]*\) seeds from \([0-9]*\),.*/\1 \2/p' "$file" 2>/dev/null | awk '{n = $1 + $2} END {print n + 0}')"
        [ "$from" -gt 0 ] || from=10001
        out="$(target/simulation/koudai-sim --from "$from" --seeds "${KOUDAI_SIM_SEEDS:-100000}")" || { echo "$out"; exit 1; }
        printf -- '- %s, commit %s: %s\n' "$(date -u +%Y-%m-%d)" "$commit" "$out" | tee -a "$file"
        exit 0
        ;;
    fuzz)
        commit="$(git rev-parse --short=12 HEAD)"
        git diff --quiet HEAD || commit="$commit with changes"
        machine="$(nproc) cores, $(awk '/MemTotal/ {printf "%d GiB", $2 / 1048576}' /proc/meminfo), $(uname -sm)"
        seconds="${KOUDAI_FUZZ_SECONDS:-600}"
        # Counters on every edge, which libFuzzer reads; the stable toolchain has them, unlike the sanitizers. In a folder of its
        # own, since everything is built anew with them.
        export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Coverflow-checks -Cdebug-assertions"
        cargo build --release --package koudai-fuzz --features libfuzzer --target-dir target/fuzz --target "$(rustc -vV | sed -n 's/^host: //p')"
        bin="$(ls target/fuzz/*/release/koudai-fuzz)"
        work="$(mktemp -d)"
        trap 'rm -rf "$work"' EXIT INT TERM
        failed=0
        for target in ${KOUDAI_FUZZ_TARGETS:-$("$bin")}; do
            # What libFuzzer finds stays out of the repository; what it crashes with is kept beside it.
            mkdir -p "$work/$target" target/fuzz/crashes
            cp crates/koudai-fuzz/corpus/"$target"/* "$work/$target/"
            status=0
            KOUDAI_FUZZ_TARGET="$target" "$bin" "$work/$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 \
                -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="target/fuzz/crashes/$target-" >"$work/log" 2>&1 || status=$?
            done="$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")"
            crashes="$(grep -c '^Test unit written to' "$work/log" || true)"
            # Whatever ends it early is a finding, whether or not it left an input behind.
            [ "$status" = 0 ] || [ "$crashes" != 0 ] || crashes=1
            [ -n "$done" ] && [ "$crashes" = 0 ] || { failed=1; tail -n 40 "$work/log" >&2; }
            printf -- '- %s, commit %s, %s: %s: %s s, %s executions, %s inputs that reach something new, %s crashes\n' "$(date -u +%Y-%m-%d)" \
                "$commit" "$machine" "$target" "$seconds" "${done:-0}" "$(ls "$work/$target" | wc -l)" "$crashes" \
                | tee -a docs/results/fuzz.md
        done
        exit "$failed"
        ;;
    bill)
        commit="$(git rev-parse --short=12 HEAD)"
        git diff --quiet HEAD || commit="$commit with changes"
        KOUDAI_COMMIT="$commit" cargo build --profile bench --package koudai
        orders="${KOUDAI_BILL_ORDERS:-1000000}"
        out="$(target/release/koudai bench bill --data "${TMPDIR:-/var/tmp}/koudai-bench-$$" --orders "$orders")"
        printf -- '- %s, commit %s, `bench bill --orders %s`: %s\n' \
            "$(date -u +%Y-%m-%d)" "$commit" "$orders" "$out" | tee -a docs/results/bill.md
        exit 0
        ;;
    networks)
        commit="$(git rev-parse --short=12 HEAD)"
        git diff --quiet HEAD || commit="$commit with changes"
        KOUDAI_COMMIT="$commit" cargo build --profile bench --package koudai
        seconds="${KOUDAI_BENCH_SECONDS:-15}"
        out="$(target/release/koudai bench networks --data "${TMPDIR:-/var/tmp}/koudai-bench-$$" --seconds "$seconds")"
        printf -- '- %s, commit %s, `bench networks --seconds %s`: %s\n' \
            "$(date -u +%Y-%m-%d)" "$commit" "$seconds" "$out" | tee -a docs/results/networks.md
        exit 0
        ;;
    engine | engine-postgres | http | gateway)
        commit="$(git rev-parse --short=12 HEAD)"
        git diff --quiet HEAD || commit="$commit with changes"
        # The bench profile builds into the same folder as the release profile.
        KOUDAI_COMMIT="$commit" cargo build --profile bench --package koudai
        seconds="${KOUDAI_BENCH_SECONDS:-60}"
        data="${TMPDIR:-/var/tmp}/koudai-bench-$$"
        run() {
            # A server of its own for each run, in a database of its own; the URL is not part of the result.
            if [ "$name" = engine-postgres ]; then
                out="$(sh tests/with-postgres.sh sh -c 'psql -q -d "$KOUDAI_TEST_POSTGRES/postgres" -c "CREATE DATABASE bench"
                    exec "$@" --store "$KOUDAI_TEST_POSTGRES/bench"' sh target/release/koudai bench engine \
                    --data "$data" --seconds "$seconds" "$@")"
            else
                out="$(target/release/koudai bench engine --data "$data" --seconds "$seconds" "$@")"
            fi
            printf -- '- %s, commit %s, `bench engine --seconds %s%s`: %s\n' \
                "$(date -u +%Y-%m-%d)" "$commit" "$seconds" "${*:+ $*}" "$out" | tee -a "docs/results/$name.md"
        }
        if [ "$name" = http ] || [ "$name" = gateway ]; then
            for _ in 1 2 3; do
                out="$(target/release/koudai bench "$name" --data "$data" --seconds "$seconds")"
                printf -- '- %s, commit %s, `bench %s --seconds %s`: %s\n' \
                    "$(date -u +%Y-%m-%d)" "$commit" "$name" "$seconds" "$out" | tee -a "docs/results/$name.md"
            done
            exit 0
        fi
        run
        [ "$name" = engine ] || exit 0
        run --merchants 1
        run --in-flight 1 --accounts 10000 --orders 400000
        run --rate 30000
        exit 0
        ;;
    *)
        echo "no long run is called $name" >&2
        exit 2
        ;;
esac
out="$(mktemp)"
cargo test --release --package "${package:-koudai}" --test "$test" ${filter:+"$filter"} -- --nocapture | tee "$out"
result="$(grep "$line" "$out")"
commit="$(git rev-parse --short=12 HEAD)"
git diff --quiet HEAD || commit="$commit with changes"
machine="$(nproc) cores, $(awk '/MemTotal/ {printf "%d GiB", $2 / 1048576}' /proc/meminfo), $(uname -sm)"
mkdir -p docs/results
printf -- '- %s, commit %s, %s: %s\n' "$(date -u +%Y-%m-%d)" "$commit" "$machine" "$result" >>"docs/results/$name.md"
tail -n 1 "docs/results/$name.md"
