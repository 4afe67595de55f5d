"""Refusals as people and programs read them: ``application/problem+json`` (RFC 9457), one sentence, one kind.

What the caller sent and does not fit the description is never repeated, nor a name or a code; an unknown word (a
zone, a jurisdiction) is.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import compile_path

from volens.consent import (
    EnrollmentError,
    ErasureIncompleteError,
    InputError,
    NoLiveConsentError,
    RefusedError,
    TamperError,
    UnavailableError,
    UnknownError,
    VolensError,
)
from volens.service.http.access import CredentialError, RateError
from volens.service.http.thread_pool import BusyError
from volens.service.oidc.issuer_discovery import IssuerError
from volens.service.webhooks.signatures import SignatureError, StaleError
from volens.store.programs.idempotency_store import ToldOnceError, UnderWayError

MEDIA_TYPE: Final = "application/problem+json"
KIND: Final = "urn:volens:problem:"
AGAIN_AFTER_S: Final = 2

_OTHER_METHOD: Final = 405
_CONFLICT: Final = 409
_UNAVAILABLE: Final = 503
# The first that fits counts.
_STATUS: Final[tuple[tuple[type[VolensError], int], ...]] = (
    (CredentialError, 401),
    (SignatureError, 401),
    (StaleError, 401),
    (RateError, 429),
    (UnderWayError, _CONFLICT),
    (ToldOnceError, _CONFLICT),
    (NoLiveConsentError, 404),
    (RefusedError, 403),
    (UnknownError, 404),
    (InputError, 422),
    (EnrollmentError, 422),
    (BusyError, _UNAVAILABLE),
    (ErasureIncompleteError, _UNAVAILABLE),
    (UnavailableError, _UNAVAILABLE),
    (TamperError, 500),
)
_HTTP: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad-request", "the request cannot be read; see the description in /openapi.json"),
    401: ("credential", "this needs a credential; send it as 'Authorization: Bearer ...'"),
    403: ("role", "this credential is for another role or zone; ask the operator for one that may do this"),
    404: ("not-found", "there is nothing at this address; see the description in /openapi.json"),
    405: ("method", "this address knows another method; see the description in /openapi.json"),
    408: ("slow-body", "the body came too slowly; send it again"),
    413: ("too-large", "the body is larger than this address takes; send a smaller photo"),
    415: ("media-type", "this address takes another media type; see the description in /openapi.json"),
    422: ("shape", "got a parameter in the query that is not known here; see the description in /openapi.json"),
}


# What pydantic calls it, in words that go before "at" and the place. Others are told by pydantic's own name.
_GOT: Final[Mapping[str, str]] = {
    "missing": "nothing",
    "extra_forbidden": "an unknown member",
    "json_invalid": "a body that is no JSON",
    "model_attributes_type": "no JSON object",
    "int_type": "no whole number",
    "int_parsing": "no whole number",
    "string_type": "no text",
    "string_too_long": "too long a text",
    "string_pattern_mismatch": "another form than is described",
    "bool_type": "neither true nor false",
    "bool_parsing": "neither true nor false",
    "list_type": "no list",
    "enum": "none of the words that are known",
    "greater_than_equal": "too small a number",
    "less_than_equal": "too large a number",
    "datetime_type": "no time such as 2026-11-24T12:00:00Z",
    "datetime_parsing": "no time such as 2026-11-24T12:00:00Z",
    "datetime_from_date_parsing": "no time such as 2026-11-24T12:00:00Z",
    "timezone_aware": "a time that does not say its zone (such as Z)",
}
# Their places are the caller's own words, or a position in a body that cannot be read.
_WITHOUT_PLACE: Final = frozenset({"extra_forbidden", "json_invalid"})


def problem(
    request: HTTPConnection, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return a refusal.

    Args:
        request: names the instance, so that whoever runs the service finds it in the log.
        status: of HTTP.
        kind: the last part of the type; the same for the same mistake.
        detail: one sentence: what was got, what was expected, what to do next.
        headers: to add.
    """
    content = {"type": f"{KIND}{kind}", "title": kind.replace("-", " "), "status": status, "detail": detail}
    content["instance"] = f"urn:volens:request:{getattr(request.state, 'request_id', 'unknown')}"
    return JSONResponse(content, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let an application answer every error of its own, of the framework and of a bug with a problem."""
    app.add_exception_handler(VolensError, _of_volens)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(Exception, _of_bug)


def status_of(error: VolensError) -> int:
    """Return the status that an error is answered with."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def kind_of(error: VolensError) -> str:
    """Return the kind of an error: its name, as words. No consent, one that ran out and an unknown one are the same."""
    name = NoLiveConsentError.__name__ if isinstance(error, NoLiveConsentError) else type(error).__name__
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name.removesuffix("Error")).lower()


async def _of_volens(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, VolensError):  # what the signature of a handler leaves open
        raise error
    return of_error(request, error)


def of_error(request: HTTPConnection, error: VolensError) -> JSONResponse:
    """Return the refusal that an error of ours becomes."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, RateError | IssuerError):
        headers["Retry-After"] = str(error.again_after_s)
    elif status == _UNAVAILABLE or isinstance(error, UnderWayError):
        headers["Retry-After"] = str(AGAIN_AFTER_S)
    elif isinstance(error, CredentialError):
        headers["WWW-Authenticate"] = 'Bearer realm="volens"'
    detail = _UNKNOWN if isinstance(error, NoLiveConsentError) else str(error)
    return problem(request, status, kind_of(error), detail, headers)


_UNKNOWN: Final = "no consent in force is known by this; whether there ever was one is not told here"


def of_status(request: HTTPConnection, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the refusal that a status of HTTP stands for."""
    kind, detail = _HTTP.get(status, ("http", "the request was refused; see the description in /openapi.json"))
    return problem(request, status, kind, detail, headers)


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):  # what the signature of a handler leaves open
        raise error
    headers = dict(error.headers or {})
    if error.status_code == _OTHER_METHOD:
        # The framework names the methods of one route only; an address can have several.
        headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    return of_status(request, error.status_code, headers)


def _methods_at(request: Request) -> set[str]:
    paths = request.app.openapi()["paths"].items()
    matching = (methods for path, methods in paths if compile_path(path)[0].match(request.url.path))
    return {method.upper() for methods in matching for method in methods}


async def _of_validation(request: Request, error: Exception) -> JSONResponse:
    # FastAPI's own answer repeats the input; here is only where it does not fit, and what is asked for there.
    places = [_place(one) for one in error.errors()] if isinstance(error, RequestValidationError) else []
    said = "; ".join(dict.fromkeys(places)) or "the request does not fit"
    return problem(request, 422, "shape", f"{said}; see the description in /openapi.json")


def _place(one: Mapping[str, Any]) -> str:
    kind = one["type"]
    parts = [] if kind in _WITHOUT_PLACE else [part for part in one["loc"] if part not in {"body", "path", "query"}]
    where = ".".join(str(part) for part in parts)
    said = _GOT.get(kind) or kind.replace("_", " ")
    return f"got {said} at {where}" if where else f"got {said}"


async def _of_bug(request: Request, error: Exception) -> JSONResponse:
    detail = f"internal error ({type(error).__name__}); this is a bug, please report it with the instance"
    return problem(request, 500, "internal", detail)
