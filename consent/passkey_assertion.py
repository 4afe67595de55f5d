"""Passkey (WebAuthn) assertion over a receipt: how a passkey signs, and how that is verified at any later time.

An authenticator signs its own data and the SHA-256 of the browser's "client data", which has the challenge. Here the
challenge is the SHA-256 of the receipt, so the signature is over the receipt and cannot be for anything else.

The procedure is that of Web Authentication Level 3, section 7.2, whose step numbers stand in the code. It differs from
a sign-in, because one receipt is verified again and again, at every decision of a door:

* step 22, the signature counter, is not compared. It tells a relying party of two sign-ins that came in the wrong
  order; here the one signature that was recorded is read each time, with the one counter in it;
* no state is kept (steps 5, 6, 24): the key is the one that the receipt names, by its thumbprint;
* attested credential data is refused: an authenticator puts it into registrations only (section 6.1).

Pure: bytes in, an answer or an exception out. Tests compare it with py_webauthn, and damage every byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final, Self, final

from volens.consent import jws
from volens.consent.errors import InputError, TamperError
from volens.consent.json_reader import JsonError, read_json
from volens.consent.subject_key import SubjectPublicKey

MAX_AUTHENTICATOR_DATA_BYTES: Final = 1024
MAX_CLIENT_DATA_BYTES: Final = 4096
MAX_SIGNATURE_BYTES: Final = 512
_RP_ID_HASH_BYTES: Final = 32
_FIXED_BYTES: Final = 37
"""SHA-256 of the relying party id, flags, counter (section 6.1)."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_USER_PRESENT: Final = 0x01
_USER_VERIFIED: Final = 0x04
_BACKUP_ELIGIBLE: Final = 0x08
_BACKUP_STATE: Final = 0x10
_ATTESTED_DATA: Final = 0x40
_EXTENSION_DATA: Final = 0x80

_CBOR_MAP: Final = 5
_CBOR_1_BYTE: Final = 24
_CBOR_8_BYTES: Final = 27
"""The lengths that follow the first byte of an item: 1, 2, 4 or 8 bytes."""
_MAX_CBOR_DEPTH: Final = 4
"""Nesting that an authenticator may use (CTAP 2.1 section 8)."""
_OTHER_FORM: Final = "got a passkey's signature of another form; expected what navigator.credentials.get returned"


@final
@dataclass(frozen=True, slots=True)
class PasskeyAssertion:
    """What ``navigator.credentials.get`` returned: an AuthenticatorAssertionResponse. Parsed, not verified.

    Attributes:
        authenticator_data: 37 bytes, and extension data if a flag says so; at most 1 KiB.
        client_data_json: UTF-8, at most 4 KiB, byte for byte as the browser gave it.
        signature: at most 512 bytes.
        client: the parsed client data.
    """

    authenticator_data: bytes
    client_data_json: bytes
    signature: bytes
    client: Mapping[str, Any]

    @classmethod
    def parse(cls, authenticator_data: bytes, client_data_json: bytes, signature: bytes) -> Self:
        """Do steps 7 to 9: sizes, authenticator data, and client data as JSON.

        Raises:
            InputError: one is too long or too short, the client data is no JSON object, or has a member twice.
        """
        # 7.
        if (
            not _FIXED_BYTES <= len(authenticator_data) <= MAX_AUTHENTICATOR_DATA_BYTES
            or len(client_data_json) > MAX_CLIENT_DATA_BYTES
            or not 0 < len(signature) <= MAX_SIGNATURE_BYTES
            or _end_of_data(authenticator_data) != len(authenticator_data)
        ):
            raise InputError(_OTHER_FORM)
        # 8. and 9.
        try:
            client = read_json(client_data_json.removeprefix(_BYTE_ORDER_MARK))
        except JsonError:
            client = None
        if not isinstance(client, dict):
            raise InputError(_OTHER_FORM)
        return cls(authenticator_data, client_data_json, signature, client)

    @classmethod
    def from_json(cls, members: object) -> Self:
        """Read the three members, each in base64url without padding; there is no other.

        Raises:
            InputError: they have another form; see `parse`.
        """
        names = ("authenticator_data", "client_data_json", "signature")
        if not isinstance(members, dict) or members.keys() != set(names):
            raise InputError(_OTHER_FORM)
        values = [members[name] for name in names]
        if not all(isinstance(value, str) for value in values):
            raise InputError(_OTHER_FORM)
        return cls.parse(*map(jws.from_b64url, values))

    def to_json(self) -> dict[str, str]:
        """Return what `from_json` reads."""
        return {
            "authenticator_data": jws.b64url(self.authenticator_data),
            "client_data_json": jws.b64url(self.client_data_json),
            "signature": jws.b64url(self.signature),
        }

    def check_signature(self, key: SubjectPublicKey, document: bytes) -> None:
        """Check that the holder of `key` signed this document, present and verified (steps 10, 11, 16 to 21).

        Raises:
            TamperError: a step fails.
        """
        flags = self.authenticator_data[_RP_ID_HASH_BYTES]
        # 10.
        self._need(self.client.get("type") == "webauthn.get", "a signature for another operation than signing")
        # 11.
        challenge = self.client.get("challenge")
        expected = jws.b64url(sha256(document).digest())
        self._need(challenge == expected, "a signature over another text than this receipt")
        # 16. and 17.
        self._need(bool(flags & _USER_PRESENT), "a signature without the presence of the person")
        self._need(bool(flags & _USER_VERIFIED), "a signature without verification of the person (PIN, finger, face)")
        # 18. Whether a passkey is synchronised is the person's choice.
        self._need(bool(flags & _BACKUP_ELIGIBLE) or not flags & _BACKUP_STATE, "flags that contradict each other")
        self._need(not flags & _ATTESTED_DATA, "attested data, which belongs to a registration")
        # 20. and 21.
        key.check(self.signature, self.authenticator_data + sha256(self.client_data_json).digest())

    def check_relying_party(self, origin: str, relying_party_id: str) -> None:
        """Check that it was signed on the pages of one web site (steps 12 to 15).

        Raises:
            TamperError: a step fails.
        """
        # 12.
        self._need(self.client.get("origin") == origin, "a signature made on another web site than the receipt names")
        # 13. and 14. The pages are never shown in a frame of another site.
        is_framed = self.client.get("crossOrigin", False) is not False or "topOrigin" in self.client
        self._need(not is_framed, "a signature made in a frame of another web site")
        # 15.
        expected = sha256(relying_party_id.encode("ascii")).digest()
        self._need(
            compare_digest(self.authenticator_data[:_RP_ID_HASH_BYTES], expected),
            "a signature for another relying party than the receipt names",
        )

    @staticmethod
    def _need(holds: bool, otherwise: str) -> None:  # noqa: FBT001  a condition
        if not holds:
            raise TamperError(f"integrity: the passkey gave {otherwise}")


def _end_of_data(data: bytes) -> int:
    """Return where authenticator data ends by its own flags (section 6.1); -1 if it does not end within `data`.

    Extension data is one CBOR map. Its content is signed, is used for nothing, and is not read (step 23).
    """
    flags = data[_RP_ID_HASH_BYTES]
    if flags & _ATTESTED_DATA:
        return len(data)  # refused as a whole by `check_signature`
    if not flags & _EXTENSION_DATA:
        return _FIXED_BYTES
    try:
        return _end_of_item(data, _FIXED_BYTES, 0) if data[_FIXED_BYTES] >> 5 == _CBOR_MAP else -1
    except (IndexError, ValueError):
        return -1


def _end_of_item(data: bytes, at: int, depth: int) -> int:
    """Return where a CBOR item of definite length ends (RFC 8949 appendix C); it may end beyond `data`."""
    major, info = data[at] >> 5, data[at] & 0x1F
    at += 1
    size = 0 if info < _CBOR_1_BYTE else 1 << (info - _CBOR_1_BYTE)
    if info > _CBOR_8_BYTES or depth > _MAX_CBOR_DEPTH:
        raise ValueError
    value = int.from_bytes(data[at : at + size], "big") if size else info
    at += size
    match major:
        case 2 | 3:
            return at + value
        case 4 | 5 | 6:
            for _ in range({4: value, 5: 2 * value, 6: 1}[major]):
                at = _end_of_item(data, at, depth + 1)
            return at
        case _:
            return at
