"""Session of a member of staff in a browser, and the caller that it stands for.

The session names the passkey that signed in. Each request reads the passkey and its credential anew, so that an ended
credential, or a recovery, ends the session. A session ends after `IDLE` without a page, and `MAX_SIGNED_IN` after the
sign-in at the latest.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from fastapi import Request, Response

from volens.consent import RefusedError, format_time, parse_time
from volens.service.http.app_state import AppState
from volens.service.http.web_session import end_session, open_session, start_session
from volens.service.principal import Principal

IDLE: Final = timedelta(minutes=30)
MAX_SIGNED_IN: Final = timedelta(hours=10)
"""A working day."""

_KIND: Final = "staff"
_PASSKEY: Final = "passkey"
_SINCE: Final = "since"


@final
@dataclass(frozen=True, slots=True)
class SignedInStaff:
    """A member of staff who is signed in.

    Attributes:
        caller: what authorisation depends on; the same as for the member's credential.
        label: what the site calls the member.
        passkey_id: the passkey that signed in, base64url.
        since: when it did.
    """

    caller: Principal
    label: str
    passkey_id: str
    since: datetime

    @classmethod
    def of(cls, request: Request) -> "SignedInStaff | None":
        """Return the member whose session the browser holds; None without one, or if it has ended."""
        facts = open_session(request, _KIND)
        if facts is None:
            return None
        app_state: AppState = request.app.state.app_state
        since = parse_time(facts[_SINCE])
        if since + MAX_SIGNED_IN <= app_state.site.now():
            return None
        try:
            found = app_state.site.programs.staff.passkey(facts[_PASSKEY])
        except RefusedError:
            return None
        return cls(Principal.of(found.credential), found.credential.label, found.passkey_id, since)

    def keep(self, request: Request, response: Response) -> Response:
        """Let the browser hold the session for `IDLE` from now on, and return the response."""
        app_state: AppState = request.app.state.app_state
        rest = min(IDLE, self.since + MAX_SIGNED_IN - app_state.site.now())
        start_session(request, response, _KIND, {_PASSKEY: self.passkey_id, _SINCE: format_time(self.since)}, rest)
        return response


def start_staff_session(request: Request, response: Response, passkey_id: str) -> None:
    """Let a browser hold the session of a passkey whose signature was just verified; it replaces any other."""
    app_state: AppState = request.app.state.app_state
    facts = {_PASSKEY: passkey_id, _SINCE: format_time(app_state.site.now())}
    start_session(request, response, _KIND, facts, IDLE)


def end_staff_session(request: Request, response: Response) -> None:
    """Sign out."""
    end_session(request, response, _KIND)
