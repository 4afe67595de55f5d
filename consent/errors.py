"""Exceptions, named by who must act.

Every message says what was got, what was expected and what to do next. None may carry a vector, an
image, a key, a name or a withdrawal code, because messages are copied into logs and tickets.
"""

from volens.consent.reason import Reason


class VolensError(Exception):
    """Root of every error that Volens raises on purpose.

    Attributes:
        reason: code of what is wrong, for pages in other languages; None where the class says it.
        number: of the photo or of the row of a table that it is about, from 1; None for no single one.
    """

    number: int | None = None

    def __init__(self, *args: object, reason: Reason | None = None) -> None:
        super().__init__(*args)
        self.reason = reason


class InputError(VolensError):
    """The input cannot be used; the caller must change it."""


class UnknownError(InputError):
    """The named thing does not exist: a zone, a request, a certificate. Never used for a person or a consent."""


class RefusedError(VolensError):
    """Policy refuses this; nothing is wrong with the program or the data."""


class EnrollmentError(VolensError):
    """The photos cannot become a biometric reference; take better ones."""


class TamperError(VolensError):
    """A seal, a signature or a chain does not hold; stop and investigate."""


class DamagedDataError(TamperError):
    """Rows of the site are damaged, missing or changed; what to do depends on where its databases are.

    Attributes:
        part: what is to be recovered: "data", "keyring", or the "secret" of a consent.
        advice: what the operator does. The engine in whose transaction it was found replaces it.
    """

    def __init__(self, problem: str, part: str = "data") -> None:
        super().__init__(problem, part)
        self.part = part
        self.advice = "restore the newest backup (docs/backup.md)"

    def __str__(self) -> str:
        """Return the sentence, with the advice at its end."""
        return f"integrity: {self.args[0]}; {self.advice}"


class WrongKeyError(TamperError):
    """A document says that another site signed it than the one whose public key was given; get the right key.

    It is a `TamperError`, because what the document says is not proved either: nothing is valid under this key.
    """


class ErasureIncompleteError(VolensError):
    """An erasure has begun but is not finished; matching has already stopped."""


class UnavailableError(VolensError):
    """A resource of this machine (disk, lock, keyring, model) is missing or refuses."""


class ZonePausedError(UnavailableError):
    """The operator paused this zone: nothing is matched or enrolled, and doors act as if the service were down."""


class ReceiptError(InputError):
    """The receipt is malformed: it cannot be read as a signed Volens receipt."""


class ReceiptSignatureError(TamperError):
    """The receipt is readable, but the data subject did not sign this text."""


class ForeignReceiptError(RefusedError):
    """The receipt is for another site or another zone."""


class NoLiveConsentError(RefusedError):
    """No consent is in force. Unknown, withdrawn and erased give the same answer, on purpose."""


class ConsentExpiredError(NoLiveConsentError):
    """The consent has expired."""


class ConsentRestrictedError(NoLiveConsentError):
    """The person has restricted the processing of their data (GDPR 18); nothing is matched or enrolled meanwhile."""


class ForgedGrantError(TypeError):
    """A capability was constructed outside the gate that mints it; a programming error."""
