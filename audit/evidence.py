"""Evidence of how long the log was: the signed checkpoints in any file that the site gave out.

A checkpoint is signed by itself, so the file that carries it needs no check: a receipt that a person took home, a
webhook message, a certificate, an access answer, a manifest of a backup, or the note alone.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

from volens.audit.checkpoint import Checkpoint, open_checkpoint
from volens.audit.verifier_key import VerifierKey
from volens.consent.json_reader import JsonError, read_json

_MAX_DEPTH: Final = 8
_JWS: Final = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")


def checkpoints_in(content: bytes, key: VerifierKey) -> list[Checkpoint]:
    """Return every checkpoint of the log of `key` that a file carries, largest first; possibly none.

    Searched are: text that is a note; the strings of a JSON document; and the payload of a compact JWS, alone or in a
    JSON document.

    Raises:
        TamperError: it carries one that the key has not signed.

    Not checked: the signature of the file around the checkpoint.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return []
    notes = set(_notes_in_text(text, key.name, 0))
    if text.lstrip().startswith(("{", "[")):
        notes.update(_notes_in_json(text, key.name, 0))
    return sorted({open_checkpoint(note, key) for note in notes}, key=lambda one: one.size, reverse=True)


def _notes_in_text(text: str, origin: str, depth: int) -> Iterator[str]:
    if text.startswith(f"{origin}\n"):
        yield text
    elif (jws := _JWS.fullmatch(text.strip())) is not None:
        payload = jws.group(1)
        try:
            decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode("utf-8")
        except (binascii.Error, ValueError):
            return
        yield from _notes_in_json(decoded, origin, depth + 1)


def _notes_in_json(text: str, origin: str, depth: int) -> Iterator[str]:
    try:
        document = read_json(text)
    except JsonError:
        return
    yield from _notes_in_value(document, origin, depth)


def _notes_in_value(value: Any, origin: str, depth: int) -> Iterator[str]:  # noqa: ANN401  JSON
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        yield from _notes_in_text(value, origin, depth)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _notes_in_value(one, origin, depth + 1)
    elif isinstance(value, list):
        for one in value:
            yield from _notes_in_value(one, origin, depth + 1)
