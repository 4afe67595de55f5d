"""Errors as ``application/problem+json`` (RFC 9457): one sentence in ``detail``, one ``type`` for each mistake.

Invalid input, names and codes are never repeated; a well-formed but unknown word (a zone, a jurisdiction) is.
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
from volens.consent.errors import DamagedDataError, ReceiptSignatureError
from volens.enroll import RestrictionPendingError
from volens.erase import StopPendingError
from volens.service.http.access import CredentialError, RateError
from volens.service.http.bodies import DUPLICATE_MEMBER
from volens.service.http.thread_pool import BusyError
from volens.service.oidc.issuer_discovery import IssuerError
from volens.service.webhooks.signatures import SignatureError, StaleError
from volens.store.programs.idempotency_store import RequestInProgressError, ResponseUnavailableError

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:volens:problem:"
RETRY_AFTER_S: Final = 2

_METHOD_NOT_ALLOWED: Final = 405
_CONFLICT: Final = 409
_UNAVAILABLE: Final = 503
# The first class that fits decides.
_STATUS: Final[tuple[tuple[type[VolensError], int], ...]] = (
    (CredentialError, 401),
    (SignatureError, 401),
    (StaleError, 401),
    (RateError, 429),
    (RequestInProgressError, _CONFLICT),
    (ResponseUnavailableError, _CONFLICT),
    (NoLiveConsentError, 404),
    (RefusedError, 403),
    (UnknownError, 404),
    (InputError, 422),
    (EnrollmentError, 422),
    (ReceiptSignatureError, 422),  # of a receipt that was sent; one that is stored gives another TamperError
    (BusyError, _UNAVAILABLE),
    (ErasureIncompleteError, _UNAVAILABLE),
    (UnavailableError, _UNAVAILABLE),
    (TamperError, 500),
)
_HTTP: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad-request", "the request cannot be parsed; see the description in /openapi.json"),
    401: ("credential", "this operation needs a credential; send it as 'Authorization: Bearer ...'"),
    403: ("role", "this credential is for another role or zone; ask the operator for one that is allowed to do this"),
    404: ("not-found", "there is nothing at this address; see the description in /openapi.json"),
    405: ("method", "this address does not support this method; see the description in /openapi.json"),
    408: ("slow-body", "the request body arrived too slowly; send it again"),
    413: ("too-large", "the request body is larger than this address accepts; send a smaller photo"),
    415: ("media-type", "this address expects another media type; see the description in /openapi.json"),
    422: ("shape", "got an unknown query parameter; see the description in /openapi.json"),
}
_NO_CONSENT: Final = "there is no live consent for this; the answer is the same whether or not there ever was one"


# Pydantic's error types, or their first word, in words that fit between "got" and "at". Others keep their own name.
_GOT: Final[Mapping[str, str]] = {
    "missing": "nothing",
    "extra_forbidden": "an unknown member",
    "json_invalid": "a body that is not JSON",
    "json_duplicate": "a JSON object that has one member twice",
    "model_attributes_type": "a value that is not a JSON object",
    "int": "a value that is not a whole number",
    "string_type": "a value that is not text",
    "string_too_long": "a text that is too long",
    "string_pattern_mismatch": "a text that does not match the described pattern",
    "bool": "a value that is neither true nor false",
    "list_type": "a value that is not a list",
    "enum": "an unknown word",
    "greater_than_equal": "a number that is too small",
    "less_than_equal": "a number that is too large",
    "datetime": "a value that is not a time such as 2026-11-24T12:00:00Z",
    "timezone_aware": "a time without a time zone (such as Z)",
}
# The location of these is the caller's own text, or a position in a body that cannot be parsed.
_WITHOUT_LOCATION: Final = frozenset({"extra_forbidden", "json_invalid", "json_duplicate"})


def install(app: FastAPI) -> None:
    """Let an application answer every error of our own, of the framework and of a bug with a problem."""
    app.add_exception_handler(VolensError, _of_error)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(Exception, _of_bug)


def kind_of(error: VolensError) -> str:
    """Return the last part of a problem's type: the name of the error in words.

    No consent, an expired consent and an unknown person give the same kind; so do damaged rows and other broken seals.
    """
    name = type(error).__name__
    if isinstance(error, NoLiveConsentError):
        name = NoLiveConsentError.__name__
    elif isinstance(error, DamagedDataError):
        name = TamperError.__name__
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name.removesuffix("Error")).lower()


def reason_of(error: VolensError) -> dict[str, str | int]:
    """Return the code of what is wrong and the number of the photo or row, as members of a problem, where known."""
    if error.reason is None or isinstance(error, NoLiveConsentError):
        return {}
    return {"reason": error.reason.value} | ({} if error.number is None else {"number": error.number})


def problem_of(request: HTTPConnection, error: VolensError | HTTPException) -> dict[str, Any]:
    """Return the problem of an error; its ``instance`` names the request, so that the operator finds it in the log."""
    if isinstance(error, HTTPException):
        status = error.status_code
        kind, detail = _HTTP.get(status, ("http", "the request was refused; see the description in /openapi.json"))
        return _problem(request, status, kind, detail)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    detail = _NO_CONSENT if isinstance(error, NoLiveConsentError) else str(error)
    problem = _problem(request, status, kind_of(error), detail) | reason_of(error)
    if isinstance(error, StopPendingError | RestrictionPendingError):
        answers = error.answers
        problem |= {
            "committed": False,
            "stopped_here": True,
            "stopped_elsewhere": answers.confirmed,
            "unconfirmed": [*answers.unconfirmed],
        }
    return problem


def problem_response(request: HTTPConnection, error: VolensError | HTTPException) -> JSONResponse:
    """Return the response of an error."""
    problem = problem_of(request, error)
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        headers |= error.headers or {}
    elif isinstance(error, RateError | IssuerError):
        headers["Retry-After"] = str(error.again_after_s)
    elif problem["status"] == _UNAVAILABLE or isinstance(error, RequestInProgressError):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    elif isinstance(error, CredentialError):
        headers["WWW-Authenticate"] = 'Bearer realm="volens"'
    return _response(problem, headers)


async def _of_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, VolensError | HTTPException):  # never: Starlette types all handlers for `Exception`
        raise error
    return problem_response(request, error)


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    response = await _of_error(request, error)
    if response.status_code == _METHOD_NOT_ALLOWED:
        # Starlette lists the methods of one route only; an address can have several.
        response.headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    return response


def _methods_at(request: Request) -> set[str]:
    paths, asked = request.app.openapi()["paths"], request.url.path
    # A path without parameters goes before one with parameters that it matches too.
    matching = [asked] if asked in paths else [path for path in paths if compile_path(path)[0].match(asked)]
    return {method.upper() for path in matching for method in paths[path]}


async def _of_validation(request: Request, error: Exception) -> JSONResponse:
    # FastAPI's own response repeats the input; this one has only the location and what was wrong there.
    mistakes = [_mistake(one) for one in error.errors()] if isinstance(error, RequestValidationError) else []
    sentence = "; ".join(dict.fromkeys(mistakes)) or "the request does not match"
    return _response(_problem(request, 422, "shape", f"{sentence}; see the description in /openapi.json"))


def _mistake(one: Mapping[str, Any]) -> str:
    kind = "json_duplicate" if one.get("ctx", {}).get("error") == DUPLICATE_MEMBER else one["type"]
    parts = [] if kind in _WITHOUT_LOCATION else [part for part in one["loc"] if part not in {"body", "path", "query"}]
    got = f"got {_GOT.get(kind) or _GOT.get(kind.partition('_')[0]) or kind.replace('_', ' ')}"
    return f"{got} at {'.'.join(map(str, parts))}" if parts else got


async def _of_bug(request: Request, error: Exception) -> JSONResponse:
    detail = f"internal error ({type(error).__name__}); this is a bug, please report it with the instance"
    return _response(_problem(request, 500, "internal", detail))


def _problem(request: HTTPConnection, status: int, kind: str, detail: str) -> dict[str, Any]:
    content = {"type": f"{TYPE_PREFIX}{kind}", "title": kind.replace("-", " "), "status": status, "detail": detail}
    return content | {"instance": f"urn:volens:request:{getattr(request.state, 'request_id', 'unknown')}"}


def _response(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(problem, problem["status"], headers, MEDIA_TYPE)
