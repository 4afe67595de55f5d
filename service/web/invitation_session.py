"""What a browser holds while its person follows an invitation: the token at first, the receipt and the code later.

The cookie is sealed: the code and the token are not readable in the browser, and the site keeps neither.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Self, TypeAlias, final

from fastapi import Depends, Request, Response

from volens.consent import NoLiveConsentError, ReceiptId, RefusedError, TakeHome, WithdrawalCode
from volens.consent.reason import Reason
from volens.service.http.access import limit_own_pages
from volens.service.http.app_state import AppState
from volens.service.http.same_origin import same_origin
from volens.service.http.web_session import SessionEndedError, end_session, open_session, start_session
from volens.service.web.page_route import PageRoute, problem_page

LIFETIME: Final = timedelta(hours=2)
"""Long enough to ask a colleague or to read the notice twice."""
_INVITED: Final = "invited"
_SIGNED: Final = "signed"


@final
@dataclass(frozen=True, slots=True)
class InvitedSession:
    """The person has opened the link, and has not answered yet."""

    token: str

    @classmethod
    async def of(cls, request: Request) -> Self:
        """Return the session of a request.

        Raises:
            SessionEndedError: there is none.
        """
        facts = open_session(request, _INVITED)
        if facts is None:
            raise SessionEndedError(
                "this page was opened too long ago; open the link of your invitation again",
                reason=Reason.INVITATION_PAGE_OLD,
            )
        return cls(facts["token"])

    def start(self, request: Request, response: Response) -> None:
        """Let the browser hold this session."""
        start_session(request, response, _INVITED, {"token": self.token}, LIFETIME)

    @staticmethod
    def end(request: Request, response: Response) -> None:
        """Let the browser forget it."""
        end_session(request, response, _INVITED)


@final
@dataclass(frozen=True, slots=True)
class SignedSession:
    """The person has signed: photos, trial and receipt follow."""

    receipt_id: ReceiptId
    code: str

    @classmethod
    async def of(cls, request: Request) -> Self:
        """Return the session of a request.

        Raises:
            SessionEndedError: there is none.
        """
        facts = open_session(request, _SIGNED)
        if facts is None:
            raise SessionEndedError(
                "this page was opened too long ago; the code on your receipt opens your data",
                reason=Reason.PAGE_TOO_OLD,
            )
        return cls(ReceiptId(facts["receipt_id"]), facts["code"])

    def start(self, request: Request, response: Response) -> None:
        """Let the browser hold this session."""
        start_session(request, response, _SIGNED, {"receipt_id": self.receipt_id, "code": self.code}, LIFETIME)

    def take_home(self, app_state: AppState) -> TakeHome:
        """Return the person's file once more: receipt, code and notice.

        Raises:
            SessionEndedError: the consent has ended, and its receipt is not kept.
        """
        try:
            return app_state.site.rights.own.take_home(self.receipt_id, WithdrawalCode.parse(self.code))
        except NoLiveConsentError:
            raise SessionEndedError(
                "this consent has ended; the code on your receipt opens its certificate", reason=Reason.CONSENT_OVER
            ) from None


Invited: TypeAlias = Annotated[InvitedSession, Depends(InvitedSession.of)]
Signed: TypeAlias = Annotated[SignedSession, Depends(SignedSession.of)]


@final
class SignedPageRoute(PageRoute):
    """A page or an action of a person who has signed; its rate limit is the person's own, not that of the address."""

    def limit(self, request: Request) -> None:
        """Apply the rate limit.

        Raises:
            RateError: the person, or without a session the address, exceeded it.
        """
        facts = open_session(request, _SIGNED)
        if facts is None:
            super().limit(request)
        else:
            limit_own_pages(ReceiptId(facts["receipt_id"]), request.app.state.app_state)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route: an action is admitted before its body, such as photos, is read."""
        handle = super().get_route_handler()

        async def admitted(request: Request) -> Response:
            if request.method == "POST":
                try:
                    await same_origin(request)
                    await SignedSession.of(request)
                except RefusedError as error:
                    return await problem_page(request, error)
            return await handle(request)

        return admitted
