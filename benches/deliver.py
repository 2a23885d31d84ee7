#!/usr/bin/env python3
"""How soon mail is tried after its 250, and how well connections to the next hop are used. Loopback only.

    benches/deliver.py PATH-OF-RELAIS [SECONDS] [ROUNDS]

First the full rate is found: 20 connections that hand over letters as fast as they are taken, durable, to a receiving
server of this script. Then letters come at half of that rate. Times are those of the log: from `message.accepted` to the
beginning of the first `delivery.attempted` (its time less its duration), in whole milliseconds. Connections are counted by
the receiving server. Prints the median of the rounds and their range."""
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

RELAIS = os.path.realpath(sys.argv[1])
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 10
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 3
SESSIONS = 20
BODY = ("From: erp@contoso.test\r\nSubject: bench\r\n\r\n" + ("x" * 76 + "\r\n") * 52).encode()
ENVELOPE = b"MAIL FROM:<erp@contoso.test>\r\nRCPT TO:<b@example.org>\r\nBDAT %d LAST\r\n" % len(BODY)
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
name = "Sink"
smart_hosts = ["127.0.0.1:%d"]
"""
counts = {"connections": 0, "messages": 0}


async def sink(reader, writer):
    try:
        await converse(reader, writer)
    except (ConnectionError, asyncio.CancelledError):
        pass


async def converse(reader, writer):
    counts["connections"] += 1
    writer.write(b"220 sink ESMTP\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            writer.write(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n")
        elif verb == b"BDAT":
            await reader.readexactly(int(line.split()[1]))
            counts["messages"] += 1
            writer.write(b"250 2.0.0 taken\r\n")
        elif verb == b"QUIT":
            writer.write(b"221 2.0.0 bye\r\n")
            break
        else:
            writer.write(b"250 2.0.0 ok\r\n")
    writer.close()


async def reply(reader):
    while (line := await reader.readline())[3:4] == b"-":
        pass
    return line


async def send(port, gap, until, done):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reply(reader)
    writer.write(b"EHLO bench\r\n")
    await reply(reader)
    due = time.monotonic()
    while time.monotonic() < until:
        if gap:
            due += gap
            await asyncio.sleep(max(0, due - time.monotonic()))
        writer.write(ENVELOPE + BODY)
        for expected in (b"250", b"250", b"250"):
            line = await reply(reader)
            assert line.startswith(expected), line
        done.append(1)
    writer.write(b"QUIT\r\n")
    await reply(reader)
    writer.close()


async def load(port, rate):
    done, begun = [], time.monotonic()
    gap = SESSIONS / rate if rate else 0
    await asyncio.gather(*[send(port, gap, begun + SECONDS, done) for _ in range(SESSIONS)])
    return len(done) / (time.monotonic() - begun)


def millis(text):
    whole, fraction = text.rstrip("Z").split(".")
    return int(time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))) * 1000 + int(fraction)


def first_attempts(log):
    accepted, attempted = {}, {}
    for line in open(log):
        row = json.loads(line) if line.startswith("{") else {}
        if row.get("event") == "message.accepted":
            accepted[row["queue_id"]] = millis(row["time"])
        if row.get("event") == "delivery.attempted":
            begun = millis(row["time"]) - row["duration_ms"]
            attempted[row["queue_id"]] = min(begun, attempted.get(row["queue_id"], begun))
    assert accepted and accepted.keys() == attempted.keys(), (len(accepted), len(attempted))
    return sorted(max(0, attempted[one] - accepted[one]) for one in accepted)


async def one_round(folder, rate):
    server = await asyncio.start_server(sink, "127.0.0.1", 0)
    sink_port = server.sockets[0].getsockname()[1]
    config, log = os.path.join(folder, "relais.toml"), os.path.join(folder, "log")
    with open(config, "w") as file:
        file.write(f'hostname = "relay.bench.example"\ndata_dir = "{folder}/data"\n'
                   '[[listener]]\naddress = "127.0.0.1:0"\ntls = "none"\n'
                   '[admin]\naddress = "127.0.0.1:0"\n[limits]\ndisk_reserve = "1 MiB"\n')
    with open(os.path.join(folder, "settings.toml"), "w") as file:
        file.write(SETTINGS % sink_port)
    with open(log, "w") as out:
        relay = subprocess.Popen([RELAIS, "--config", config, "serve"], stdout=out, stderr=out)

    def relais(*words):
        answer = subprocess.run([RELAIS, "--config", config, *words], text=True, capture_output=True)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    try:
        while not (lines := [one for one in open(log) if '"started"' in one]):
            assert relay.poll() is None, open(log).read()
            await asyncio.sleep(0.05)
        port = int(json.loads(lines[0])["listeners"].split()[0].rsplit(":", 1)[1])
        relais("apply", "-f", os.path.join(folder, "settings.toml"))
        counts.update(connections=0, messages=0)
        rate = await load(port, rate)
        while relais("--json", "queue", "list"):
            await asyncio.sleep(0.2)
        reuse = counts["messages"] / max(1, counts["connections"])
        relay.terminate()
        relay.wait()
        return rate, reuse, first_attempts(log)
    finally:
        relay.terminate()
        relay.wait()
        server.close()


def shown(values, digits=1):
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def rounds(rate):
    rows = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(asyncio.run(one_round(folder, rate)))
    rates, reuses, times = zip(*rows)
    print(f"  {shown(rates, 0)} messages/s; messages for each connection to the next hop: {shown(reuses, 0)}")
    for name, part in (("p50", 0.5), ("p99", 0.99), ("worst", 1)):
        at = [one[min(len(one) - 1, int(part * len(one)))] for one in times]
        print(f"  from 250 to the first attempt, {name}: {shown(at, 0)} ms")
    return statistics.median(rates)


print(f"{SESSIONS} connections, letters of {len(BODY)} octets, as fast as they are taken:")
full = rounds(None)
print("at half of that rate:")
rounds(full / 2)
