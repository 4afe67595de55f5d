"""Session of a member of staff in a browser, and the caller that it stands for.

1. The session names the passkey that signed in. Each request reads the passkey and its credential anew, so that an
   ended credential, or a recovery, ends the session.
2. Or it holds what the house's issuer said of the member, who signed in there. The issuer cannot take that back, so
   such a session ends when a token of the issuer would, and when the service has no such issuer any more.
3. A session ends after `IDLE` without a page, and `MAX_SIGNED_IN` after the sign-in at the latest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, final

from fastapi import Request, Response

from volens.consent import Purpose, RefusedError, format_time, parse_time
from volens.service.http.app_state import AppState
from volens.service.http.web_session import end_session, open_session, start_session
from volens.service.oidc.issuer_token import VerifiedToken
from volens.service.principal import Principal
from volens.store.programs import Role

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
        label: what the site, or the issuer, calls the member.
        until: when the session ends at the latest.
        facts: what the session holds.
    """

    caller: Principal
    label: str
    until: datetime
    facts: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, request: Request) -> "SignedInStaff | None":
        """Return the member whose session the browser holds; None without one, or if it has ended."""
        facts = open_session(request, _KIND)
        if facts is None:
            return None
        app_state: AppState = request.app.state.app_state
        since = parse_time(facts[_SINCE])
        found = _by_passkey(app_state, facts, since) if _PASSKEY in facts else _by_issuer(app_state, facts, since)
        return None if found is None or found.until <= app_state.site.now() else found

    def keep(self, request: Request, response: Response) -> Response:
        """Let the browser hold the session for `IDLE` from now on, and return the response."""
        app_state: AppState = request.app.state.app_state
        start_session(request, response, _KIND, self.facts, min(IDLE, self.until - app_state.site.now()))
        return response


def start_passkey_session(request: Request, response: Response, passkey_id: str) -> None:
    """Let a browser hold the session of a passkey whose signature was just verified; it replaces any other."""
    _start(request, response, {_PASSKEY: passkey_id})


def start_issuer_session(request: Request, response: Response, token: VerifiedToken) -> None:
    """Let a browser hold the session of a member whose ID token was just verified; it replaces any other."""
    app_state: AppState = request.app.state.app_state
    caller_id = app_state.site.programs.credentials.name_for(token.issuer, token.subject)
    facts = {"issuer": token.issuer, "caller": caller_id, "role": token.role.value}
    facts |= {} if token.purpose is None else {"zone": token.purpose}
    facts |= {} if token.name is None else {"name": token.name}
    _start(request, response, facts)


def _start(request: Request, response: Response, facts: dict[str, str]) -> None:
    app_state: AppState = request.app.state.app_state
    start_session(request, response, _KIND, facts | {_SINCE: format_time(app_state.site.now())}, IDLE)


def end_staff_session(request: Request, response: Response) -> None:
    """Sign out."""
    end_session(request, response, _KIND)


def _by_passkey(app_state: AppState, facts: Mapping[str, str], since: datetime) -> SignedInStaff | None:
    try:
        found = app_state.site.programs.staff.passkey(facts[_PASSKEY])
    except RefusedError:
        return None
    return SignedInStaff(Principal.of(found.credential), found.credential.label, since + MAX_SIGNED_IN, facts)


def _by_issuer(app_state: AppState, facts: Mapping[str, str], since: datetime) -> SignedInStaff | None:
    issuer = app_state.staff_issuer
    if issuer is None or issuer.client.trust.issuer != facts["issuer"]:
        return None
    zone = facts.get("zone")
    caller = Principal(facts["caller"], Role(facts["role"]), None if zone is None else Purpose(zone))
    until = since + min(MAX_SIGNED_IN, issuer.client.trust.max_lifetime)
    return SignedInStaff(caller, facts.get("name", caller.caller_id), until, facts)
