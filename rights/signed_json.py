"""A JSON file with a signature as one of its members: a compact JWS over the SHA-256 of all others in canonical form.

White space and the order of members may change on the way, because a web server or an editor may rewrite the file; the
hash is of the canonical JSON (RFC 8785).
"""

from dataclasses import dataclass
from typing import Any, final

from volens.audit import VerifierKey, origin_of, refuse_other_origin
from volens.consent import InputError, SignedDocument, TamperError
from volens.consent.canonical import canonical_sha256
from volens.consent.json_reader import read_json


@final
@dataclass(frozen=True, slots=True)
class SignedJson:
    """A kind of such files.

    Attributes:
        kind: the signature, whose content is the hash.
        member: the member that has the signature.
        site: the member that has the id of the site.
        name: of the file in errors, such as "retention policy".
        short: the same in a few letters, such as "policy".
        objects: members that must be JSON objects.
    """

    kind: SignedDocument[str]
    member: str
    site: str
    name: str
    short: str
    objects: tuple[str, ...] = ()

    @property
    def other_form(self) -> InputError:
        """The error for a file that is none of this kind."""
        return InputError(f"this is not {self.kind.name}; {self.kind.advice}")

    def verify(self, data: bytes, key: VerifierKey) -> dict[str, Any]:
        """Return the members of a file but the signature, if the site that owns `key` signed every word of it.

        Raises:
            InputError: the file is none of this kind.
            WrongKeyError: it says that it is of another site.
            TamperError: it was changed.
        """
        if len(data) > self.kind.max_bytes:
            raise self.other_form
        try:
            document = read_json(data)
            token = document.pop(self.member)
            digest = canonical_sha256(document)
            has_form = all(isinstance(document[one], dict) for one in self.objects)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise self.other_form from None
        if not has_form or not isinstance(document, dict) or not isinstance(token, str):
            raise self.other_form
        try:
            signed = self.kind.verify(token, *key.public_keys)
        except TamperError:
            if isinstance(site_id := document.get(self.site), str):
                refuse_other_origin(f"this {self.short}", origin_of(site_id), key)
            raise
        if signed != digest:
            raise TamperError(f"integrity: the {self.name} is not the one that was signed; get it from the site again")
        return document
