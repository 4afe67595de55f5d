"""Verifying a dossier offline, with the site's public key and nothing else of the site.

1. The site signed the manifest; exactly the files it lists are there, byte for byte, no more and no fewer.
2. The site signed the plan, and as many different operators as the site required approved it while it was good.
3. Every certificate verifies, no receipt twice, and they are of exactly the people whom the plan counted.
4. Both checkpoints are signed, and the later log continues the earlier one.
5. At the later checkpoint the log has: the beginning, which commits to plan and counts before; the end, which commits
   to counts after and to these certificates; every certificate; every claimed order to stop collecting; and, before the
   beginning, that each operator who approved was added with the key that approved.
6. The counts add up, in total and by zone: the data before, less the data left, is what was certified, and no person of
   the cohort is left.

Not checked: that an operator was not removed again before the beginning, and that the site's counts are true. If a site
lies in its counts and its log alike, only a person who holds a receipt and no certificate for it can expose it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, final

from volens.audit import (
    Checkpoint,
    LogEntry,
    VerifierKey,
    from_base64,
    leaf_hash,
    open_checkpoint,
    refuse_other_key,
    verify_consistency,
    verify_inclusion,
)
from volens.consent import InputError, RefusedError, TamperError, from_b64url
from volens.consent.json_reader import read_json
from volens.consent.plain_text import plain_bytes, plain_text
from volens.erase.operator_key import APPROVAL, check_approvals, token_sha256
from volens.erase.order import dossier
from volens.erase.order.execution import BEGUN, FINISHED, ids_sha256, sha256_of
from volens.erase.order.plan import PLAN, Plan, read_plan
from volens.erase.order.selection import members_sha256
from volens.erase.proof.certificate import Certificate, verify_certificate
from volens.store.files import read_private
from volens.store.promises import ADDED

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
    """Verify a dossier: all of the steps above.

    The key is pinned by the caller, never taken from the dossier.

    Raises:
        InputError: there is no such folder.
        TamperError: one of the steps fails.
    """
    if not folder.is_dir():
        raise InputError(f"there is no dossier {folder}; give the folder as it was written")
    try:
        # 1.
        files = _read(folder, key)
        # 2.
        counts = read_json(files[dossier.COUNTS])
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
        raise TamperError(
            "integrity: this does not have the form of a dossier; obtain it again from the site"
        ) from None
    except RefusedError as error:
        raise TamperError(f"integrity: the approvals do not hold: {error}") from None
    return Dossier(plan, counts, list(certificates.values()), approved_by, checkpoint)


def _read(folder: Path, key: VerifierKey) -> dict[str, bytes]:
    # 1.
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        _require(not path.is_symlink(), "it contains a symbolic link")
        if path.is_dir():
            _require(
                path.relative_to(folder).as_posix() in {dossier.APPROVALS, dossier.CERTIFICATES},
                "it contains another folder",
            )
        else:
            found[path.relative_to(folder).as_posix()] = path
    _require(dossier.MANIFEST in found and dossier.SIGNATURE in found, "the manifest or its signature is missing")
    manifest, signature = (
        plain_bytes(read_private(found.pop(name), MAX_FILE_BYTES)) for name in (dossier.MANIFEST, dossier.SIGNATURE)
    )
    try:
        signed = dossier.DOSSIER.verify(dossier.DOSSIER.from_file(signature)[0], *key.public_keys)
    except TamperError:
        if (carried := found.get(dossier.PUBLIC_KEY)) is not None:
            refuse_other_key("this dossier", plain_text(read_private(carried, MAX_FILE_BYTES), "its key"), key)
        raise
    document = read_json(manifest)
    _require(
        signed == (document["cohort_id"], sha256(manifest).hexdigest())
        and document["version"] == dossier.DOSSIER.version,
        "the signature is not over this manifest",
    )
    listed = document["files"]
    _require(not (missing := set(listed) - set(found)), f"{len(missing)} files that the manifest lists are missing")
    _require(not (extra := set(found) - set(listed)), f"there are {len(extra)} files that the manifest does not list")
    files = {name: _unchanged(read_private(path, MAX_FILE_BYTES), listed[name]) for name, path in found.items()}
    changed = [name for name, data in files.items() if sha256(data).hexdigest() != listed[name]]
    _require(not changed, f"{len(changed)} files were changed")
    known = {dossier.PAGE, dossier.PLAN_FILE, dossier.COUNTS, dossier.LOG, dossier.PUBLIC_KEY}
    _require(
        known <= set(files)
        and all(name.split("/")[0] in {dossier.APPROVALS, dossier.CERTIFICATES} for name in set(files) - known),
        "it contains files that do not belong to a dossier",
    )
    _require(
        files[dossier.PUBLIC_KEY].startswith(f"{key.line()}\n".encode()), "it is of another site than the public key"
    )
    _require(
        read_plan(PLAN.from_file(files[dossier.PLAN_FILE])[0], key).cohort_id == document["cohort_id"],
        "it contains the plan of another order",
    )
    return files


def _unchanged(data: bytes, listed: str) -> bytes:
    """Return a file as it was listed, if only its line ends or a byte order mark differ."""
    plain = plain_bytes(data)
    return plain if sha256(plain).hexdigest() == listed else data


def _plan(files: Mapping[str, bytes], key: VerifierKey, before: Mapping[str, Any]) -> tuple[Plan, list[str]]:
    # 2.
    plan = read_plan(PLAN.from_file(files[dossier.PLAN_FILE])[0], key)
    listed = before["approved_by"]
    names = [f"{dossier.APPROVALS}/{number}.json" for number in range(1, len(listed) + 1)]
    _require(
        set(names) == {name for name in files if name.startswith(f"{dossier.APPROVALS}/")},
        "there are more or fewer approvals than were counted",
    )
    tokens = [APPROVAL.from_file(files[name])[0] for name in names]
    labels = check_approvals(
        tokens,
        plan.token,
        {one["operator"]: from_b64url(one["public_key"]) for one in listed},
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
        if name.startswith(f"{dossier.CERTIFICATES}/"):
            certificate = verify_certificate(data, key)
            _require(
                name == f"{dossier.CERTIFICATES}/{certificate.certificate_id}.json", "a certificate has another's name"
            )
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
    log = read_json(files[dossier.LOG])
    # 4.
    old, new = open_checkpoint(log["before"], key), open_checkpoint(log["after"], key)
    verify_consistency(old.size, new.size, _hashes(log["consistency"]), old.root, new.root)
    # 5.
    opened = [(entry.verify(new), entry) for entry in map(LogEntry.from_json, log["entries"])]
    (begun,), (finished,) = ([one for kind, one in opened if kind == wanted] for wanted in (BEGUN, FINISHED))
    _require(
        begun.details
        == {"cohort_id": plan.cohort_id, "plan_sha256": token_sha256(plan.token), "before_sha256": sha256_of(before)},
        "the log's beginning is not of this plan and these counts",
    )
    _require(
        finished.details
        == {
            "cohort_id": plan.cohort_id,
            "after_sha256": sha256_of(after),
            "certificates_sha256": ids_sha256(list(certificates)),
        },
        "the log's end is not of these counts and certificates",
    )
    stops = [one.details for kind, one in opened if kind == STOPPED]
    claimed = [
        {name: value for name, value in one.items() if name != "placed_at"} for one in after["collecting_stopped_by"]
    ]
    added = [one for kind, one in opened if kind == ADDED]
    _require(
        [(one.details["operator"], one.details["public_key"]) for one in added]
        == [(one["operator"], from_b64url(one["public_key"]).hex()) for one in before["approved_by"]]
        and all(one.index < begun.index for one in added),
        "the log does not have that the operators who approved were added before",
    )
    _require(
        stops == claimed and len(opened) == 2 + len(stops) + len(added),
        "the log has other orders to stop collecting than are claimed",
    )
    _require(
        begun.index == old.size - 1 and finished.index == new.size - 1,
        "the checkpoints are not those of beginning and end",
    )
    _require(set(log["certificates"]) == set(certificates), "the log's proofs are of other certificates")
    left = set(before["left_since_plan"])
    for name, place in log["certificates"].items():
        entry = certificates[name].entry
        _require(entry.index == place["index"], "a certificate has another place in the log than it states")
        verify_inclusion(leaf_hash(entry.leaf), entry.index, new.size, _hashes(place["proof"]), new.root)
        _require(
            entry.index > begun.index or certificates[name].receipt_sha256 in left,
            "a certificate is older than the order that it is for",
        )
    return new


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
        "some people of the cohort are left",
    )
    zones: dict[str, dict[str, int]] = {}
    for one in mine:
        zone = zones.setdefault(one.zone, {"consents": 0, "references": 0})
        zone["consents"] += 1
        zone["references"] += one.statement["destroyed"].get(_REFERENCE, 0)
    _require(before["cohort"]["zones"] == zones, "the counts by zone are not what was certified")
    for what in ("consents", "references"):
        _require(
            before["cohort"][what] - after["cohort"][what] == sum(zone[what] for zone in zones.values()),
            f"the {what} before, less those after, are not what was certified",
        )


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001  reads like the sentence it is
    if not holds:
        raise TamperError(f"integrity: {otherwise}; obtain the dossier again from the site")


def _hashes(texts: Sequence[str]) -> list[bytes]:
    return [from_base64(text) for text in texts]
