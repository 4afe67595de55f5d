"""The public key of a site's log and documents, and its successors: the content of ``site.pub``.

The first line is a C2SP verifier key. It names the site for good: it stays when the site replaces its signing key.
Each further line is a statement, signed with the key before it, that introduces the next key (`SUCCESSION`)::

    volens/5c1e+e769623e+AS23l2NuMj7Vdumw4D4ny5IXGolrY+kYbw1KQ7nH04LR
    eyJhbGciOiJFZDI1NTE5Iiwi...

So the first line that someone keeps is enough to check every later ``site.pub`` of this site.
Source: c2sp.org/signed-note (verifier key).
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

from volens.consent import InputError, SignedDocument, TamperError
from volens.consent.signed_document import Signer

KEY_ID_BYTES: Final = 4
_ED25519: Final = b"\x01"
_KEY_BYTES: Final = 32
_VKEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_BAD_VKEY: Final = "got a verifier key with a bad name, base64 or length; expected one for Ed25519"
_NO_SUCCESSION: Final = "integrity: a statement in site.pub does not introduce the site's next key; get site.pub again"


@final
@dataclass(frozen=True, slots=True)
class Succession:
    """A statement that introduces the next signing key.

    Attributes:
        epoch: of the new key; the first key of the site has epoch 1.
        old_key, new_key: verifier keys, as text (`VerifierKey.line`).
        log_size: number of leaves of the log at the change. The old key signs no checkpoint of a longer log.
        token: the signed statement.
    """

    epoch: int
    old_key: str
    new_key: str
    log_size: int
    token: str


def _read(document: dict[str, Any], token: str) -> Succession:
    epoch, log_size = document["epoch"], document["log_size"]
    if type(epoch) is not int or type(log_size) is not int or log_size < 0:
        raise ValueError
    return Succession(epoch, str(document["old_key"]), str(document["new_key"]), log_size, token)


SUCCESSION: Final = SignedDocument(
    typ="volens-key-succession+jws",
    name="a statement that introduces a key",
    advice="get the site's site.pub again",
    read=_read,
)


@final
class KeyEpoch(NamedTuple):
    """One key of a site: public key (32 bytes), key id, and the size of the longest log whose head it signs."""

    public_key: bytes
    key_id: bytes
    last_size: int | None


@final
@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The verifier key of a log: a name, a public key and its successors. The verifier pins it; it is not secret.

    Attributes:
        name: of the log; not empty, without '+', Unicode spaces and control characters.
        public_key: 32 bytes, Ed25519 (RFC 8032): the site's first key.
        successions: verified statements that introduce the later keys, oldest first.

    Raises:
        ValueError: an invalid name or another length.

    Not checked: whether the 32 bytes are a point of the curve; if they are not, no signature verifies.
    """

    name: str
    public_key: bytes
    successions: tuple[Succession, ...] = ()

    def __post_init__(self) -> None:
        require_name(self.name)
        if len(self.public_key) != _KEY_BYTES:
            raise ValueError(f"got a public key of {len(self.public_key)} bytes; expected {_KEY_BYTES}")

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that distinguish keys of one name; an identifier, not a fingerprint to trust."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:KEY_ID_BYTES]

    @property
    def newest(self) -> "VerifierKey":
        """The key that signs now."""
        return _key_of(self.successions[-1].new_key) if self.successions else self

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """The raw keys, 32 bytes each, oldest first: a document of the site is signed with one of them."""
        return tuple(one.public_key for one in self.epochs())

    def epochs(self) -> list[KeyEpoch]:
        """Return the keys, oldest first."""
        keys = [self, *(_key_of(one.new_key) for one in self.successions)]
        sizes: list[int | None] = [*(one.log_size for one in self.successions), None]
        return [KeyEpoch(key.public_key, key.key_id, size) for key, size in zip(keys, sizes, strict=True)]

    def followed_by(self, tokens: Iterable[str]) -> "VerifierKey":
        """Return this key with further successors, each introduced by a statement that the key before it has signed.

        Raises:
            InputError: a token is not such a statement.
            TamperError: it is not signed with the key before it, or is of another site, or not the next one.
        """
        chain = self
        for token in tokens:
            newest = chain.newest
            succession = SUCCESSION.verify(token, newest.public_key)
            least = chain.successions[-1].log_size if chain.successions else 0
            if (succession.old_key, succession.epoch) != (newest.line(), len(chain.successions) + 2):
                raise TamperError(_NO_SUCCESSION)
            if _key_of(succession.new_key).name != chain.name or succession.log_size < least:
                raise TamperError(_NO_SUCCESSION)
            chain = VerifierKey(chain.name, chain.public_key, (*chain.successions, succession))
        return chain

    def line(self) -> str:
        """Return the text form ``name+key id+base64(0x01 || public key)`` of the first key, without a newline."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(_ED25519 + self.public_key)}"

    def text(self) -> str:
        """Return the content of ``site.pub``: the line of the first key, and a line for each statement."""
        return "".join(f"{line}\n" for line in (self.line(), *(one.token for one in self.successions)))

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read the text that `text` writes, or `line`; line ends and spaces around a line do not matter.

        Raises:
            InputError: another form, another signature type, or a key id that does not match name and key.
            TamperError: a statement is not signed with the key before it, or does not follow it.
        """
        first, *tokens = text.strip().splitlines() or [""]
        return cls._parse_line(first.strip()).followed_by(token.strip() for token in tokens if token.strip())

    @classmethod
    def _parse_line(cls, line: str) -> "VerifierKey":
        name, key_id, typed_key = parse_vkey(line)
        if len(typed_key) != 1 + _KEY_BYTES:
            raise InputError(_BAD_VKEY)
        if typed_key[:1] != _ED25519:
            raise InputError("got a verifier key of another signature type; expected Ed25519 (0x01)")
        key = cls(name, typed_key[1:])
        if key.key_id.hex() != key_id:
            raise InputError("got a verifier key whose key id does not match; it was mistyped, copy it again")
        return key


def parse_vkey(line: str) -> tuple[str, str, bytes]:
    """Return name, key id (hexadecimal) and typed key of a C2SP verifier key; see signed-note.

    Raises:
        InputError: another form, or an invalid name.

    Not checked: type and length of the key, and the key id.
    """
    match = _VKEY.fullmatch(line)
    if not match:
        raise InputError("got text that is not a verifier key; expected 'name+key id+base64'")
    name, key_id, encoded = match.groups()
    try:
        require_name(name)
        return name, key_id, from_base64(encoded)
    except ValueError:
        raise InputError(_BAD_VKEY) from None


def _key_of(line: str) -> VerifierKey:
    try:
        return VerifierKey.parse(line)
    except InputError:
        raise TamperError(_NO_SUCCESSION) from None


def introduce(signer: Signer, key: VerifierKey, new_public_key: bytes, log_size: int) -> str:
    """Return the statement, signed with the newest key of `key`, that introduces the next one."""
    content = {
        "version": SUCCESSION.version,
        "epoch": len(key.successions) + 2,
        "old_key": key.newest.line(),
        "new_key": VerifierKey(key.name, new_public_key).line(),
        "log_size": log_size,
    }
    return SUCCESSION.sign(signer, content)


def require_name(name: str) -> None:
    """Check the name of a log; raise `ValueError` for an invalid one."""
    # encode() refuses a lone surrogate with UnicodeEncodeError, which is a ValueError.
    if not name.encode() or "+" in name or _CONTROL.search(name) or any(letter.isspace() for letter in name):
        raise ValueError("got a key name that is empty or has '+', spaces or control characters")


def to_base64(data: bytes) -> str:
    """Encode as base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes:
    """Decode canonical base64, so that one value has one text.

    Raises:
        ValueError: not base64, or an encoding that is not the canonical one.
    """
    data = base64.b64decode(text, validate=True)
    if to_base64(data) != text:
        raise ValueError("got base64 that is not canonical")
    return data
