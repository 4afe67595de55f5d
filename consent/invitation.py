"""An invitation: a link, for one use, to the pages on which a person reads the notice and says yes or no.

An invitation grants nothing by itself: a caller with its token may answer for the person until it expires. The token is
not stored. It is the invitation's random id and a keyed check of it, so a stolen data file opens no invitation, and an
invitation that has ended needs no digest to recognise its holder.
"""

import hmac
from enum import StrEnum
from typing import Final, Self, final

from volens.consent.errors import InputError, RefusedError, UnknownError
from volens.consent.in_process import InProcess
from volens.consent.jws import b64url, from_b64url
from volens.consent.reason import Reason

CHECK_BYTES: Final = 16
_ID_BYTES: Final = 16
PAGE: Final = "/invitation"
_UNKNOWN: Final = (
    "there is no such invitation; open the link exactly as you received it, or ask the people who invited you for a "
    "new one"
)


class InvitationState(StrEnum):
    """The state of an invitation."""

    OPEN = "open"
    USED = "used"
    REFUSED = "refused"
    """The person said no. Only counted: no row keeps whose invitation that was."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_ENDED: Final = {
    InvitationState.USED: "this invitation was used already; to see or end your consent, use the sheet that you took",
    InvitationState.CANCELLED: "this invitation was taken back, or a newer one replaced it; use the newest one",
    InvitationState.EXPIRED: "this invitation is over: its time has passed; ask for a new one if you want one",
}
_REASONS: Final = {
    InvitationState.USED: Reason.INVITATION_USED,
    InvitationState.CANCELLED: Reason.INVITATION_CANCELLED,
    InvitationState.EXPIRED: Reason.INVITATION_EXPIRED,
}


class InvitationEndedError(RefusedError):
    """The invitation has ended. Raised for a holder of its token only; `state` says how it ended."""

    def __init__(self, state: InvitationState) -> None:
        super().__init__(_ENDED[state], reason=_REASONS[state])
        self.state = state


class UnknownInvitationError(UnknownError):
    """There is no invitation with this token. A malformed, a wrong and a refused one give the same answer."""

    def __init__(self) -> None:
        super().__init__(_UNKNOWN)


@final
class InvitationToken(InProcess):
    """The secret of an invitation: 128 random bits (its id), and a keyed check of 128 bits; 43 characters of base64url.

    The check is made by `volens.store.people.invitation_rows`.
    """

    __slots__ = ("_check", "invitation_id")

    def __init__(self, invitation_id: str, check: bytes) -> None:
        self.invitation_id = invitation_id
        self._check = check

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a token, or a link that ends with one. Whether it belongs to an invitation is not checked.

        Raises:
            UnknownInvitationError: the text is not a token. The message does not repeat it.
        """
        try:
            raw = from_b64url(text.strip().rpartition("#")[2])
        except InputError:
            raise UnknownInvitationError from None
        if len(raw) != _ID_BYTES + CHECK_BYTES:
            raise UnknownInvitationError
        return cls(raw[:_ID_BYTES].hex(), raw[_ID_BYTES:])

    def reveal(self) -> str:
        """Return the token as text, to hand it over."""
        return b64url(bytes.fromhex(self.invitation_id) + self._check)

    def link(self, public_url: str) -> str:
        """Return the address of the pages. The token is in the fragment, which browsers do not send to servers."""
        return f"{public_url}{PAGE}#{self.reveal()}"

    def is_checked_by(self, check: bytes) -> bool:
        """Compare the check with the right one, in constant time."""
        return hmac.compare_digest(self._check, check)
