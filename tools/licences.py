#!/usr/bin/env python3
"""Dependencies keep the rules of ADR 0008: permissive licences, nothing banned, one version each of
what must be single. Reads `cargo metadata` and `cargo tree`; needs no network once the lock file is fetched.

What is banned must not be built for any target with any feature: `cargo tree` says so exactly. The lock
file, and with it `cargo metadata`, also names optional packages that nothing ever switches on."""
import json
import subprocess
import sys

ALLOWED = {"MIT", "Apache-2.0", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Unicode-3.0", "Unlicense", "Zlib",
           "0BSD", "MIT-0", "CC0-1.0", "BSL-1.0", "Apache-2.0 WITH LLVM-exception"}
BANNED = {"ring", "native-tls"}
# Only the feature for old devices may bring the system's OpenSSL.
BANNED_BY_DEFAULT = BANNED | {"openssl-sys"}
SINGLE = {"tokio", "hyper", "hickory-proto", "rusqlite", "serde", "axum"}


def offers_allowed(expression):
    """One alternative of an SPDX expression has allowed licences only."""
    text = expression.replace("(", " ").replace(")", " ").replace("/", " OR ")
    return any(all(part.strip() in ALLOWED for part in option.split(" AND ")) for option in text.split(" OR "))


def tree(*options):
    text = subprocess.check_output(["cargo", "tree", "--workspace", "--locked", "--prefix", "none", "--format", "{p}", *options],
                                   text=True)
    return {line.split()[0] for line in text.splitlines() if line.strip()}


# Licences are judged of what is built for Linux, which is where Relais runs: the lock file also names what other
# systems would need. The machines differ in nothing that brings a package.
linux = tree("--all-features", "--target", "x86_64-unknown-linux-gnu") | tree("--all-features", "--target", "aarch64-unknown-linux-gnu")
metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--all-features", "--locked"]))
faults, versions = [], {}
for package in metadata["packages"]:
    name, licence = package["name"], package.get("license") or ""
    versions.setdefault(name, set()).add(package["version"])
    if package["source"] is None:
        continue
    if name in linux and not offers_allowed(licence):
        faults.append(f"{name}: licence {licence or 'not named'}")
built = tree("--all-features", "--target", "all")
assert "tokio" in built, "cargo tree lists what is built"
faults += [f"{name}: banned" for name in sorted(BANNED & built | BANNED_BY_DEFAULT & tree("--target", "all"))]
faults += [f"{name}: several versions {sorted(versions[name])}" for name in SINGLE if len(versions.get(name, ())) > 1]
for fault in faults:
    print(fault)
print(f"{len(metadata['packages'])} packages, {len(linux)} of them for Linux, {len(faults)} faults")
sys.exit(1 if faults else 0)
