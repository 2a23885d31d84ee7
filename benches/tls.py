#!/usr/bin/env python3
"""What TLS and logins cost the receiving side. Needs openssl; loopback only; about two minutes.

    benches/tls.py PATH-OF-RELAIS [ROUNDS]

Sessions: openssl s_time opens TLS sessions for some seconds, full and resumed, while the server's own CPU time is read.
Messages: the same pipelined letters over connections that stay open, in clear text and over TLS in turn, so that both
meet the same machine; server CPU per 1,000 messages. Logins: AUTH PLAIN with a right password, the first time (Argon2id)
and again (remembered). Prints the median of the rounds and their range."""
import base64
import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

RELAIS = os.path.realpath(sys.argv[1])
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
SESSIONS, LETTERS, SECONDS = 20, 200, 4
BODY = ("From: erp@contoso.test\r\nSubject: bench\r\n\r\n" + ("x" * 76 + "\r\n") * 52).encode()
SETTINGS = """
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"
[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
[[organisation.inbound_connector]]
name = "Loopback"
sender_ip_addresses = ["127.0.0.1"]
[[organisation.outbound_connector]]
name = "Nowhere"
smart_hosts = ["127.0.0.1:9"]
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    return [one.getsockname()[1] for one in sockets]


def cpu(process):
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_reply(stream):
    while True:
        line = stream.readline()
        if line[3:4] != b"-":
            return line


def letters(port, context, results):
    plain = socket.create_connection(("127.0.0.1", port))
    sock = context.wrap_socket(plain, server_hostname="localhost") if context else plain
    stream = sock.makefile("rb")
    read_reply(stream)
    sock.sendall(b"EHLO bench\r\n")
    read_reply(stream)
    envelope = b"MAIL FROM:<erp@contoso.test>\r\nRCPT TO:<b@example.org>\r\nBDAT %d LAST\r\n" % len(BODY)
    good = 0
    for _ in range(LETTERS):
        sock.sendall(envelope + BODY)
        replies = [read_reply(stream) for _ in range(3)]
        good += replies[2].startswith(b"250 ")
    sock.sendall(b"QUIT\r\n")
    results.append(good)


def throughput(server, port, context):
    results, before, began = [], cpu(server), time.monotonic()
    threads = [threading.Thread(target=letters, args=(port, context, results)) for _ in range(SESSIONS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    wall, used = time.monotonic() - began, cpu(server) - before
    assert sum(results) == SESSIONS * LETTERS, results
    return sum(results) / wall, used * 1000 / sum(results)


def handshakes(server, port, version, kind):
    before = cpu(server)
    command = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-time", str(SECONDS), kind, version]
    out = subprocess.run(command, capture_output=True, text=True).stdout
    count = int(re.findall(r"(\d+) connections in \d+ real seconds", out)[-1])
    used = cpu(server) - before
    return count / SECONDS, used * 1000 / count


def login(port, context, user, password):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        sock = context.wrap_socket(plain, server_hostname="localhost")
        stream = sock.makefile("rb")
        read_reply(stream)
        sock.sendall(b"EHLO bench\r\n")
        read_reply(stream)
        token = base64.b64encode(f"\0{user}\0{password}".encode())
        began = time.monotonic()
        sock.sendall(b"AUTH PLAIN " + token + b"\r\n")
        reply = read_reply(stream)
        assert reply.startswith(b"235 "), reply
        return (time.monotonic() - began) * 1000


def shown(values, digits=2):
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


with tempfile.TemporaryDirectory() as folder:
    clear, secret = free_ports(2)
    config = os.path.join(folder, "relais.toml")
    with open(config, "w") as file:
        file.write(f'hostname = "localhost"\ndata_dir = "{folder}/data"\n'
                   f'[[listener]]\naddress = "127.0.0.1:{clear}"\ntls = "none"\n'
                   f'[[listener]]\naddress = "127.0.0.1:{secret}"\ntls = "implicit"\n'
                   '[admin]\naddress = "127.0.0.1:0"\n[limits]\ndisk_reserve = "1 MiB"\n')
    log = open(os.path.join(folder, "log"), "w")
    server = subprocess.Popen([RELAIS, "--config", config, "serve"], stdout=log, stderr=log)
    try:
        while '"started"' not in open(log.name).read():
            assert server.poll() is None, open(log.name).read()
            time.sleep(0.05)
        relais = lambda *words, text="": subprocess.run([RELAIS, "--config", config, *words], input=text, text=True,
                                                        check=True, capture_output=True).stdout
        settings = os.path.join(folder, "settings.toml")
        open(settings, "w").write(SETTINGS)
        relais("apply", "-f", settings)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        throughput(server, clear, None)
        rows = {"clear": [], "TLS": []}
        for _ in range(ROUNDS):
            rows["clear"].append(throughput(server, clear, None))
            rows["TLS"].append(throughput(server, secret, context))
        print(f"{SESSIONS} connections that stay open, {LETTERS} letters of {len(BODY)} octets each, pipelined, durable:")
        for name, figures in rows.items():
            rates, costs = zip(*figures)
            print(f"  {name:6} {shown(rates, 0)} messages/s; server CPU s per 1,000: {shown(costs, 3)}")
        ratios = [tls[1] / plain[1] for plain, tls in zip(rows["clear"], rows["TLS"])]
        print(f"  CPU, TLS : clear, pair by pair: {shown(ratios)}")
        print("TLS sessions, one client, opened and closed:")
        for version in ("-tls1_3", "-tls1_2"):
            for kind, word in (("-new", "full"), ("-reuse", "resumed")):
                rates, costs = zip(*[handshakes(server, secret, version, kind) for _ in range(ROUNDS)])
                print(f"  {version[1:]} {word:8} {shown(rates, 0)}/s; server CPU ms each: {shown(costs)}")
        made = json.loads(relais("--json", "credential", "add", "--connector", "Loopback", "--user", "bench"))
        first = []
        for number in range(ROUNDS):
            other = json.loads(relais("--json", "credential", "add", "--connector", "Loopback", "--user", f"bench-{number}"))
            first.append(login(secret, context, other["user"], other["password"]))
        login(secret, context, "bench", made["password"])
        again = [login(secret, context, "bench", made["password"]) for _ in range(50)]
        print(f"AUTH PLAIN, ms from command to 235: first time {shown(first)}; remembered {shown(again)}")
    finally:
        server.terminate()
        server.wait()
