"""Session of a kiosk: a browser beside a door that was paired with the door's credential. It may only ask that door.

1. The link of the pairing has the credential's token in its fragment, which no server sees. The page sends it once.
2. The session holds the id of the credential, not the token: a stolen cookie is no credential for programs.
3. Each request checks the credential anew, so that its revocation or expiry ends the session.
"""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final, final

from fastapi import Request, Response

from volens.consent import RefusedError
from volens.service.http.access import CredentialError, limit_address, limit_caller
from volens.service.http.app_state import AppState
from volens.service.http.bodies import JsonRoute
from volens.service.http.same_origin import same_origin
from volens.service.http.web_session import open_session, start_session
from volens.service.principal import Principal
from volens.store.programs import Credential, Role

MAX_LIFETIME: Final = timedelta(days=400)
"""Browsers keep no cookie for longer (RFC 6265bis, section 5.5)."""

_KIND: Final = "kiosk"
_CREDENTIAL: Final = "credential"
_POST: Final = "POST"


def pair(request: Request, response: Response, token: str, zone: str) -> None:
    """Let a browser hold the session of a zone's kiosk; `token` is that of a door's credential.

    Raises:
        CredentialError: the token is of no credential in force, or not of a door of this zone.
        RateError: too many wrong tokens came from this address.
    """
    app_state: AppState = request.app.state.app_state
    limit_address(request, app_state, count=False)
    try:
        credential = app_state.site.programs.credentials.check(token)
    except RefusedError:
        credential = None
    if credential is None or not _opens(credential, zone):
        limit_address(request, app_state)
        raise CredentialError("this link is not in force for this door; ask the operator for a new one")
    request.state.caller = Principal.of(credential)
    lifetime = min(MAX_LIFETIME, credential.expires_at - app_state.site.now())
    start_session(request, response, _KIND, {_CREDENTIAL: credential.credential_id}, lifetime)


def paired_door(request: Request, zone: str) -> Principal | None:
    """Return the door that a browser was paired with; None if it is not paired with this zone, or not any more."""
    app_state: AppState = request.app.state.app_state
    facts = open_session(request, _KIND)
    if facts is None:
        return None
    try:
        credential = app_state.site.programs.credentials.in_force(facts.get(_CREDENTIAL, ""))
    except RefusedError:
        return None
    return Principal.of(credential) if _opens(credential, zone) else None


@final
class KioskRoute(JsonRoute):
    """A route for a paired kiosk: checked before the body is read, and limited like any other door."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, behind these checks."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            app_state: AppState = request.app.state.app_state
            if request.method == _POST:
                await same_origin(request)
            door = paired_door(request, request.path_params["zone"])
            if door is None:
                limit_address(request, app_state)
                raise CredentialError("this browser is not paired with this door; open the operator's link again")
            request.state.caller = door
            limit_caller(door, app_state)
            return await handle(request)

        return guarded


def _opens(credential: Credential, zone: str) -> bool:
    return credential.role is Role.DOOR and credential.purpose == zone
