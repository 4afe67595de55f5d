"""Documents that a site has signed, for the tests of verifiers that are not ours."""

import zipfile
from collections.abc import Callable
from functools import reduce
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from house import House

from tests.unit.erase.orders import approval, carry_out, operator, planned
from volens.audit import (
    Checkpoint,
    VerifierKey,
    checkpoint_line,
    header_line,
    leaf_line,
    open_checkpoint,
    sign_checkpoint,
    verify_log_file,
)
from volens.consent.jws import b64url
from volens.consent.receipt import UnverifiedReceipt, verify_receipt
from volens.consent.refusal import sign_refusal, verify_refusal
from volens.erase import OperatorKey
from volens.erase.proof import sign_statement, verify_certificate
from volens.rights import verify_answer

Check = Callable[[bytes], object]

KINDS = ("certificate", "receipt", "checkpoint", "access answer", "log")


def house_with_documents(template: Path, home: Path) -> House:
    """Two people have withdrawn, a third is enrolled; one certificate has an answer of its recipient."""
    house = House.copied(template, home)
    house.withdraw(house.admit())
    recipient = OperatorKey.from_seed(bytes([7]) * 32)
    recipients = house.site.rights.recipients
    recipients.add("lobby", "Badge office", public_key=recipient.public_key)
    erased = house.withdraw(house.admit())
    recipients.acknowledge(
        erased.certificate_id, "Badge office", sign_statement(recipient, erased.certificate_id, house.clock())
    )
    house.admit()
    return house


def house_with_dossier(template: Path, home: Path) -> tuple[House, Path]:
    """An order that two operators approved; one of the people left between plan and order."""
    house = House.copied(template, home)
    house.admit()
    leaving = house.admit()
    house.admit(jurisdiction="DE")
    keys = [operator(house, label) for label in ("anna", "ben")]
    house.site.cohorts.require_operators(2)
    house.site.cohorts.stop_collecting("FR", None)
    plan = planned(house)
    house.withdraw(leaving)
    return house, carry_out(house, plan, [approval(house, plan, key) for key in keys]).dossier


def newest_certificate(house: House) -> bytes:
    """Return the certificate with the acknowledgement."""
    paths = sorted((house.site.home / "certificates").glob("*.json"), key=lambda path: path.stat().st_size)
    data = paths[-1].read_bytes()
    assert b"acknowledgements" in data
    return data


def check_receipt(data: bytes) -> object:
    """Check a receipt with the key in it, whose thumbprint is the person's id."""
    receipt = UnverifiedReceipt.parse(data)
    return verify_receipt(receipt, receipt.claims.subject_key)


def signed_documents(house: House) -> dict[str, tuple[bytes, Check]]:
    """Return what the house has signed, by kind: its bytes, and our own check."""
    key, person = house.site.verifier_key, house.people[-1]
    return {
        "certificate": (newest_certificate(house), lambda data: verify_certificate(data, key)),
        "receipt": (person.take_home.receipt.token.encode(), check_receipt),
        "checkpoint": (
            house.site.log.checkpoint().encode(),
            lambda data: open_checkpoint(data.decode("utf-8", "surrogateescape"), key),
        ),
        "access answer": (
            house.site.answer_access([person.receipt_id], searched_for=person.receipt_id).data,
            lambda data: verify_answer(data, key),
        ),
        "log": (b"".join(house.site.log.export()), lambda data: verify_log_file(BytesIO(data), key)),
    }


def refusal_receipt(house: House) -> tuple[bytes, Check]:
    """Return a refusal receipt, and our own check."""
    store = house.store
    data = sign_refusal(store.keyring, store.site.controller, "lobby", "0f" * 16, house.clock())
    return data, lambda changed: verify_refusal(changed, *house.site.verifier_key.public_keys)


def is_refused(check: Check, data: bytes) -> bool:
    """Return whether a check raises: every error of a verifier is a refusal."""
    try:
        check(data)
    except Exception:  # noqa: BLE001  see above
        return True
    return False


def zipped(folder: Path, prefix: str = "") -> bytes:
    """Return a folder as a zip; `prefix` stands before each name."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return buffer.getvalue()


def places_of(kind: str, data: bytes) -> list[int]:
    """Return the bytes of a document that are signed: of a zip only the content of its files."""
    if kind != "access answer":
        return list(range(len(data)))
    with zipfile.ZipFile(BytesIO(data)) as archive:
        starts = [one.header_offset + 30 + len(one.filename.encode()) for one in archive.infolist()]
        sizes = [one.compress_size for one in archive.infolist()]
    return [place for start, size in zip(starts, sizes, strict=True) for place in range(start, start + size)]


def large_log(path: Path, leaves: int) -> bytes:
    """Write a log with a checkpoint after every 500 leaves; return its site.pub."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
    key = VerifierKey("volens/large", private.public_key().public_bytes_raw())
    subtrees: list[tuple[int, bytes]] = []
    lines: list[bytes] = []
    note = ""
    for index in range(leaves):
        commitment = b64url(sha256(index.to_bytes(4, "big")).digest())
        leaf = f'{{"at":"2099-01-01T00:00:00Z","commitment":"{commitment}","kind":"door.matched","v":1}}'.encode()
        lines.append(leaf_line(leaf))
        subtrees.append((0, sha256(b"\0" + leaf).digest()))
        while len(subtrees) > 1 and subtrees[-1][0] == subtrees[-2][0]:
            (_, right), (level, left) = subtrees.pop(), subtrees.pop()
            subtrees.append((level + 1, sha256(b"\1" + left + right).digest()))
        if (index + 1) % 500 == 0:
            root = reduce(lambda right, left: sha256(b"\1" + left + right).digest(), [one for _, one in subtrees[::-1]])
            note = sign_checkpoint(Checkpoint(key.name, index + 1, root), private)
            lines.append(checkpoint_line(note))
    path.write_bytes(header_line(key, note) + b"".join(lines))
    return key.text().encode()
