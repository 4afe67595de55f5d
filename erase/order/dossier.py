"""The dossier of an erasure by order: a folder that whoever has the site's public key can check without the site.

::

    index.html               what was done, for people
    plan.json                the plan as signed
    approvals/1.json ...     the operators' approvals as signed
    counts.json              what was there before and after, as measured, and when
    log.json                 the two signed checkpoints, that one continues the other, and where each entry stands
    certificates/<id>.json   one for each consent that was erased
    site.pub                 the site's public key; whoever checks brings their own copy
    manifest.json            the SHA-256 of each of these
    manifest.sig.json        the site's signature over the manifest

It names operators by their labels and nobody else. `volens.erase.order.dossier_check` reads it again.
"""

import base64
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import rfc8785
from sqlalchemy import Connection

from volens.audit import NodeReader, consistency_proof, inclusion_proof
from volens.consent import InputError, TamperError, UnavailableError
from volens.consent import jws as consent_jws
from volens.erase.operator_key import approval_file
from volens.erase.order.dossier_page import summary_page
from volens.erase.order.order_rows import Cohort, LoggedEvent, checkpoint_note, cohort_certificates, logged_event
from volens.erase.order.plan import Plan, plan_file, read_plan
from volens.erase.proof.certificate import CERTIFICATE_TYPE, certificate_file
from volens.store import Store
from volens.store.log import node_reader

MANIFEST_TYPE: Final = "volens-dossier+jws"
VERSION: Final = 1
PAGE: Final = "index.html"
PLAN: Final = "plan.json"
APPROVALS: Final = "approvals"
COUNTS: Final = "counts.json"
LOG: Final = "log.json"
CERTIFICATES: Final = "certificates"
PUBLIC_KEY: Final = "site.pub"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig.json"


def write_dossier(store: Store, cohort: Cohort, folder: Path) -> None:
    """Write the dossier of a finished cohort, whole or not at all. The same cohort gives the same bytes.

    Raises:
        InputError: the folder is there already, or the cohort is not finished.
        UnavailableError: the disk refuses.
    """
    if os.path.lexists(folder):
        raise InputError(f"{folder} is already there; nothing was changed, choose another name with --dossier")
    if cohort.finished_at is None:
        raise InputError("got a cohort that is not finished; carry its plan out first")
    plan = read_plan(cohort.plan, store.verifier_key)
    with store.read() as connection:
        files = _files(store, connection, cohort, plan)
    manifest = rfc8785.dumps(
        {
            "version": VERSION,
            "cohort_id": cohort.cohort_id,
            "site_id": plan.site_id,
            "files": {name: sha256(data).hexdigest() for name, data in files.items()},
        }
    )
    files[MANIFEST] = manifest
    files[SIGNATURE] = signature_file(store.keyring.sign(signed_payload(cohort.cohort_id, manifest), MANIFEST_TYPE))
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for name, data in files.items():
                _write(draft / name, data)
            draft.replace(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UnavailableError(f"cannot write {folder}: {error.strerror}; check the disk and the rights") from None


def signed_payload(cohort_id: str, manifest: bytes) -> bytes:
    """Return what the site signs of a dossier."""
    return rfc8785.dumps({"version": VERSION, "cohort_id": cohort_id, "manifest_sha256": sha256(manifest).hexdigest()})


def signature_file(token: str) -> bytes:
    """Return the content of the signature's file."""
    return json.dumps({"dossier": token}).encode("ascii") + b"\n"


def place_of(certificate_token: str) -> tuple[int, bytes]:
    """Return the index and the leaf that a certificate, whose signature was checked, states of itself."""
    log = json.loads(consent_jws.peek(certificate_token, CERTIFICATE_TYPE))["log"]
    return int(log["index"]), base64.b64decode(log["leaf"], validate=True)


def _files(store: Store, connection: Connection, cohort: Cohort, plan: Plan) -> dict[str, bytes]:
    certificates = cohort_certificates(connection, cohort.cohort_id)
    if len(certificates) != cohort.facts["after"]["certificates"]:
        raise TamperError("integrity: certificates of a finished cohort are missing; restore the data file")
    counts = {"before": cohort.facts["before"], "after": cohort.facts["after"]}
    files = {
        PAGE: summary_page(plan, counts).encode("utf-8"),
        PLAN: plan_file(plan.token, []),
        COUNTS: rfc8785.dumps(counts),
        LOG: rfc8785.dumps(_log(connection, cohort, certificates)),
        PUBLIC_KEY: f"{store.verifier_key.line()}\n".encode(),
    }
    files |= {f"{APPROVALS}/{n}.json": approval_file(token) for n, token in enumerate(cohort.approvals, start=1)}
    return files | {f"{CERTIFICATES}/{name}.json": certificate_file(token) for name, token in certificates.items()}


def _log(connection: Connection, cohort: Cohort, certificates: dict[str, str]) -> dict[str, Any]:
    facts = cohort.facts
    old_size, size = facts["begun_size"], facts["finished_size"]
    # Proofs of one tree share most of their nodes.
    read: NodeReader = functools.cache(node_reader(connection))
    entries = [facts["begun_index"], facts["finished_index"], *facts["stop_indexes"]]
    return {
        "before": checkpoint_note(connection, old_size),
        "after": checkpoint_note(connection, size),
        "consistency": _texts(consistency_proof(old_size, size, read)),
        "entries": [_entry(logged_event(connection, index), size, read) for index in entries],
        "certificates": {
            name: {"index": index, "proof": _texts(inclusion_proof(index, size, read))}
            for name, token in certificates.items()
            for index, _leaf in [place_of(token)]
        },
    }


def _entry(event: LoggedEvent, size: int, read: NodeReader) -> dict[str, Any]:
    return {
        "index": event.index,
        "leaf": _text(event.leaf),
        "details": dict(event.details),
        "salt": _text(event.salt),
        "proof": _texts(inclusion_proof(event.index, size, read)),
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _texts(hashes: Sequence[bytes]) -> list[str]:
    return [_text(one) for one in hashes]


def _write(path: Path, data: bytes) -> None:
    # Not synced one by one: of ten thousand files that takes minutes, and the dossier can be written again.
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(data)
