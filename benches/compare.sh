#!/bin/sh
# Measures Relais beside Postfix in one run, on loopback, with smtp-source and smtp-sink.
#
#   benches/compare.sh [CELLS] [ROUNDS]       cells: main, small, large, full; default main, 3 rounds
#
# Needs root, Debian's postfix installed, a release build, and the comparison program: its folder in
# $RELAYBENCH (default ../shared/tools/bench). Prints medians as a Markdown table.
set -e
cd "$(dirname "$0")/.."
bench="${RELAYBENCH:-../shared/tools/bench}"
target="${CARGO_TARGET_DIR:-target}"
RELAIS_BINARY="$(cd "$target/release" && pwd)/relais"
export RELAIS_BINARY
out="$(mktemp -d)/results.jsonl"
python3 "$bench/relaybench.py" compare --relays "postfix,relais=sh $PWD/benches/relais.sh" \
  --cells "${1:-main}" --rounds "${2:-3}" --out "$out"
python3 "$bench/relaybench.py" table "$out"
