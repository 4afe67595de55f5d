"""Sessions of browsers: a sealed cookie for each kind of session, which scripts cannot read."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from fastapi import Request, Response

from volens.consent import RefusedError
from volens.service.http.app_state import AppState

_HOST_PREFIX: Final = "__Host-"
_NAME: Final = "volens_"


class SessionEndedError(RefusedError):
    """The browser holds no session of the kind that a page needs, or it has ended."""


def start_session(
    request: Request, response: Response, kind: str, facts: Mapping[str, str], lifetime: timedelta
) -> None:
    """Let a browser hold a session; it replaces the one of this kind (so a fixed session gains nothing).

    The cookie is sealed (`volens.store.programs.session_seals`), HttpOnly and SameSite=Strict, and Secure with the
    prefix ``__Host-`` unless the page came without TLS, which only browsers on this machine can do.
    """
    app_state: AppState = request.app.state.app_state
    text, _expires_at = app_state.site.programs.sessions.seal(kind, facts, lifetime)
    response.set_cookie(
        _cookie_name(request, kind),
        text,
        max_age=int(lifetime.total_seconds()),
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def open_session(request: Request, kind: str) -> dict[str, str] | None:
    """Return what the browser's session of this kind holds; None without one, or if it has ended."""
    app_state: AppState = request.app.state.app_state
    text = request.cookies.get(_cookie_name(request, kind))
    return None if text is None else app_state.site.programs.sessions.open(kind, text)


def end_session(request: Request, response: Response, kind: str) -> None:
    """Let a browser forget its session of this kind."""
    response.delete_cookie(
        _cookie_name(request, kind), path="/", secure=_is_secure(request), httponly=True, samesite="strict"
    )


def _cookie_name(request: Request, kind: str) -> str:
    # Browsers accept the prefix only from this very host, with Secure: no other host of the domain can set it.
    return f"{_HOST_PREFIX if _is_secure(request) else ''}{_NAME}{kind}"


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
