#!/usr/bin/env bash
# Holds testssl.sh against a listener with STARTTLS and one with TLS from the first octet: no finding
# above LOW, but for revocation, which a certificate of tests does not have. Two minutes.
#
#   tools/testssl.sh PATH-OF-RELAIS
#
# Needs Debian's testssl.sh and openssl; says so and ends well without them.
set -euo pipefail
relais=$(realpath "$1")
command -v testssl >/dev/null || { echo "SKIPPED: testssl.sh is not installed"; exit 0; }
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
new_key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req -x509 $new_key -days 30 -subj /CN=ca -keyout ca.key -out ca.pem 2>/dev/null
openssl req $new_key -subj /CN=localhost -keyout tls.key -out tls.csr 2>/dev/null
printf '%s\n' subjectAltName=DNS:localhost extendedKeyUsage=serverAuth basicConstraints=CA:FALSE \
  keyUsage=digitalSignature >extensions
openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 90 -extfile extensions -out tls.pem 2>/dev/null
ports=$(python3 -c 'import socket
s = [socket.socket() for _ in range(2)]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])')
read -r starttls implicit <<<"$ports"
cat >relais.toml <<TOML
hostname = "localhost"
data_dir = "$folder/data"
[[listener]]
address = "127.0.0.1:$starttls"
tls = "starttls"
certificate = "$folder/tls.pem"
[[listener]]
address = "127.0.0.1:$implicit"
tls = "implicit"
certificate = "$folder/tls.pem"
[admin]
address = "127.0.0.1:0"
[limits]
disk_reserve = "1 MiB"
TOML
"$relais" --config relais.toml serve >serve.log 2>&1 &
server=$!
until grep -q '"started"' serve.log; do kill -0 "$server"; sleep 0.1; done
look() { testssl --quiet --color 0 --warnings off --add-ca ca.pem --jsonfile "$1.json" "${@:2}" >"$1.txt" 2>&1 || true; }
look starttls -t smtp "localhost:$starttls" &
look implicit "localhost:$implicit"
wait %2
python3 - starttls.json implicit.json <<'PYTHON'
import json, sys
bad = 0
for name in sys.argv[1:]:
    findings = json.load(open(name))
    assert len(findings) > 80, f"{name}: only {len(findings)} findings: it did not look"
    for one in findings:
        if one["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL") and one["id"] != "cert_revocation":
            print(name, one["id"], one["severity"], one["finding"])
            bad += 1
    print(f"{name}: {len(findings)} findings")
sys.exit(1 if bad else 0)
PYTHON
