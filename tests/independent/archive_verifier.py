"""Checks an exported log, an access answer or a dossier; written from docs/certificate-format.md alone.

Usage: python archive_verifier.py SITE_PUB FILE... (also certificates, and receipts by receipt_verifier.py)
"""

import base64
import json
import sys
import zipfile
from functools import reduce
from pathlib import Path
from typing import Any

from receipt_verifier import receipt
from verifier import Site, b64, canonical, jws, need, root_of, sha


def roots_of(m: int, n: int, proof: list[bytes], old: bytes, *, whole: bool = True) -> tuple[bytes, bytes]:
    """Return the roots of the first m and of all n leaves that a consistency proof gives; `old` is the root of m."""
    if m == n:
        need(len(proof) == (not whole))
        return (old, old) if whole else (proof[0], proof[0])
    k = 1 << (n - 1).bit_length() - 1
    if m <= k:
        first, both = roots_of(m, k, proof[:-1], old, whole=whole)
        return first, sha(b"\1", both, proof[-1])
    first, both = roots_of(m - k, n - k, proof[:-1], old, whole=False)
    return sha(b"\1", proof[-1], first), sha(b"\1", proof[-1], both)


def witnessed(site: Site, data: bytes) -> tuple[int, bytes]:
    """Check a certificate that carries a later checkpoint; return size and root of that, for its cosignatures."""
    site.certificate(data)
    file = json.loads(data)
    signed, later = jws(file["certificate"], "erasure-certificate", *site.keys), file["witnessed"]
    (m, old), (n, new) = site.checkpoint(signed["log"]["checkpoint"]), site.checkpoint(later["checkpoint"])
    proof = [b64(one, b"+/") for one in later["consistency"]]
    need(roots_of(m, n, proof, old) == (old, new), later.keys() == {"checkpoint", "consistency"})
    return n, new


def log(site: Site, data: bytes) -> tuple[int, bytes]:
    first, *lines, end = data.split(b"\n")
    header = json.loads(first)
    need(header == {"format": "volens-audit-log/1", "key": site.line, "checkpoint": header["checkpoint"]}, end == b"")
    size, subtrees, leaf, head = 0, list[bytes](), b"", (0, b"")
    for line in (first, *lines):
        need(canonical(one := json.loads(line)) == line)
        if "commitment" in one:
            leaf, node, left = line, sha(b"\0", line), size
            while left & 1:
                node, left = sha(b"\1", subtrees.pop(), node), left >> 1
            size, subtrees = size + 1, [*subtrees, node]
        elif "salt" in one:
            alone = {"leaf": base64.b64encode(leaf).decode(), "index": 0, "proof": []}
            site.entry(one | alone, 1, sha(b"\0", leaf))
        elif "format" not in one:
            head = site.checkpoint(one["checkpoint"])
            need(head == (size, reduce(lambda right, node: sha(b"\1", node, right), reversed(subtrees))))
    need(head == site.checkpoint(header["checkpoint"]), head[0] == size)
    return head


def access_answer(site: Site, path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        need(len(files) == len(archive.namelist()))
    said, entry, digest = site.logged(files.pop("answer.jws").decode(), "access-answer")
    need(entry == ("access.answered", {"answer_sha256": digest}))
    need({name: sha(data).hex() for name, data in files.items()} == said["files"])
    return said


def dossier(site: Site, folder: Path) -> dict[str, Any]:
    files = {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    # 1. The manifest.
    listed, signature = files.pop("manifest.json"), json.loads(files.pop("manifest.sig.json"))["dossier"]
    signed, manifest = jws(signature, "dossier", *site.keys), json.loads(listed)
    order = {"cohort_id": manifest["cohort_id"]}
    need(signed == {"version": 1, "manifest_sha256": sha(listed).hex()} | order)
    need({name: sha(data).hex() for name, data in files.items()} == manifest["files"])
    counts, proofs, token = (json.loads(files[name]) for name in ("counts.json", "log.json", "plan.json"))
    before, after, token = counts["before"], counts["after"], token["plan"]
    # 2. The plan and its approvals.
    plan = jws(token, "cohort-plan", *site.keys)
    need(plan["cohort_id"] == manifest["cohort_id"])
    for number, who in enumerate(before["approved_by"], start=1):
        approval = json.loads(files[f"approvals/{number}.json"])["approval"]
        said = jws(approval, "approval", b64(who["public_key"]))
        need(said["plan_sha256"] == sha(token).hex(), sha(approval).hex() == who["approval_sha256"])
        need(plan["made_at"] <= said["approved_at"] <= plan["good_until"])
    keys = {who["public_key"] for who in before["approved_by"]}
    need(len(keys) == len(before["approved_by"]) == sum(name.startswith("approvals/") for name in files))
    need(before["operators_required"] == 1 or len(keys) >= before["operators_required"])
    # 3. The certificates.
    tokens = {name: data for name, data in files.items() if name.startswith("certificates/")}
    certified = {said["certificate_id"]: said for said in map(site.certificate, tokens.values())}
    receipts = {said["receipt_sha256"] for said in certified.values()}
    need({f"certificates/{one}.json" for one in certified} == tokens.keys(), len(receipts) == len(certified))
    salted = sha(bytes.fromhex(plan["salt"]), *sorted(map(bytes.fromhex, receipts))).hex()
    need(salted == plan["members_sha256"], after["certificates"] == len(certified))
    # 4. The two checkpoints.
    old, new = site.checkpoint(proofs["before"]), site.checkpoint(proofs["after"])
    need(roots_of(old[0], new[0], [b64(one, b"+/") for one in proofs["consistency"]], old[1]) == (old[1], new[1]))
    # 5. The entries.
    entries = {one["index"]: site.entry(one, *new) for one in proofs["entries"]}
    counted = {"plan_sha256": sha(token).hex(), "before_sha256": sha(canonical(before)).hex()}
    need(entries[old[0] - 1] == ("cohort.begun", order | counted))
    counted = {
        "certificates_sha256": sha("\n".join(sorted(certified))).hex(),
        "after_sha256": sha(canonical(after)).hex(),
    }
    need(entries[new[0] - 1] == ("cohort.finished", order | counted))
    stops = [{name: one[name] for name in one if name != "placed_at"} for one in after["collecting_stopped_by"]]
    need([details for kind, details in entries.values() if kind == "collecting.stopped"] == stops)
    added = [(at, said) for at, (kind, said) in entries.items() if kind == "operator.added"]
    approved = [(who["operator"], b64(who["public_key"]).hex()) for who in before["approved_by"]]
    need([(said["operator"], said["public_key"]) for _, said in added] == approved, all(at < old[0] for at, _ in added))
    left = set(before["left_since_plan"])
    need(proofs["certificates"].keys() == certified.keys())
    for name, place in proofs["certificates"].items():
        inside = json.loads(b64(json.loads(tokens[f"certificates/{name}.json"])["certificate"].split(".")[1]))["log"]
        leaf = sha(b"\0", b64(inside["leaf"], b"+/"))
        need(root_of(leaf, place["index"], new[0], [b64(one, b"+/") for one in place["proof"]]) == new[1])
        need(place["index"] == inside["index"])
        need(place["index"] >= old[0] or certified[name]["receipt_sha256"] in left)
    # 6. The counts.
    mine = [said for said in certified.values() if said["receipt_sha256"] not in left]
    zones: dict[str, dict[str, int]] = {}
    for said in mine:
        zone = zones.setdefault(said["zone"], {"consents": 0, "references": 0})
        zone["consents"] += 1
        zone["references"] += said["destroyed"].get("sealed embedding", 0)
    need(len(mine) == len(certified) - len(left), before["cohort"]["zones"] == zones)
    for what in ("consents", "references"):
        need(before["cohort"][what] == sum(zone[what] for zone in zones.values()), after["cohort"][what] == 0)
    need(after["cohort"]["people"] == 0)
    return plan


def main(site_pub: str, *paths: str) -> None:
    site = Site(Path(site_pub).read_text("utf-8"))
    for path in map(Path, paths):
        if path.is_dir():
            dossier(site, path)
        elif zipfile.is_zipfile(path):
            access_answer(site, path)
        elif (data := path.read_bytes()).startswith(b'{"certificate":'):
            site.certificate(data)
        elif b'"volens-audit-log/1"' in data.partition(b"\n")[0]:
            log(site, data)
        elif data.startswith(site.name.encode()):
            site.checkpoint(data.decode())
        else:
            receipt(data)
        sys.stdout.write(f"valid: {path}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
