#!/bin/sh
# What storing the trace costs: the whole relay beside a build that stores none, interleaved in one
# run, on loopback, with smtp-source and smtp-sink.
#
#   benches/trace-cost.sh [CELLS] [ROUNDS]    cells: default 4k-s20-reuse,4k-s200-reuse; 6 rounds
#
# Needs root, Debian's postfix installed, and the comparison program: its folder in $RELAYBENCH
# (default ../shared/tools/bench). Builds both programs in $CARGO_TARGET_DIR (default target), one
# after the other: only the store and what stands on it is built twice. Prints medians as a Markdown
# table; the rate of "stored" to that of "not-stored" is what the trace leaves.
set -e
cd "$(dirname "$0")/.."
bench="${RELAYBENCH:-../shared/tools/bench}"
target="${CARGO_TARGET_DIR:-target}"
RELAIS_BENCH_WITHOUT_TRACE=1 cargo build --release --quiet -p relais
cp "$target/release/relais" "$target/release/relais-without-trace"
cargo build --release --quiet -p relais
built="$(cd "$target/release" && pwd)"
start="sh $PWD/benches/relais.sh"
out="$(mktemp -d)/results.jsonl"
python3 "$bench/relaybench.py" compare \
  --relays "stored=env RELAIS_BINARY=$built/relais $start,not-stored=env RELAIS_BINARY=$built/relais-without-trace $start" \
  --cells "${1:-4k-s20-reuse,4k-s200-reuse}" --rounds "${2:-6}" --out "$out"
python3 "$bench/relaybench.py" table "$out"
rm "$target/release/relais-without-trace"
