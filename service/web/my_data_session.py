"""Session of a person on the pages about their own data: opened with a code or receipt, for 15 minutes since last use.

The session holds the id of the consent whose code or receipt was shown, and the code itself, sealed: the site keeps
only its digest, and the person wants to save the take-home file again.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Final, TypeAlias, final

from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from volens.consent import ReceiptId, WithdrawalCode
from volens.consent.reason import Reason
from volens.service.http.bodies import JsonRoute
from volens.service.http.same_origin import same_origin
from volens.service.http.web_session import SessionEndedError, open_session, start_session
from volens.service.web.page_route import PageRoute

KIND: Final = "me"
LIFETIME: Final = timedelta(minutes=15)
ENTRY: Final = "/me"


@final
@dataclass(frozen=True, slots=True)
class OwnSession:
    """A session of the person whose code or receipt was checked; `code` is None if it was a receipt without one."""

    shown: ReceiptId
    code: WithdrawalCode | None = field(default=None, repr=False)

    @classmethod
    def of(cls, request: Request) -> "OwnSession | None":
        """Return the session that the browser holds; None without one."""
        facts = open_session(request, KIND)
        if facts is None:
            return None
        code = facts.get("code")
        return cls(ReceiptId(facts["receipt_id"]), None if code is None else WithdrawalCode.parse(code))

    def keep(self, request: Request, response: Response) -> Response:
        """Let the browser hold this session for `LIFETIME` from now on, and return the response."""
        facts = {"receipt_id": str(self.shown)}
        if self.code is not None:
            facts["code"] = self.code.reveal()
        start_session(request, response, KIND, facts, LIFETIME)
        return response

    def answer(self, request: Request, content: dict[str, Any], status: int = 200) -> Response:
        """Return JSON for the script of a page, and keep the session."""
        return self.keep(request, JSONResponse(content, status))


async def _own_session(request: Request) -> OwnSession:
    session = OwnSession.of(request)
    if session is None:
        raise SessionEndedError(
            "this page was closed after 15 minutes; enter the code again", reason=Reason.MY_DATA_CLOSED
        )
    return session


Mine: TypeAlias = Annotated[OwnSession, Depends(_own_session)]
"""The session of the person who asks."""


@final
class OwnPageRoute(PageRoute):
    """A page that needs a session of a person; without one the browser is sent to where the code is entered.

    A right code is never rate-limited, so neither is the page that it opens.
    """

    def limit(self, request: Request) -> None:
        """Limit nothing; `get_route_handler` has checked the session."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            if OwnSession.of(request) is None:
                return RedirectResponse(f"{ENTRY}?closed=1", 303)
            return await handle(request)

        return shown


@final
class OwnActionRoute(JsonRoute):
    """An action of the person: where it comes from, and the session, are checked before the body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, behind these checks."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            await same_origin(request)
            await _own_session(request)
            return await handle(request)

        return checked
