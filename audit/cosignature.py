"""Cosignatures of witnesses on a checkpoint: C2SP tlog-cosignature (cosignature/v1, Ed25519, signature type 0x04).

A witness keeps the newest checkpoint of each log that it knows. It cosigns the next one only if that is consistent with
it, so a log that shows two different histories gets no second cosignature of an honest witness. A cosignature is a
further signature line of the note::

    — witness.example/w1 <base64 of: key id (4 bytes) || time (8 bytes) || Ed25519 signature (64 bytes)>

signed over ``cosignature/v1``, a line ``time <seconds since 1970>``, and the text of the note.

Keys are arguments, pinned by the caller. Source: c2sp.org/tlog-cosignature, c2sp.org/tlog-witness.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volens.audit.checkpoint import MAX_NOTE_BYTES, MAX_SIZE, parse_signature, split_note
from volens.audit.verifier_key import KEY_ID_BYTES, parse_vkey, require_name, to_base64
from volens.consent import InputError, TamperError

MAX_WITNESSES: Final = 15
"""Witnesses of one log: a reader must accept 16 signatures on a note, and the site's is one of them."""

MAX_PROOF_LINES: Final = 63
_COSIGNATURE: Final = b"\x04"
_KEY_BYTES: Final = 32
_TIME_BYTES: Final = 8
_BLOB_BYTES: Final = _TIME_BYTES + 64
_LAST_SECOND: Final = 253_402_300_799
"""The last second of the year 9999."""


@final
@dataclass(frozen=True, slots=True)
class WitnessKey:
    """The verifier key of a witness: its name, such as ``witness.example/w1``, and its public key (Ed25519, 32 bytes).

    Raises:
        ValueError: an invalid name or another length.

    Not checked: whether the 32 bytes are a point of the curve; if they are not, no cosignature verifies.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        require_name(self.name)
        if len(self.public_key) != _KEY_BYTES:
            raise ValueError(f"got a public key of {len(self.public_key)} bytes; expected {_KEY_BYTES}")

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that distinguish keys of one name."""
        return hashlib.sha256(self.name.encode() + b"\n" + _COSIGNATURE + self.public_key).digest()[:KEY_ID_BYTES]

    def line(self) -> str:
        """Return the text form ``name+key id+base64(0x04 || public key)``, without a newline."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(_COSIGNATURE + self.public_key)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `line` writes; spaces and line ends around it do not matter.

        Raises:
            InputError: another form, another signature type, or a key id that does not match name and key.
        """
        name, key_id, typed_key = parse_vkey(text.strip())
        if typed_key[:1] != _COSIGNATURE or len(typed_key) != 1 + _KEY_BYTES:
            raise InputError("got a verifier key of another type; expected one of a witness for Ed25519 (type 0x04)")
        key = cls(name, typed_key[1:])
        if key.key_id.hex() != key_id:
            raise InputError("got a witness's key whose key id does not match; it was mistyped, copy it again")
        return key


@final
@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: whose, when it was made as the witness says, and its line with its newline."""

    witness: WitnessKey
    at: datetime
    line: str


def cosignatures_of(note: str, witnesses: Sequence[WitnessKey]) -> list[Cosignature]:
    """Return the cosignatures of these witnesses on a note, at most one of each.

    Lines by other keys are ignored.

    Raises:
        TamperError: the note is malformed, or a line that claims to be by one of the witnesses does not verify.

    Not checked: the signature of the log; see `open_checkpoint`. Nor whether the time lies in the future.
    """
    text, lines = split_note(note)
    known = {(one.name, one.key_id): one for one in witnesses}
    found: dict[bytes, Cosignature] = {}
    for line in lines:
        name, key_id, blob = parse_signature(line)
        witness = known.get((name, key_id))
        if witness is not None and witness.public_key not in found:
            found[witness.public_key] = Cosignature(witness, _verified_time(text, blob, witness), line + "\n")
    return list(found.values())


def require_quorum(note: str, witnesses: Sequence[WitnessKey], quorum: int) -> list[Cosignature]:
    """Return the cosignatures of a note, if at least `quorum` of the witnesses have cosigned it.

    Raises:
        InputError: the quorum cannot be reached, or is none.
        TamperError: fewer have, or one does not verify.
    """
    different = len({one.public_key for one in witnesses})
    if not 1 <= quorum <= different:
        raise InputError(f"got a quorum of {quorum} and {different} witnesses; expected 1 to {max(1, different)}")
    found = cosignatures_of(note, witnesses)
    if len(found) < quorum:
        raise TamperError(
            f"integrity: {len(found)} of {different} witnesses have cosigned this checkpoint; expected {quorum}; get "
            "it again later, and ask the site if that does not help"
        )
    return found


def with_cosignatures(note: str, lines: Sequence[str]) -> str:
    """Return a note with further signature lines, each with its newline, in their order."""
    return note + "".join(line for line in dict.fromkeys(lines) if line not in note)


def add_checkpoint_request(old_size: int, proof: Sequence[bytes], note: str) -> bytes:
    """Return the body of ``POST add-checkpoint``: old size, consistency proof, an empty line, and the checkpoint."""
    head = "".join(f"{line}\n" for line in (f"old {old_size}", *map(to_base64, proof)))
    return f"{head}\n{note}".encode()


def read_answered_size(body: bytes) -> int | None:
    """Return the size in the body of a response 409, of the newest checkpoint that the witness knows; None if none."""
    text = body.removesuffix(b"\n")
    if not text.isdigit() or len(text) > len(str(MAX_SIZE)) or (text.startswith(b"0") and text != b"0"):
        return None
    size = int(text)
    return size if size <= MAX_SIZE else None


def read_cosignature(body: bytes, note: str, witness: WitnessKey) -> Cosignature:
    """Return the witness's cosignature of a note in the body of a response 200; lines by other keys are ignored.

    Raises:
        TamperError: it has none, or one that does not verify, or another form.
    """
    try:
        lines = body.decode("utf-8")
    except UnicodeDecodeError:
        raise TamperError("integrity: the response of the witness is not UTF-8") from None
    if len(body) > MAX_NOTE_BYTES or not lines.endswith("\n"):
        raise TamperError("integrity: the response of the witness is not signature lines")
    found = cosignatures_of(note + lines, [witness])
    if not found:
        raise TamperError("integrity: the response has no cosignature by this witness's key")
    return found[0]


def _verified_time(text: str, blob: bytes, witness: WitnessKey) -> datetime:
    seconds = int.from_bytes(blob[:_TIME_BYTES], "big")
    problem = "integrity: a cosignature does not match the checkpoint and the key of the witness"
    if len(blob) != _BLOB_BYTES or seconds > _LAST_SECOND:
        raise TamperError(problem)
    signed = f"cosignature/v1\ntime {seconds}\n{text}".encode()
    try:
        Ed25519PublicKey.from_public_bytes(witness.public_key).verify(blob[_TIME_BYTES:], signed)
    except InvalidSignature:
        raise TamperError(problem) from None
    return datetime.fromtimestamp(seconds, UTC)
