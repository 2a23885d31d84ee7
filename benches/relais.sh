#!/bin/sh
# Relais as a smart-host relay, for the comparison with other relays: benches/compare.sh.
# $BENCH_DIR, $BENCH_PORT and $BENCH_SINK_PORT come from the comparison program.
set -e
binary="${RELAIS_BINARY:-target/release/relais}"
cat > "$BENCH_DIR/relais.toml" <<EOF
hostname = "relay.bench.example"
data_dir = "$BENCH_DIR/data"
[[listener]]
address = "127.0.0.1:$BENCH_PORT"
tls = "none"
[admin]
address = "127.0.0.1:0"
[limits]
connections_max = 20000
disk_reserve = "64 MiB"
EOF
cat > "$BENCH_DIR/settings.toml" <<EOF
[[organisation]]
name = "bench"
postmaster = "postmaster@bench.example"
[[organisation.domain]]
name = "${BENCH_SENDER_DOMAIN:-bench.example}"
verification = "assumed"
[[organisation.inbound_connector]]
name = "Load"
sender_ip_addresses = ["127.0.0.0/8"]
[[organisation.outbound_connector]]
name = "Sink"
smart_hosts = ["127.0.0.1:$BENCH_SINK_PORT"]
EOF
# The settings go through a first, short life of the server, on another port.
sed 's/^address = "127.0.0.1:[1-9].*/address = "127.0.0.1:0"/' "$BENCH_DIR/relais.toml" > "$BENCH_DIR/first.toml"
"$binary" --config "$BENCH_DIR/first.toml" serve > "$BENCH_DIR/first.log" 2>&1 &
first=$!
until "$binary" --config "$BENCH_DIR/first.toml" apply -f "$BENCH_DIR/settings.toml" > "$BENCH_DIR/apply.log" 2>&1; do
  kill -0 $first || { cat "$BENCH_DIR/first.log" "$BENCH_DIR/apply.log" >&2; exit 1; }
  sleep 0.1
done
kill $first
wait $first
touch "$BENCH_DIR/ready-to-exec"
exec "$binary" --config "$BENCH_DIR/relais.toml" serve > "$BENCH_DIR/relais.log" 2>&1
