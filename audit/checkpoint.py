"""Signed tree heads: C2SP tlog-checkpoint in a C2SP signed note, with Ed25519 (signature type 0x01).

A checkpoint states "the log called `origin` has `size` leaves and this root"::

    volens.example/front-door
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — volens.example/front-door Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE...

Keys are arguments. The caller keeps the last signed checkpoint and ensures that the next one is consistent with it.
Source: c2sp.org/signed-note, c2sp.org/tlog-checkpoint.
"""

import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from volens.audit.tree import HASH_BYTES, empty_root
from volens.audit.verifier_key import KEY_ID_BYTES, VerifierKey, from_base64, require_name, to_base64
from volens.consent import TamperError

MAX_NOTE_BYTES: Final = 64 * 1024
"""Room for the 16 signatures that the specification requires, each as large as an ML-DSA-44 cosignature."""

MAX_SIZE: Final = 2**63 - 1
_SIGNATURE_PREFIX: Final = "\N{EM DASH} "
_SIGNATURE_LINE: Final = re.compile(_SIGNATURE_PREFIX + r"([^ ]+) ([A-Za-z0-9+/=]+)")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_BODY_LINES: Final = 3
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: the size and root of the log called `origin`.

    Attributes:
        origin: the log's name, as `VerifierKey.name`.
        size: number of leaves, 0 to 2**63 - 1.
        root: 32 bytes; of a log without leaves, `empty_root()`.

    Raises:
        ValueError: a value is out of range.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        require_name(self.origin)
        if not 0 <= self.size <= MAX_SIZE:
            raise ValueError(f"got a log of {self.size} leaves; expected 0 to {MAX_SIZE}")
        if len(self.root) != HASH_BYTES:
            raise ValueError(f"got a root of {len(self.root)} bytes; expected {HASH_BYTES}")
        if self.size == 0 and self.root != empty_root():
            raise ValueError("got a log without leaves and another root; expected the root of the empty log")

    def body(self) -> str:
        """Return the note text, the three lines that are signed, each with its newline."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


def sign_checkpoint(checkpoint: Checkpoint, private_key: Ed25519PrivateKey) -> str:
    """Return a checkpoint as a note with one signature by the log's key, whose name is the origin.

    Not checked: consistency with earlier checkpoints; the caller proves it first.
    """
    key = VerifierKey(checkpoint.origin, private_key.public_key().public_bytes_raw())
    signature = private_key.sign(checkpoint.body().encode())
    return f"{checkpoint.body()}\n{_SIGNATURE_PREFIX}{key.name} {to_base64(key.key_id + signature)}\n"


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint in a note, if `key` has signed it.

    1. At most 64 KiB of UTF-8 without control characters; the last empty line separates text and signature lines.
    2. Every signature line is well formed. Lines by unknown keys are ignored, even with the same name or the same id.
    3. At least one is by a key of the site (`key` or a successor), and every one that claims to be by one is valid.
    4. Only then the text is parsed: origin, size, root, in the one form that `Checkpoint.body` writes.
    5. A key that has a successor has signed no checkpoint of a longer log than at its succession.

    The caller pins the key and never takes it from where the note came from.

    Raises:
        TamperError: any of these does not hold.

    Stricter than the specification: extension lines are refused, and the origin must be the key's name.
    Not checked: whether the checkpoint is the newest, or consistent with an earlier one; see `verify_consistency`.
    """
    # 1.
    text, signature_lines = split_note(note)
    # 2.
    signatures = [parse_signature(line) for line in signature_lines]
    # 3.
    known = {(key.name, one.key_id): one for one in key.epochs()}
    claimed = [(known[name, key_id], signature) for name, key_id, signature in signatures if (name, key_id) in known]
    if not claimed:
        raise TamperError(
            f"integrity: got {len(signatures)} signatures, none by the log's key; if the site has replaced its "
            "key since, get its newest site.pub, whose first line is the one that you have"
        )
    for one, signature in claimed:
        try:
            Ed25519PublicKey.from_public_bytes(one.public_key).verify(signature, text.encode())
        except InvalidSignature:
            raise TamperError("integrity: the checkpoint's signature does not match its text and the key") from None
    # 4.
    checkpoint = _parse_body(text, key.name)
    # 5.
    for one, _signature in claimed:
        if one.last_size is not None and checkpoint.size > one.last_size:
            raise TamperError(
                f"integrity: a checkpoint of {checkpoint.size} leaves is signed with a key that was replaced at "
                f"{one.last_size} leaves; do not trust it"
            )
    return checkpoint


def named_signers(note: str) -> list[tuple[str, bytes]]:
    """Return name and key id (4 bytes) of each signature line of a note WITHOUT checking any; [] if it is malformed.

    A note whose first line is not the name of one of them contradicts itself, and names no signer.
    """
    try:
        text, lines = split_note(note)
        named = [(name, key_id) for name, key_id, _ in map(parse_signature, lines)]
    except TamperError:
        return []
    return named if text.partition("\n")[0] in {name for name, _ in named} else []


def split_note(note: str) -> tuple[str, list[str]]:
    """Return the text with its last newline, and the signature lines without theirs."""
    try:
        size_bytes = len(note.encode())
    except UnicodeEncodeError:
        raise TamperError("integrity: the note is not UTF-8; obtain the checkpoint again") from None
    if size_bytes > MAX_NOTE_BYTES:
        raise TamperError(f"integrity: got a note of {size_bytes} bytes; expected at most {MAX_NOTE_BYTES}")
    text, blank_line, signatures = note.rpartition("\n\n")
    if _CONTROL.search(note) or not text or not blank_line or not signatures.endswith("\n"):
        raise TamperError("integrity: the note is not a text, an empty line and signature lines; obtain it again")
    return text + "\n", signatures.removesuffix("\n").split("\n")


def parse_signature(line: str) -> tuple[str, bytes, bytes]:
    """Return key name, key id (4 bytes) and signature of a line ``— name base64``."""
    problem = "integrity: a signature line is malformed; expected em dash, key name and base64"
    match = _SIGNATURE_LINE.fullmatch(line)
    if not match:
        raise TamperError(problem)
    name, encoded = match.groups()
    try:
        require_name(name)
        blob = from_base64(encoded)
    except ValueError:
        raise TamperError(problem) from None
    if len(blob) <= KEY_ID_BYTES:
        raise TamperError(f"integrity: got a signature of {len(blob)} bytes; expected a key id and a signature")
    return name, blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:]


def _parse_body(text: str, origin: str) -> Checkpoint:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != _BODY_LINES:
        raise TamperError(f"integrity: got a checkpoint of {len(lines)} lines; expected origin, size and root")
    if lines[0] != origin:
        raise TamperError("integrity: the checkpoint is of another log than the key")
    if not _SIZE.fullmatch(lines[1]):
        raise TamperError("integrity: the checkpoint's size is not a decimal number without leading zeros")
    try:
        return Checkpoint(origin, int(lines[1]), from_base64(lines[2]))
    except ValueError as error:
        raise TamperError(f"integrity: the checkpoint is signed but invalid: {error}") from None
