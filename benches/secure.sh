#!/bin/sh
# Measures Relais beside Postfix with OpenDKIM, TLS on both sides and each message signed, in one run on loopback.
#
#   benches/secure.sh [CELLS] [ROUNDS]       cells: main, small, large, full; default main, 3 rounds
#
# Needs root, Debian's postfix, opendkim and haproxy installed, a release build, and the comparison program: its folder in
# $RELAYBENCH (default ../shared/tools/bench). Prints medians as a Markdown table.
set -e
cd "$(dirname "$0")/.."
bench="${RELAYBENCH:-../shared/tools/bench}"
target="${CARGO_TARGET_DIR:-target}"
RELAIS_BINARY="$(cd "$target/release" && pwd)/relais"
export RELAIS_BINARY
out="$(mktemp -d)/results.jsonl"
python3 "$bench/relaybench.py" compare \
  --relays "postfix=sh $PWD/benches/secure-postfix.sh,relais=sh $PWD/benches/secure-relais.sh" \
  --cells "${1:-main}" --rounds "${2:-3}" --out "$out"
python3 "$bench/relaybench.py" table "$out"
