#!/bin/sh
# Measures Relais beside Postfix with OpenDKIM, TLS on both sides and each message signed, in one run on loopback.
#
#   benches/secure.sh [CELLS] [ROUNDS]       cells: main, small, large, full; default main, 3 rounds
#
# Needs root, Debian's postfix, opendkim and haproxy installed, a release build, and the comparison program: its folder in
# $RELAYBENCH (default ../shared/tools/bench). The relays take turns in each round. Prints medians as a Markdown table, then for each cell
# Relais beside Postfix: the ratio of the medians, and the least and the most of the rounds, pair by pair.
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
python3 - "$out" << 'EOF'
import json, statistics, sys
rates = {}
for line in open(sys.argv[1]):
    row = json.loads(line)
    if row.get("msgs_s"):
        rates.setdefault(row["cell"], {}).setdefault(row["name"], []).append(row["msgs_s"])
for cell, of in rates.items():
    postfix, relais = of.get("postfix", []), of.get("relais", [])
    if not postfix or not relais:
        print(f"{cell}: one of the relays gave no figure")
        continue
    pairs = sorted(ours / theirs for ours, theirs in zip(relais, postfix))
    ratio = statistics.median(relais) / statistics.median(postfix)
    print(f"{cell}: {ratio:.1f} times Postfix ({pairs[0]:.1f} to {pairs[-1]:.1f}, {len(pairs)} rounds)")
EOF
