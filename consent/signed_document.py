"""Signed documents: one type for every kind of compact JWS that Volens writes and reads.

A kind is declared once, with its ``typ``, its versions, its size limit and a pure function that reads its payload
(`RECEIPT`, `CERTIFICATE`, `PLAN` ...). The payload is canonical JSON (RFC 8785), so one document has one text.
Bytes that are damaged in any way give the one error that the kind declares, and no other.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volens.consent import jws
from volens.consent.canonical import loads_canonical
from volens.consent.errors import InputError, TamperError, VolensError
from volens.consent.json_reader import read_json
from volens.consent.plain_text import plain_bytes

Content = TypeVar("Content")
_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, RecursionError, InputError)
"""What a payload reader may raise about a payload of another form."""


class Signer(Protocol):
    """A holder of a private key: the site's keyring, a person's key, an operator's key."""

    def sign(self, payload: bytes, typ: str) -> str:
        """Sign a payload as a compact JWS."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument(Generic[Content]):
    """One kind of signed document.

    Attributes:
        typ: pinned in the JWS header, so a document of one kind never passes for another.
        name: with its article, for error messages: "an erasure certificate".
        advice: what the reader of an error message can do next.
        read: returns the content from the payload's JSON object and the token; it raises one of `_UNREADABLE` (or
            `TamperError`) for another form. Pure.
        versions: that `read` understands, the one written today last; empty if the kind carries none.
        version_member: where the payload has its version; a dot separates nested members.
        member: the JSON member of the file that has the token; None if the file is the bare token.
        list_member: the JSON member of the file that has a list of further tokens; None if it has none.
        evidence_member: the JSON member of the file that has unsigned evidence, which a reader verifies by itself; None
            if it has none.
        peek_payload: returns the payload of a token of this `typ` without checking its signature.
        list_required: whether `list_member` is also written when the list is empty.
        error: the bytes are not of this kind.
        signed_error: the signature holds, but the payload has another form.
        version_error: the signature holds, but the version is not one of `versions`.
    """

    typ: str
    name: str
    advice: str
    read: Callable[[dict[str, Any], str], Content]
    versions: tuple[int | str, ...] = (1,)
    version_member: str = "version"
    max_bytes: int = jws.MAX_TOKEN_BYTES
    member: str | None = None
    list_member: str | None = None
    list_required: bool = False
    evidence_member: str | None = None
    peek_payload: Callable[[str, str], bytes] = jws.peek
    error: type[VolensError] = InputError
    signed_error: type[VolensError] = TamperError
    version_error: type[VolensError] = TamperError

    @property
    def version(self) -> int | str:
        """The version that is written today."""
        return self.versions[-1]

    def sign(self, key: Signer, content: Mapping[str, Any]) -> str:
        """Return the token: `content` as canonical JSON, signed."""
        return key.sign(rfc8785.dumps(dict(content)), self.typ)

    def to_file(self, token: str, others: Sequence[str] = (), evidence: Mapping[str, object] | None = None) -> bytes:
        """Return the file of a token, in the only form that `from_file` reads."""
        if self.member is None:
            return token.encode("ascii") + b"\n"
        document: dict[str, object] = {self.member: token}
        if self.list_member is not None and (others or self.list_required):
            document[self.list_member] = list(others)
        if self.evidence_member is not None and evidence is not None:
            document[self.evidence_member] = dict(evidence)
        return json.dumps(document).encode("ascii") + b"\n"

    def from_file(self, data: bytes) -> tuple[str, list[str]]:
        """Return the token of a file and the further tokens in it; see `read_file`, which raises the same errors."""
        token, others, _evidence = self.read_file(data)
        return token, others

    def read_file(self, data: bytes) -> tuple[str, list[str], Any]:
        """Return the token of a file, the further tokens and the evidence in it, or None. No signature is checked.

        Raises:
            VolensError: `error`; the file is not byte for byte what `to_file` writes, except for a byte order mark and
                line ends of CR LF, which no document contains. Around a bare token, white space is allowed.
        """
        if len(data) > self.max_bytes:
            raise self._refusal(self.error, f"got {len(data)} bytes; expected at most {self.max_bytes}")
        data = plain_bytes(data)
        if self.member is None:
            try:
                return data.decode("ascii").strip(), [], None
            except UnicodeDecodeError:
                raise self._refusal(self.error, "not ASCII text") from None
        try:
            document = read_json(data)
            token, others = document[self.member], document.get(self.list_member, [])
            evidence = document.get(self.evidence_member)
            same = all(isinstance(one, str) for one in (token, *others))
            same = same and self.to_file(token, others, evidence) == data
        except _UNREADABLE:
            same = False
        if not same:
            raise self._refusal(self.error)
        return token, others, evidence

    def peek(self, token: str) -> Content:
        """Return the content of a token WITHOUT checking its signature.

        Raises:
            VolensError: `error`; the token is malformed, or its payload has another form or version.
        """
        return self._content(self._payload(token, None), token, self.error, self.error)

    def peek_json(self, token: str) -> dict[str, Any]:
        """Return the payload as JSON WITHOUT checking signature, version or form, to show what was signed.

        Raises:
            VolensError: `error`; the token is malformed, or its payload is not canonical JSON.
        """
        return self._object(self._payload(token, None), self.error)

    def verify(self, token: str, *public_keys: bytes) -> Content:
        """Return the content of a token that one of `public_keys` (Ed25519, 32 bytes each, at least one) signed.

        Nothing is read out of the payload before the signature holds.

        Raises:
            VolensError: `error`, the token is malformed; `signed_error` or `version_error`, see the attributes.
            TamperError: the signature is not by one of these keys over these bytes.
        """
        return self._content(self._payload(token, public_keys), token, self.signed_error, self.version_error)

    def verify_by(self, token: str, check: Callable[[str], bytes]) -> Content:
        """Return the content of a token, of which `check` returns the payload once its signature holds.

        Raises:
            VolensError: as `verify`; an `InputError` of `check` says that the token is malformed.
            TamperError: what `check` raised.
        """
        try:
            payload = check(token)
        except InputError as problem:
            raise self._refusal(self.error, str(problem)) from None
        return self._content(payload, token, self.signed_error, self.version_error)

    def _payload(self, token: str, public_keys: Sequence[bytes] | None) -> bytes:
        try:
            if public_keys is None:
                return self.peek_payload(token, self.typ)
            *others, last = (Ed25519PublicKey.from_public_bytes(one) for one in public_keys)
            for one in others:
                with suppress(TamperError):
                    return jws.verify(token, self.typ, one)
            return jws.verify(token, self.typ, last)
        except InputError as problem:
            raise self._refusal(self.error, str(problem)) from None

    def _object(self, payload: bytes, error: type[VolensError]) -> dict[str, Any]:
        try:
            document = loads_canonical(payload)
        except (ValueError, RecursionError):  # also NaN, numbers beyond 2**53 and lone surrogates
            raise self._refusal(error, "its payload is not canonical JSON (RFC 8785)") from None
        return document if isinstance(document, dict) else {}

    def _content(self, payload: bytes, token: str, error: type[VolensError], other: type[VolensError]) -> Content:
        document = self._object(payload, error)
        if self.versions and not self._is_readable(document):
            expected = " or ".join(repr(one) for one in self.versions)
            raise self._refusal(other, f"expected {self.version_member} {expected}")
        try:
            return self.read(document, token)
        except _UNREADABLE as problem:
            # Only our own messages are repeated: Python's may quote what the document says of a person.
            reason = str(problem) if isinstance(problem, VolensError) else None
            raise self._refusal(error, reason) from None

    def _is_readable(self, document: Any) -> bool:  # noqa: ANN401  a JSON value
        for name in self.version_member.split("."):
            document = document.get(name) if isinstance(document, dict) else None
        return not isinstance(document, bool) and document in self.versions

    def _refusal(self, error: type[VolensError], reason: str | None = None) -> VolensError:
        because = "" if reason is None else f" ({reason})"
        if issubclass(error, TamperError):
            return error(f"integrity: this does not have the form of {self.name}{because}; {self.advice}")
        return error(f"this is not {self.name}{because}; {self.advice}")
