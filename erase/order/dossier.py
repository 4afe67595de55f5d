"""The dossier of an erasure by order: a folder that can be checked offline with the site's public key.

::

    index.html               a summary for people
    plan.json                the plan as signed
    approvals/1.json ...     the operators' approvals as signed
    counts.json              the counts before and after, and when they were measured
    log.json                 the two signed checkpoints, their consistency proof, and inclusion proofs of all entries
    certificates/<id>.json   one for each erased consent
    site.pub                 the site's public key; a verifier uses their own copy
    manifest.json            the SHA-256 of each of these
    manifest.sig.json        the site's signature over the manifest

It names operators by their labels and no other person. `volens.erase.order.dossier_check` verifies it.
"""

import functools
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import rfc8785
from sqlalchemy import Connection

from volens.audit import NodeReader, consistency_proof, inclusion_proof, to_base64
from volens.consent import InputError, SignedDocument, UnavailableError
from volens.consent.errors import DamagedDataError
from volens.consent.signed_document import Signer
from volens.erase.operator_key import APPROVAL
from volens.erase.order.order_rows import Cohort, checkpoint_note, cohort_certificates, logged_entry
from volens.erase.order.plan import PLAN, Plan, read_plan
from volens.erase.pages import render_page
from volens.erase.proof.certificate import CERTIFICATE
from volens.store import Store
from volens.store.files import PUBLIC, draft_folder
from volens.store.log import node_reader

_SHOWN_FOLDER: Final = 0o755  # the dossier is made to be shown, and nothing in it is secret
PAGE: Final = "index.html"
PLAN_FILE: Final = "plan.json"
APPROVALS: Final = "approvals"
COUNTS: Final = "counts.json"
LOG: Final = "log.json"
CERTIFICATES: Final = "certificates"
PUBLIC_KEY: Final = "site.pub"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig.json"


DOSSIER: Final = SignedDocument(
    typ="volens-dossier+jws",
    name="a dossier's signature",
    advice="obtain the dossier again from the site",
    read=lambda document, _token: (str(document["cohort_id"]), str(document["manifest_sha256"])),
    member="dossier",
)


def write_dossier(store: Store, cohort: Cohort, folder: Path) -> None:
    """Write the dossier of a finished cohort, atomically. The same cohort gives the same bytes.

    Raises:
        InputError: the folder exists already, or the cohort is not finished.
        UnavailableError: the disk refuses.
    """
    if os.path.lexists(folder):
        raise InputError(f"{folder} is already there; nothing was changed, choose another name with --dossier")
    if cohort.finished_at is None:
        raise InputError("got a cohort that is not finished; carry out its plan first")
    plan = read_plan(cohort.plan, store.verifier_key)
    with store.read() as connection:
        files = _files(store, connection, cohort, plan)
    manifest = rfc8785.dumps(
        {
            "version": DOSSIER.version,
            "cohort_id": cohort.cohort_id,
            "site_id": plan.site_id,
            "files": {name: sha256(data).hexdigest() for name, data in files.items()},
        }
    )
    files[MANIFEST] = manifest
    files[SIGNATURE] = sign_manifest(store.keyring, cohort.cohort_id, manifest)
    try:
        with draft_folder(folder) as draft:
            for name, data in files.items():
                _write(draft / name, data)
    except OSError as error:
        raise UnavailableError(f"cannot write {folder}: {error.strerror}; check the disk and the rights") from None


def sign_manifest(key: Signer, cohort_id: str, manifest: bytes) -> bytes:
    """Return the content of the signature's file."""
    digest = sha256(manifest).hexdigest()
    content = {"version": DOSSIER.version, "cohort_id": cohort_id, "manifest_sha256": digest}
    return DOSSIER.to_file(DOSSIER.sign(key, content))


def _files(store: Store, connection: Connection, cohort: Cohort, plan: Plan) -> dict[str, bytes]:
    certificates = cohort_certificates(connection, cohort.cohort_id)
    if len(certificates) != cohort.facts["after"]["certificates"]:
        raise DamagedDataError("certificates of a finished cohort are missing")
    counts = {"before": cohort.facts["before"], "after": cohort.facts["after"]}
    files = {
        PAGE: render_page("dossier.html", plan=plan, **counts).encode("utf-8"),
        PLAN_FILE: PLAN.to_file(plan.token),
        COUNTS: rfc8785.dumps(counts),
        LOG: rfc8785.dumps(_log(connection, cohort, certificates)),
        PUBLIC_KEY: store.verifier_key.text().encode("ascii"),
    }
    files |= {f"{APPROVALS}/{n}.json": APPROVAL.to_file(token) for n, token in enumerate(cohort.approvals, start=1)}
    return files | {f"{CERTIFICATES}/{name}.json": CERTIFICATE.to_file(token) for name, token in certificates.items()}


def _log(connection: Connection, cohort: Cohort, certificates: dict[str, str]) -> dict[str, Any]:
    facts = cohort.facts
    old_size, size = facts["begun_size"], facts["finished_size"]
    # Proofs of one tree share most of their nodes.
    read: NodeReader = functools.cache(node_reader(connection))
    entries = [facts["begun_index"], facts["finished_index"], *facts["stop_indexes"], *facts["operator_indexes"]]
    return {
        "before": checkpoint_note(connection, old_size),
        "after": checkpoint_note(connection, size),
        "consistency": _texts(consistency_proof(old_size, size, read)),
        "entries": [logged_entry(connection, index, size, read).to_json() for index in entries],
        "certificates": {
            name: {"index": index, "proof": _texts(inclusion_proof(index, size, read))}
            for name, token in certificates.items()
            for index in [CERTIFICATE.peek(token).logged.entry.index]
        },
    }


def _texts(hashes: Sequence[bytes]) -> list[str]:
    return [to_base64(one) for one in hashes]


def _write(path: Path, data: bytes) -> None:
    # No fsync for each file: for ten thousand files it takes minutes, and the dossier can be written again.
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(_SHOWN_FOLDER)
    with path.open("xb") as file:
        file.write(data)
        os.fchmod(file.fileno(), PUBLIC)
