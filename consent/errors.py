"""What can go wrong, named by who must act.

Every message says what was got, what was expected and what to do next. None may carry a vector, an
image, a key, a name or a withdrawal code: messages end up in logs and tickets.
"""


class VolensError(Exception):
    """Root of every error that Volens raises on purpose."""


class InputError(VolensError):
    """What the caller handed over cannot be used; the caller must change it."""


class UnknownError(InputError):
    """What is named is not there: a zone, a request, a certificate. Never said of a person or a consent."""


class RefusedError(VolensError):
    """Policy said no; nothing is wrong with the program or the data."""


class EnrollmentError(VolensError):
    """The photos cannot become a biometric reference; take better ones."""


class TamperError(VolensError):
    """A seal, a signature or a chain does not hold; stop and investigate."""


class ErasureIncompleteError(VolensError):
    """An erasure is under way but not finished; matching has already stopped."""


class UnavailableError(VolensError):
    """Something this machine must provide (disk, lock, keyring, model) is missing or refuses."""


class ReceiptError(InputError):
    """The receipt is malformed: it cannot be read as a signed Volens receipt."""


class ReceiptSignatureError(TamperError):
    """The receipt can be read, but it is not what the data subject signed."""


class ForeignReceiptError(RefusedError):
    """The receipt is for another site or another zone."""


class NoLiveConsentError(RefusedError):
    """No consent is in force. Unknown, withdrawn and erased are one answer, on purpose."""


class ConsentExpiredError(NoLiveConsentError):
    """The consent has run out."""


class ForgedGrantError(TypeError):
    """A capability was built outside the gate that mints it; a programming error."""
