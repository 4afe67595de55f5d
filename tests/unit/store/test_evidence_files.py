"""Evidence: a checkpoint is found in every form in which a site gives one out, and must be signed by the site."""

import io
import json
import zipfile
from collections.abc import Callable
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from volens.audit import Checkpoint, VerifierKey, sign_checkpoint
from volens.consent import InputError, TamperError
from volens.consent.jws import sign
from volens.store.log import checkpoints_of_file

ORIGIN = "volens/site"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey(ORIGIN, PRIVATE.public_key().public_bytes_raw())
HEAD = Checkpoint(ORIGIN, 7, sha256(b"root").digest())
OLDER = Checkpoint(ORIGIN, 3, sha256(b"older root").digest())
NOTE = sign_checkpoint(HEAD, PRIVATE)


def jws(payload: object) -> str:
    return sign(json.dumps(payload).encode(), "example+jws", PRIVATE)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


FORMS: dict[str, bytes] = {
    "a note": NOTE.encode(),
    "a take-home file": json.dumps({"receipt": "a.b.c", "notice": "text", "checkpoint": NOTE}, indent=2).encode(),
    "a webhook message": json.dumps({"type": "subject.erased", "data": {}, "checkpoint": NOTE}).encode(),
    "a certificate": json.dumps({"certificate": jws({"statement": {}, "log": {"checkpoint": NOTE}})}).encode(),
    "a compact JWS": jws({"checkpoint": NOTE}).encode() + b"\n",
    "a list": json.dumps([{"a": [{"checkpoint": NOTE}]}]).encode(),
    "an answer": zipped(
        {"index.html": b"<html>", "face.bin": b"\xff", "answer.jws": jws({"checkpoint": NOTE}).encode()}
    ),
    "a certificate inside a message": json.dumps({"body": json.dumps({"x": 1}), "c": jws({"c": NOTE})}).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_is_found_in_each_form(form: str) -> None:
    assert checkpoints_of_file(FORMS[form], KEY) == [HEAD]


def test_all_checkpoints_of_a_file_are_returned_largest_first() -> None:
    data = json.dumps([sign_checkpoint(OLDER, PRIVATE), NOTE, NOTE]).encode()
    assert checkpoints_of_file(data, KEY) == [HEAD, OLDER]


def deep(depth: int) -> bytes:
    return b"[" * depth + json.dumps(NOTE).encode() + b"]" * depth


NONE: dict[str, bytes] = {
    "nothing": b"",
    "text": b"volens/site is a log\n7\n",
    "another log": sign_checkpoint(Checkpoint("volens/other", 7, HEAD.root), PRIVATE).encode(),
    "bytes": bytes(range(256)),
    "JSON that is cut off": FORMS["a take-home file"][:-5],
    "a number": b"7",
    "too deep": deep(20),
    "far too deep": deep(100_000),
    "a damaged zip": FORMS["an answer"][:40],
    "an empty zip": zipped({}),
    "a JWS of bytes": b"aaaa._w.bbbb",
    "a large member of a zip": zipped({"answer.json": b" " * (1 << 20) + json.dumps(NOTE).encode()}),
}


@pytest.mark.parametrize("case", NONE)
def test_a_file_without_a_checkpoint_of_this_log_is_refused(case: str) -> None:
    with pytest.raises(InputError):
        checkpoints_of_file(NONE[case], KEY)


CHANGES: dict[str, Callable[[str], str]] = {
    "another size": lambda note: note.replace("\n7\n", "\n8\n"),
    "another key": lambda _note: sign_checkpoint(HEAD, Ed25519PrivateKey.from_private_bytes(bytes(32))),
    "no signature": lambda note: note.partition("\n\n")[0] + "\n\n",
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_checkpoint_that_the_site_has_not_signed_is_an_error(case: str) -> None:
    with pytest.raises(TamperError):
        checkpoints_of_file(json.dumps({"checkpoint": CHANGES[case](NOTE), "other": NOTE}).encode(), KEY)
