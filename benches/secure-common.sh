# Read by secure-relais.sh and secure-postfix.sh: smtp-source and smtp-sink know no TLS, so HAProxy stands before and behind
# the relay, the same way for each, and its CPU counts for each. Sets $tls_in, $tls_out and $pem.
tls_in=$((BENCH_PORT + 10000))
tls_out=$((BENCH_SINK_PORT + 10000))
pem="$BENCH_DIR/tls.pem"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$BENCH_DIR/tls.key" -out "$BENCH_DIR/tls.crt" 2> /dev/null
cat "$BENCH_DIR/tls.crt" "$BENCH_DIR/tls.key" > "$pem"
cat > "$BENCH_DIR/haproxy.cfg" <<EOF
global
  maxconn 4000
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
listen to_relay
  bind 127.0.0.1:$BENCH_PORT
  server relay 127.0.0.1:$tls_in ssl verify none
listen to_sink
  bind 127.0.0.1:$tls_out ssl crt $pem
  server sink 127.0.0.1:$BENCH_SINK_PORT
EOF
haproxy -db -f "$BENCH_DIR/haproxy.cfg" > "$BENCH_DIR/haproxy.log" 2>&1 &
