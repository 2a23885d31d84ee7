#!/bin/sh
# Relais with TLS on both sides, signing with RSA-2048, for benches/secure.sh.
set -e
. "$(dirname "$0")/secure-common.sh"
binary="${RELAIS_BINARY:-target/release/relais}"
D="$BENCH_DIR"
cat > "$D/relais.toml" <<EOF
hostname = "relay.bench.example"
data_dir = "$D/data"
[[listener]]
address = "127.0.0.1:$tls_in"
tls = "implicit"
certificate = "$D/tls.crt"
private_key = "$D/tls.key"
[admin]
address = "127.0.0.1:0"
[limits]
connections_max = 20000
disk_reserve = "64 MiB"
EOF
cat > "$D/settings.toml" <<EOF
[[organisation]]
name = "bench"
postmaster = "postmaster@bench.example"
[[organisation.domain]]
name = "${BENCH_SENDER_DOMAIN:-bench.example}"
verification = "assumed"
dkim = { enabled = true, algorithms = ["rsa2048"] }
[[organisation.inbound_connector]]
name = "Load"
sender_ip_addresses = ["127.0.0.0/8"]
[[organisation.outbound_connector]]
name = "Sink"
smart_hosts = ["smtps://127.0.0.1:$tls_out"]
tls = "encryption-only"
EOF
# Settings and key go through a first, short life of the server, on another port.
sed "s/^address = \"127.0.0.1:$tls_in\"/address = \"127.0.0.1:0\"/" "$D/relais.toml" > "$D/first.toml"
"$binary" --config "$D/first.toml" serve > "$D/first.log" 2>&1 &
first=$!
until "$binary" --config "$D/first.toml" apply -f "$D/settings.toml" > "$D/apply.log" 2>&1; do
  kill -0 $first || { cat "$D/first.log" "$D/apply.log" >&2; exit 1; }
  sleep 0.1
done
until "$binary" --config "$D/first.toml" dkim activate "${BENCH_SENDER_DOMAIN:-bench.example}" --assume > "$D/dkim.log" 2>&1; do
  kill -0 $first || { cat "$D/first.log" "$D/dkim.log" >&2; exit 1; }
  sleep 0.2
done
kill $first
wait $first
touch "$D/ready-to-exec"
exec "$binary" --config "$D/relais.toml" serve > "$D/relais.log" 2>&1
