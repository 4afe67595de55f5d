"""Who may what: one table of operations and roles, asked before anything of a request's body is looked at."""

import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, Final, Self, TypeAlias, final

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security.utils import get_authorization_scheme_param
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from volens.consent import RefusedError
from volens.service.http.app_state import AppState
from volens.service.http.rate_limits import rate_limit_key
from volens.service.oidc.issuer_token import ForeignRoleError
from volens.service.principal import Principal
from volens.store.programs import Role
from volens.store.programs.credentials import CREDENTIAL_PREFIX

WHO_MAY: Final[Mapping[str, frozenset[Role]]] = {
    "read_metrics": frozenset({Role.OPERATOR, Role.AUDITOR}),
    "identify": frozenset({Role.DOOR}),
    "verify": frozenset({Role.DOOR}),
    "stream": frozenset({Role.DOOR}),
    "pass_door": frozenset({Role.DOOR}),
    "list_zones": frozenset({Role.DESK, Role.PRIVACY_OFFICER, Role.AUDITOR, Role.OPERATOR}),
    "add_zone": frozenset({Role.OPERATOR}),
    "read_notice": frozenset({Role.DESK, Role.PRIVACY_OFFICER, Role.AUDITOR, Role.OPERATOR}),
    "publish_notice": frozenset({Role.OPERATOR}),
    "read_certificate": frozenset({Role.AUDITOR, Role.PRIVACY_OFFICER}),
    "give_consent": frozenset({Role.DESK}),
    "enroll": frozenset({Role.DESK}),
    "open_request": frozenset({Role.PRIVACY_OFFICER}),
    "list_requests": frozenset({Role.PRIVACY_OFFICER}),
    "read_request": frozenset({Role.PRIVACY_OFFICER}),
    "extend_request": frozenset({Role.PRIVACY_OFFICER}),
    "answer_request": frozenset({Role.PRIVACY_OFFICER}),
    "carry_out_request": frozenset({Role.PRIVACY_OFFICER}),
    "close_request": frozenset({Role.PRIVACY_OFFICER}),
    "plan_order": frozenset({Role.PRIVACY_OFFICER}),
    "read_dossier": frozenset({Role.PRIVACY_OFFICER, Role.AUDITOR}),
    "begin_job": frozenset({Role.PRIVACY_OFFICER, Role.OPERATOR, Role.AUDITOR}),
    "list_jobs": frozenset({Role.PRIVACY_OFFICER, Role.OPERATOR, Role.AUDITOR}),
    "read_job": frozenset({Role.PRIVACY_OFFICER, Role.OPERATOR, Role.AUDITOR}),
    "set_factor": frozenset({Role.DESK}),
    "remove_factor": frozenset({Role.DESK}),
    "verify_log": frozenset({Role.AUDITOR, Role.PRIVACY_OFFICER}),
    "read_checkpoint": frozenset({Role.AUDITOR, Role.PRIVACY_OFFICER}),
    "read_entries": frozenset({Role.AUDITOR, Role.PRIVACY_OFFICER}),
    "prove_inclusion": frozenset({Role.AUDITOR, Role.PRIVACY_OFFICER}),
    "prove_consistency": frozenset({Role.AUDITOR, Role.PRIVACY_OFFICER}),
}
"""Operations and the roles that may do them. What is in neither this nor `OPEN` nobody may do."""

OPEN: Final = frozenset({"healthz", "readyz", "withdraw", "ask_for_access", "revoke_by_hook"})
"""Operations without a credential. To withdraw is as easy as to consent: no login (GDPR 7(3)). Hooks are signed."""


class CredentialError(RefusedError):
    """No credential, or none that is in force. Unknown, wrong, ended and expired are one answer."""


class RateError(RefusedError):
    """Too often.

    Attributes:
        again_after_s: in how many seconds it will be answered again.
    """

    again_after_s = 1

    @classmethod
    def of(cls, wait_s: float) -> Self:
        """Refuse until some seconds have passed."""
        again_after_s = max(1, math.ceil(wait_s))
        error = cls(f"asked too often; ask again in {again_after_s} s")
        error.again_after_s = again_after_s
        return error


async def known(request: HTTPConnection, app_state: AppState) -> Principal:
    """Return a caller who may do this operation, in this zone, and count that they asked.

    Raises:
        CredentialError: nothing that is in force was shown.
        HTTPException: 403, the role or the zone is another.
        RateError: the caller asked too often.
        IssuerError: a token cannot be judged, for its issuer's keys are not to be had.
    """
    caller = await _shown(request, app_state)
    request.state.caller = caller  # told of in the log, also where what they asked is refused
    wait_s = app_state.credential_rates.take(caller.caller_id)
    if wait_s:
        raise RateError.of(wait_s)
    _check_may(request, caller)
    return caller


async def admitted(request: HTTPConnection, app_state: AppState) -> None:
    """Check that a caller who was known may still do this operation; it is not counted.

    Raises:
        CredentialError, HTTPException, IssuerError: see `known`.
    """
    _check_may(request, await _shown(request, app_state))


async def _shown(request: HTTPConnection, app_state: AppState) -> Principal:
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    if scheme.lower() != "bearer" or not token:
        raise CredentialError("got no credential; send one as 'Authorization: Bearer ...'")
    try:
        return await _principal(token, app_state)
    except ForeignRoleError:
        slow_down(request, app_state)
        raise HTTPException(403) from None
    except RefusedError:
        slow_down(request, app_state)
        raise CredentialError("got a credential that is not in force; ask the operator for a new one") from None


async def _principal(token: str, app_state: AppState) -> Principal:
    credentials = app_state.site.credentials
    if app_state.issuer is None or token.startswith(CREDENTIAL_PREFIX):
        return Principal.of(credentials.check(token))
    found = await app_state.issuer.vouched(token, credentials.now())
    return Principal(credentials.name_for(found.issuer, found.subject), found.role, found.purpose)


def _check_may(request: HTTPConnection, caller: Principal) -> None:
    operation = request.scope["route"].name
    zone = request.path_params.get("zone")
    if caller.role not in WHO_MAY.get(operation, frozenset()):
        raise HTTPException(403)
    if zone is not None and caller.purpose is not None and caller.purpose != zone:
        raise HTTPException(403)


def slow_down(request: HTTPConnection, app_state: AppState) -> None:
    """Count a request that needs no credential, or brought a wrong one, against the address it comes from.

    Raises:
        RateError: it came too often from there.
    """
    wait_s = app_state.address_rates.take(_address(request))
    if wait_s:
        raise RateError.of(wait_s)


def check_not_slowed(request: HTTPConnection, app_state: AppState) -> None:
    """Check that whatever `slow_down` counts has not come too often from an address, before anybody works for it.

    Raises:
        RateError: it has.
    """
    wait_s = app_state.address_rates.wait(_address(request))
    if wait_s:
        raise RateError.of(wait_s)


def _address(request: HTTPConnection) -> str:
    return rate_limit_key(request.client.host) if request.client else ""


@final
class GuardedRoute(APIRoute):
    """A route whose caller is known before one byte of the body is read, and that takes no parameter it does not know.

    A misspelt parameter would else be an answer to another question.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Ask who it is, then do what the route does."""
        handle = super().get_route_handler()
        parameters = {one.alias for one in self.dependant.query_params}

        async def guarded(request: Request) -> Response:
            await known(request, request.app.state.app_state)
            if request.query_params and not request.query_params.keys() <= parameters:
                raise HTTPException(422)
            return await handle(request)

        return guarded


async def _caller(request: Request) -> Principal:
    caller: Principal = request.state.caller
    return caller


Caller: TypeAlias = Annotated[Principal, Depends(_caller)]
"""Who asks. Only in routes of the class `GuardedRoute`."""
