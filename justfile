# Short names for what the README describes. `just check` is what CI runs.

check:
    sh tests/all.sh

demo:
    cargo run --release

# The larger runs, whose results are kept in docs/results.
long name:
    sh tests/long.sh {{name}}
