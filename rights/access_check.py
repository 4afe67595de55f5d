"""Checking an access answer offline: with the zip and the site's public key, and nothing else.

1. The signed list is by the site.
2. Exactly the files that it lists are there, byte for byte.
3. The answer is in the audit log, under a checkpoint that the site signed.
"""

import base64
import binascii
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volens.audit import VerifierKey, leaf_hash, open_checkpoint, open_leaf, verify_inclusion
from volens.consent import InputError, TamperError
from volens.consent import jws as consent_jws
from volens.rights.access_answer import ANSWER_TYPE, EVENT, SIGNED_FILE, VERSION, digest_of

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_MAX_MEMBERS: Final = 10_000


def verify_answer(data: bytes, key: VerifierKey) -> Mapping[str, Any]:
    """Return the statement of an access answer, if all of it is what the site gave.

    Raises:
        InputError: this is no access answer.
        TamperError: 1, 2 or 3 does not hold.
    """
    files = _unpacked(data)
    try:
        token = files.pop(SIGNED_FILE).decode("ascii")
    except (KeyError, UnicodeDecodeError):
        raise InputError("got a file that is no access answer; use one as 'volens export' writes it") from None
    # 1.
    payload = consent_jws.verify(token, ANSWER_TYPE, Ed25519PublicKey.from_public_bytes(key.public_key))
    try:
        document = json.loads(payload)
        statement, log = document["statement"], document["log"]
        if statement["version"] != VERSION:
            raise InputError(f"got an access answer of version {statement['version']!r}; upgrade Volens to check it")
        # 2.
        if {name: sha256(one).hexdigest() for name, one in files.items()} != statement["files"]:
            raise TamperError("integrity: the files are not the ones that the site signed; get the answer again")
        # 3.
        _check_log(statement, log, key)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise TamperError("integrity: the signed list is not in its form; get the answer again") from None
    return dict(statement)


def _check_log(statement: Mapping[str, Any], log: Mapping[str, Any], key: VerifierKey) -> None:
    leaf = base64.b64decode(log["leaf"], validate=True)
    kind, _at = open_leaf(leaf, log["details"], base64.b64decode(log["salt"], validate=True))
    if kind != EVENT or log["details"] != {"answer_sha256": digest_of(statement)}:
        raise TamperError("integrity: the log's entry is of another answer")
    checkpoint = open_checkpoint(log["checkpoint"], key)
    proof = [base64.b64decode(one, validate=True) for one in log["proof"]]
    verify_inclusion(leaf_hash(leaf), log["index"], checkpoint.size, proof, checkpoint.root)


def _unpacked(data: bytes) -> dict[str, bytes]:
    """Unpack in memory, at most so much: a small zip can hold a large nothing."""
    problem = "got a file that is no access answer; use one as 'volens export' writes it"
    files: dict[str, bytes] = {}
    left = MAX_FILE_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if len(archive.infolist()) > _MAX_MEMBERS:
                raise InputError(problem)
            for member in archive.infolist():
                with archive.open(member) as file:
                    content = file.read(left + 1)
                left -= len(content)
                if left < 0 or member.filename in files:
                    raise InputError(problem)
                files[member.filename] = content
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        raise InputError(problem) from None
    return files
