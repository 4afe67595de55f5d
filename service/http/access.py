"""Authentication, authorization and rate limits; all are checked before the request body is read."""

import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, Final, TypeAlias, final

from fastapi import Depends, Request, Response
from fastapi.security.utils import get_authorization_scheme_param
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from volens.consent import Purpose, ReceiptId, RefusedError, UnknownError, parse_purpose
from volens.consent.typed_text import comparison_key
from volens.service.http.app_state import AppState
from volens.service.http.bodies import JsonRoute
from volens.service.http.rate_limits import rate_limit_key
from volens.service.http.same_origin import same_origin
from volens.service.http.staff_access import SignedInStaff
from volens.service.oidc.issuer_token import ForeignRoleError
from volens.service.principal import Principal
from volens.store.programs import Role
from volens.store.programs.credentials import CREDENTIAL_PREFIX

ALLOWED_ROLES: Final[Mapping[str, frozenset[Role]]] = {
    operation: frozenset(roles)
    for roles, operations in (
        ({Role.DOOR}, ("identify", "verify", "pass_door", "stream", "report_door", "ask_lease", "acknowledge_lease")),
        ({Role.DOOR}, ("deliver_decisions",)),
        ({Role.DESK}, ("offer_consent", "give_consent", "count_refusal", "enroll", "set_factor", "remove_factor")),
        ({Role.DESK, Role.OPERATOR, Role.PRIVACY_OFFICER}, ("list_people", "show_person", "find_people")),
        ({Role.DESK}, ("offer_renewal", "renew_consent", "correct_name", "change_photos", "reissue_code")),
        ({Role.DESK}, ("restrict_consent", "resume_consent")),
        ({Role.DESK}, ("invite", "list_invitations", "resend_invitation", "cancel_invitation", "import_invitations")),
        ({Role.OPERATOR}, ("add_zone", "publish_notice", "rename_zone", "set_zone_fpir", "set_zone_state")),
        ({Role.OPERATOR}, ("set_zone_trigger",)),
        ({Role.OPERATOR}, ("set_zone_liveness", "set_zone_lease")),
        ({Role.OPERATOR}, ("list_credentials", "end_credential", "link_kiosk")),
        ({Role.OPERATOR}, ("list_staff", "add_staff", "recover_staff")),
        ({Role.OPERATOR, Role.AUDITOR}, ("read_metrics",)),
        ({Role.OPERATOR, Role.PRIVACY_OFFICER}, ("read_fleet",)),
        ({Role.OPERATOR, Role.AUDITOR, Role.DESK, Role.PRIVACY_OFFICER}, ("list_zones", "read_notice")),
        ({Role.PRIVACY_OFFICER}, ("open_request", "list_requests", "read_request", "extend_request", "answer_request")),
        ({Role.PRIVACY_OFFICER}, ("carry_out_request", "close_request", "plan_order")),
        ({Role.PRIVACY_OFFICER}, ("propose_order", "list_orders", "read_order", "approve_order")),
        ({Role.PRIVACY_OFFICER}, ("list_unanswered", "retry_message")),
        ({Role.PRIVACY_OFFICER}, ("find_certificates",)),
        ({Role.PRIVACY_OFFICER, Role.AUDITOR}, ("list_certificates",)),
        ({Role.PRIVACY_OFFICER, Role.AUDITOR}, ("read_certificate", "read_dossier", "verify_log", "read_checkpoint")),
        ({Role.PRIVACY_OFFICER, Role.AUDITOR}, ("read_entries", "prove_inclusion", "prove_consistency")),
        ({Role.PRIVACY_OFFICER, Role.AUDITOR, Role.OPERATOR}, ("begin_job", "list_jobs", "read_job")),
    )
    for operation in operations
}
"""The roles that may call each operation. An operation that is neither here nor in `PUBLIC_OPERATIONS` is refused."""


class CredentialError(RefusedError):
    """No valid credential was sent. Unknown, wrong, ended and expired credentials give the same error."""


class RateError(RefusedError):
    """The caller exceeded its rate limit.

    Attributes:
        again_after_s: seconds until the caller may retry.
    """

    again_after_s = 1


async def authenticate(request: HTTPConnection, app_state: AppState) -> Principal:
    """Return the caller, if it may call this operation in this zone; the request counts for its rate limit.

    Raises:
        CredentialError: no valid credential or token was sent.
        HTTPException: 403, the caller has another role or zone.
        RateError: the caller exceeded its rate limit.
        IssuerError: a token cannot be verified, because the issuer's keys are not available.
    """
    caller = await _authenticated(request, app_state)
    request.state.caller = caller  # before the checks, so that the log names the caller of a refused request too
    limit_caller(caller, app_state)
    _check_allowed(request, caller)
    return caller


async def check_still_allowed(request: HTTPConnection, app_state: AppState) -> None:
    """Check an authenticated caller again; this does not count for its rate limit.

    Raises:
        CredentialError, HTTPException, IssuerError: see `authenticate`.
    """
    _check_allowed(request, await _authenticated(request, app_state))


async def _authenticated(request: HTTPConnection, app_state: AppState) -> Principal:
    if isinstance(request, Request) and "Authorization" not in request.headers:
        member = SignedInStaff.of(request)
        if member is not None:
            await same_origin(request)  # browsers send the cookie by themselves, a credential they do not
            return member.caller
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    if scheme.lower() != "bearer" or not token:
        raise CredentialError("got no credential; send one as 'Authorization: Bearer ...'")
    try:
        return await _principal(token, app_state)
    except ForeignRoleError:
        limit_address(request, app_state)
        raise HTTPException(403) from None
    except RefusedError:
        limit_address(request, app_state)
        raise CredentialError("got a credential that is not valid; ask the operator for a new one") from None


async def _principal(token: str, app_state: AppState) -> Principal:
    credentials = app_state.site.programs.credentials
    if app_state.issuer is None or token.startswith(CREDENTIAL_PREFIX):
        if app_state.credential_pool is None:
            return Principal.of(credentials.check(token))
        # A server that does not answer must not stop the event loop, and with it every other request.
        return Principal.of(await app_state.credential_pool.run(lambda: credentials.check(token)))
    found = await app_state.issuer.verify(token, app_state.site.now())
    return Principal(credentials.name_for(found.issuer, found.subject), found.role, found.purpose)


def _check_allowed(request: HTTPConnection, caller: Principal) -> None:
    operation = request.scope["route"].name
    zone = request.path_params.get("zone")
    is_other_zone = zone is not None and caller.purpose is not None and caller.purpose != zone
    if is_other_zone or caller.role not in ALLOWED_ROLES.get(operation, frozenset()):
        raise HTTPException(403)
    if zone is not None and zone != comparison_key(zone):
        # Elsewhere `Lobby` is read as `lobby`; an address is compared as it is, with what a credential is for.
        raise UnknownError("there is no zone of this name; in an address, the name of a zone has small letters only")


def visible_zone(caller: Principal, asked: str | None) -> Purpose | None:
    """Return the zone that a caller of a list sees: the one asked for, else its own; None for all.

    Raises:
        InputError: it is no name of a zone.
        HTTPException: 403, the caller has another zone.
    """
    zone = None if asked is None else parse_purpose(asked)
    if None not in {zone, caller.purpose} and zone != caller.purpose:
        raise HTTPException(403)
    return zone or caller.purpose


def limit_caller(caller: Principal, app_state: AppState) -> None:
    """Apply the rate limit of an authenticated caller.

    Raises:
        RateError: the caller exceeded the limit.
    """
    _limit(app_state.caller_limiter.take(caller.caller_id))


def limit_own_pages(receipt_id: ReceiptId, app_state: AppState) -> None:
    """Apply the rate limit of a caller to a person on their own pages: people at one address do not share it.

    Raises:
        RateError: the person exceeded the limit.
    """
    _limit(app_state.caller_limiter.take(f"consent {receipt_id}"))


def limit_address(request: HTTPConnection, app_state: AppState, *, count: bool = True) -> None:
    """Apply the rate limit of the client's address: for requests without a credential, or with an invalid one.

    With `count=False` the request does not count; the limit is checked before any work is done for the request.

    Raises:
        RateError: the address exceeded the limit.
    """
    _limit(app_state.address_limiter.take(_address_of(request), count=count))


def limit_consent(receipt_id: ReceiptId, app_state: AppState) -> None:
    """Apply the rate limit of one consent, whose code or receipt was shown: people at one address do not share it.

    Raises:
        RateError: it was shown too often.
    """
    _limit(app_state.address_limiter.take(f"consent {receipt_id}"))


def limit_log_reader(request: HTTPConnection, app_state: AppState) -> None:
    """Apply the rate limit of readers of the public log; it takes nothing from the limit of people who withdraw.

    Raises:
        RateError: the address exceeded the limit.
    """
    _limit(app_state.log_reader_limiter.take(_address_of(request)))


def _address_of(request: HTTPConnection) -> str:
    return rate_limit_key(request.client.host) if request.client else ""


def _limit(wait_s: float) -> None:
    if wait_s:
        again_after_s = max(1, math.ceil(wait_s))
        error = RateError(f"too many requests; retry in {again_after_s} s")
        error.again_after_s = again_after_s
        raise error


@final
class GuardedRoute(JsonRoute):
    """A route that authenticates the caller before it reads the body, and refuses unknown query parameters.

    They are refused because a misspelt parameter would return the answer to a different question.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, behind these checks."""
        handle = super().get_route_handler()
        parameters = {one.alias for one in self.dependant.query_params}

        async def guarded(request: Request) -> Response:
            await authenticate(request, request.app.state.app_state)
            if request.query_params and not request.query_params.keys() <= parameters:
                raise HTTPException(422)
            return await handle(request)

        return guarded


async def _caller(request: Request) -> Principal:
    caller: Principal = request.state.caller
    return caller


Caller: TypeAlias = Annotated[Principal, Depends(_caller)]
"""The authenticated caller. Only in routes of the class `GuardedRoute`."""
