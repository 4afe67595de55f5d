"""Checking a dossier: offline, with the site's public key and nothing else of the site.

1. The site signed the manifest; exactly the files it lists are there, byte for byte, no more and no fewer.
2. The site signed the plan, and as many different operators as the site asked for approved it while it was good.
3. Every certificate verifies, no receipt twice, and they are of exactly the people whom the plan counted.
4. Both checkpoints are signed, and the later log is the earlier one continued.
5. The log has, at the later checkpoint, the beginning, which commits to plan and counts before; the end, which commits
   to counts after and to these certificates; every certificate; and every order to stop collecting that is claimed.
6. The counts add up, in all and by zone: what was there before, less what is left, is what was certified, and nobody is
   left.

Not checked: that what the site counted is what it had. A site that lies in its counts and its log alike can only be
found out by someone who holds a receipt and no certificate for it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volens.audit import (
    Checkpoint,
    VerifierKey,
    leaf_hash,
    open_checkpoint,
    open_leaf,
    verify_consistency,
    verify_inclusion,
)
from volens.consent import InputError, RefusedError, TamperError
from volens.consent import jws as consent_jws
from volens.erase.operator_key import check_approvals, read_approval_file, token_sha256
from volens.erase.order.dossier import (
    APPROVALS,
    CERTIFICATES,
    COUNTS,
    LOG,
    MANIFEST,
    MANIFEST_TYPE,
    PAGE,
    PLAN,
    PUBLIC_KEY,
    SIGNATURE,
    VERSION,
    place_of,
    signature_file,
    signed_payload,
)
from volens.erase.order.execution import BEGUN, FINISHED, ids_sha256, sha256_of
from volens.erase.order.plan import Plan, read_plan, read_plan_file
from volens.erase.order.selection import members_sha256
from volens.erase.proof.certificate import Certificate, verify_certificate
from volens.store.files import read_private

STOPPED: Final = "collecting.stopped"
MAX_FILE_BYTES: Final = 1 << 30
_REFERENCE: Final = "sealed embedding"


@final
@dataclass(frozen=True, slots=True)
class Dossier:
    """A verified dossier.

    Attributes:
        counts: before and after, as committed to in the log.
        approved_by: labels of the operators.
    """

    plan: Plan
    counts: Mapping[str, Any]
    certificates: Sequence[Certificate]
    approved_by: Sequence[str]
    checkpoint: Checkpoint


def verify_dossier(folder: Path, key: VerifierKey) -> Dossier:
    """Do all of the above.

    Args:
        folder: as `write_dossier` wrote it.
        key: pinned by the caller, never taken from the dossier.

    Raises:
        InputError: there is no such folder.
        TamperError: something does not hold.
    """
    if not folder.is_dir():
        raise InputError(f"there is no dossier {folder}; give the folder as it was written")
    try:
        # 1.
        files = _read(folder, key)
        # 2.
        counts = json.loads(files[COUNTS])
        before, after = counts["before"], counts["after"]
        plan, approved_by = _plan(files, key, before)
        # 3.
        certificates = _certificates(files, key)
        _require(
            members_sha256(plan.salt, (bytes.fromhex(one.receipt_sha256) for one in certificates.values()))
            == plan.members,
            "the certificates are not of the people whom the plan counted",
        )
        # 4. and 5.
        checkpoint = _log(files, key, plan, certificates, counts)
        # 6.
        _add_up(before, after, list(certificates.values()))
    except (KeyError, TypeError, ValueError, AttributeError, InputError, RecursionError):
        raise TamperError("integrity: the dossier has not the form of one; obtain it again from the site") from None
    except RefusedError as error:
        raise TamperError(f"integrity: the approvals do not hold: {error}") from None
    return Dossier(plan, counts, list(certificates.values()), approved_by, checkpoint)


def _read(folder: Path, key: VerifierKey) -> dict[str, bytes]:
    # 1.
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        _require(not path.is_symlink(), "there is a link in it, which would lead out of it")
        if path.is_dir():
            _require(path.relative_to(folder).as_posix() in {APPROVALS, CERTIFICATES}, "there is another folder in it")
        else:
            found[path.relative_to(folder).as_posix()] = path
    _require(MANIFEST in found and SIGNATURE in found, "the manifest or its signature is missing")
    manifest, signature = (read_private(found.pop(name), MAX_FILE_BYTES) for name in (MANIFEST, SIGNATURE))
    token = json.loads(signature)["dossier"]
    payload = consent_jws.verify(token, MANIFEST_TYPE, Ed25519PublicKey.from_public_bytes(key.public_key))
    document = json.loads(manifest)
    _require(
        payload == signed_payload(document["cohort_id"], manifest)
        and signature_file(token) == signature
        and document["version"] == VERSION,
        "the signature is not over this manifest",
    )
    listed = document["files"]
    _require(not (missing := set(listed) - set(found)), f"{len(missing)} files that the manifest lists are missing")
    _require(not (extra := set(found) - set(listed)), f"there are {len(extra)} files that the manifest does not list")
    files = {name: read_private(path, MAX_FILE_BYTES) for name, path in found.items()}
    changed = [name for name, data in files.items() if sha256(data).hexdigest() != listed[name]]
    _require(not changed, f"{len(changed)} files were changed")
    known = {PAGE, PLAN, COUNTS, LOG, PUBLIC_KEY}
    _require(
        known <= set(files) and all(name.split("/")[0] in {APPROVALS, CERTIFICATES} for name in set(files) - known),
        "there are other files in it than a dossier has",
    )
    _require(files[PUBLIC_KEY] == f"{key.line()}\n".encode(), "it is of another site than the public key's")
    _require(
        read_plan(read_plan_file(files[PLAN])[0], key).cohort_id == document["cohort_id"],
        "it has the plan of another order",
    )
    return files


def _plan(files: Mapping[str, bytes], key: VerifierKey, before: Mapping[str, Any]) -> tuple[Plan, list[str]]:
    # 2.
    plan = read_plan(read_plan_file(files[PLAN])[0], key)
    listed = before["approved_by"]
    names = [f"{APPROVALS}/{number}.json" for number in range(1, len(listed) + 1)]
    _require(
        set(names) == {name for name in files if name.startswith(f"{APPROVALS}/")},
        "there are more or fewer approvals than were counted",
    )
    tokens = [read_approval_file(files[name]) for name in names]
    labels = check_approvals(
        tokens,
        plan.token,
        {one["operator"]: consent_jws.from_b64url(one["public_key"]) for one in listed},
        required=before["operators_required"],
        between=(plan.made_at, plan.good_until),
    )
    _require(
        labels == [one["operator"] for one in listed]
        and [token_sha256(token) for token in tokens] == [one["approval_sha256"] for one in listed],
        "the approvals are not those that were counted",
    )
    return plan, labels


def _certificates(files: Mapping[str, bytes], key: VerifierKey) -> dict[str, Certificate]:
    # 3.
    certificates: dict[str, Certificate] = {}
    for name, data in files.items():
        if name.startswith(f"{CERTIFICATES}/"):
            certificate = verify_certificate(data, key)
            _require(name == f"{CERTIFICATES}/{certificate.certificate_id}.json", "a certificate has another's name")
            certificates[certificate.certificate_id] = certificate
    receipts = {one.receipt_sha256 for one in certificates.values()}
    _require(len(receipts) == len(certificates), "there are two certificates for one receipt")
    return certificates


def _log(
    files: Mapping[str, bytes],
    key: VerifierKey,
    plan: Plan,
    certificates: Mapping[str, Certificate],
    counts: Mapping[str, Any],
) -> Checkpoint:
    before, after = counts["before"], counts["after"]
    log = json.loads(files[LOG])
    # 4.
    old, new = open_checkpoint(log["before"], key), open_checkpoint(log["after"], key)
    verify_consistency(old.size, new.size, _hashes(log["consistency"]), old.root, new.root)
    # 5.
    opened = [_entry(one, new) for one in log["entries"]]
    begun, finished = (_one(opened, kind) for kind in (BEGUN, FINISHED))
    _require(
        begun
        == {
            "cohort_id": plan.cohort_id,
            "plan_sha256": token_sha256(plan.token),
            "before_sha256": sha256_of(before),
        },
        "the log's beginning is not of this plan and these counts",
    )
    _require(
        finished
        == {
            "cohort_id": plan.cohort_id,
            "after_sha256": sha256_of(after),
            "certificates_sha256": ids_sha256(list(certificates)),
        },
        "the log's end is not of these counts and certificates",
    )
    stops = [details for kind, _index, details in opened if kind == STOPPED]
    claimed = [
        {name: value for name, value in one.items() if name != "placed_at"} for one in after["collecting_stopped_by"]
    ]
    _require(stops == claimed and len(opened) == 2 + len(stops), "the log has other orders to stop than are claimed")
    first = next(index for kind, index, _details in opened if kind == BEGUN)
    last = next(index for kind, index, _details in opened if kind == FINISHED)
    _require(first == old.size - 1 and last == new.size - 1, "the checkpoints are not those of beginning and end")
    _require(set(log["certificates"]) == set(certificates), "the log's proofs are of other certificates")
    left = set(before["left_since_plan"])
    for name, place in log["certificates"].items():
        index, leaf = place_of(json.loads(files[f"{CERTIFICATES}/{name}.json"])["certificate"])
        _require(index == place["index"], "a certificate stands elsewhere in the log than it says")
        verify_inclusion(leaf_hash(leaf), index, new.size, _hashes(place["proof"]), new.root)
        _require(
            index > first or certificates[name].receipt_sha256 in left,
            "a certificate is older than the order that it is for",
        )
    return new


def _entry(entry: Mapping[str, Any], head: Checkpoint) -> tuple[str, int, Mapping[str, str | int]]:
    leaf, index = _hash(entry["leaf"]), entry["index"]
    kind, _at = open_leaf(leaf, entry["details"], _hash(entry["salt"]))
    verify_inclusion(leaf_hash(leaf), index, head.size, _hashes(entry["proof"]), head.root)
    return kind, index, entry["details"]


def _one(opened: Sequence[tuple[str, int, Mapping[str, str | int]]], kind: str) -> Mapping[str, str | int]:
    (details,) = [details for found, _index, details in opened if found == kind]
    return details


def _add_up(before: Mapping[str, Any], after: Mapping[str, Any], certificates: Sequence[Certificate]) -> None:
    # 6.
    left = set(before["left_since_plan"])
    mine = [one for one in certificates if one.receipt_sha256 not in left]
    _require(
        len(certificates) == after["certificates"] and len(certificates) - len(mine) == len(left),
        "there are more or fewer certificates than were counted",
    )
    _require(
        (after["cohort"]["people"], after["cohort"]["consents"], after["cohort"]["references"]) == (0, 0, 0),
        "some of those meant are left",
    )
    zones: dict[str, dict[str, int]] = {}
    for one in mine:
        zone = zones.setdefault(one.zone, {"consents": 0, "references": 0})
        zone["consents"] += 1
        zone["references"] += one.statement["destroyed"].get(_REFERENCE, 0)
    _require(before["cohort"]["zones"] == zones, "what was there by zone is not what was certified")
    for what in ("consents", "references"):
        _require(
            before["cohort"][what] - after["cohort"][what] == sum(zone[what] for zone in zones.values()),
            f"the {what} before, less those after, are not what was certified",
        )


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001  reads like the sentence it is
    if not holds:
        raise TamperError(f"integrity: {otherwise}; obtain the dossier again from the site")


def _hash(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _hashes(texts: Sequence[str]) -> list[bytes]:
    return [_hash(text) for text in texts]
