"""Whose document it is, by what it says itself: tells a wrong public key from a document that was changed.

Called only where a signature by the caller's key does not hold. What a document says of its signer is not proved, so
the answer is never that it is valid; it says which key to try.
"""

from volens.audit.checkpoint import named_signers
from volens.audit.verifier_key import VerifierKey
from volens.consent.errors import WrongKeyError


def origin_of(site_id: str) -> str:
    """Return the name of a site's log, which its verifier key carries too."""
    return f"volens/{site_id}"


def refuse_other_signer(what: str, note: str, key: VerifierKey) -> None:
    """Raise if a document has a signed note (a checkpoint) that names another key than the site's keys.

    `what` is the document, as in "this certificate". A note that contradicts itself names no key.

    Raises:
        WrongKeyError: names both keys, by the names of their logs and their key ids.
    """
    named = named_signers(note)
    known = {(key.name, one.key_id) for one in key.epochs()}
    if not named or known.intersection(named):
        return
    name, key_id = named[0]
    if name == key.name:
        raise _unknown_key(what, name, key_id)
    raise _wrong_key(what, f"{name} with key {key_id.hex()}", key)


def refuse_other_key(what: str, text: str, key: VerifierKey) -> None:
    """Raise if a document carries the public key of another site, as the text of ``site.pub`` or its first line.

    Raises:
        WrongKeyError: as `refuse_other_signer`, also if the text has a later key of the same site.
        InputError, TamperError: the text is no public key.
    """
    other = VerifierKey.parse(text)
    if other.line() != key.line():
        raise _wrong_key(what, f"{other.name} with key {other.key_id.hex()}", key)
    if len(other.successions) > len(key.successions):
        raise _unknown_key(what, other.name, other.newest.key_id)


def refuse_other_origin(what: str, origin: str, key: VerifierKey) -> None:
    """Raise if a document names the log of another site.

    Raises:
        WrongKeyError: names both logs.
    """
    if origin != key.name:
        raise _wrong_key(what, origin, key)


def _unknown_key(what: str, name: str, key_id: bytes) -> WrongKeyError:
    return WrongKeyError(
        f"{what} is signed with key {key_id.hex()} of {name}, which the public key file does not have; if the site has "
        "replaced its key since, get its newest site.pub, whose first line is the one that you have"
    )


def _wrong_key(what: str, signer: str, key: VerifierKey) -> WrongKeyError:
    return WrongKeyError(
        f"{what} is of another site than the public key: it says that it was signed by {signer}; the public key is of "
        f"{key.name} with key {key.key_id.hex()}; use the site.pub of the site that issued it"
    )
