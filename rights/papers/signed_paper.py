"""The signed file of a paper: its content as JSON, the SHA-256 of its other files, and the site's signature over both.

White space and the order of members may change on the way, because the hash is of the canonical JSON (RFC 8785).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, final

from volens.audit import VerifierKey
from volens.consent import SignedDocument, TamperError
from volens.consent.canonical import canonical_sha256
from volens.consent.signed_document import Signer
from volens.rights.signed_json import SignedJson

_SIGNATURE: Final = "signature"

PAPER: Final = SignedDocument(
    typ="volens-paper+jws",
    name="a paper",
    advice="use the JSON file of a paper as 'volens papers' writes it",
    read=lambda document, _token: str(document["paper_sha256"]),
    max_bytes=4 * 1024 * 1024,
)
_FILE: Final = SignedJson(PAPER, _SIGNATURE, "site", "paper", "paper", objects=("files",))


@final
@dataclass(frozen=True, slots=True)
class VerifiedPaper:
    """A paper whose signature holds.

    Attributes:
        files: the SHA-256 of each of its other files, by name.
    """

    content: Mapping[str, Any]
    files: Mapping[str, str]


def sign_paper(content: Mapping[str, Any], files: Mapping[str, bytes], key: Signer) -> bytes:
    """Return the signed file of a paper."""
    document = {**content, "files": {name: sha256(data).hexdigest() for name, data in files.items()}}
    token = PAPER.sign(key, {"version": PAPER.version, "paper_sha256": canonical_sha256(document)})
    return json.dumps({**document, _SIGNATURE: token}, indent=2, ensure_ascii=False).encode() + b"\n"


def verify_paper(data: bytes, key: VerifierKey) -> VerifiedPaper:
    """Return the paper of a signed file, if the site that owns `key` signed every word of it.

    Raises:
        InputError: the file is not a signed paper.
        WrongKeyError: the paper says that it is of another site.
        TamperError: it was changed.

    Not checked: its other files (`check_file`), and whether the site still is as the paper says.
    """
    document = _FILE.verify(data, key)
    return VerifiedPaper(document, {name: str(one) for name, one in document["files"].items()})


def check_file(paper: VerifiedPaper, name: str, data: bytes) -> None:
    """Refuse a file of a paper that is not the one that was signed with it.

    Raises:
        TamperError: it is another one, or the paper has no file of this name.
    """
    if paper.files.get(name) != sha256(data).hexdigest():
        raise TamperError(f"integrity: {name} is not the file that was signed; get it from the site again")
