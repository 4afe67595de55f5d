"""Pages for members of staff: each kind of page needs a signed-in member of one role.

Without one the browser is sent to the sign-in, which leads back; a script gets 401. Scripts of these pages call the
operations under ``/v1``, which accept the same session (`volens.service.http.access`).
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, ClassVar, Final, TypeAlias, final
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from volens.service.http.access import CredentialError, limit_caller
from volens.service.http.staff_access import SignedInStaff
from volens.service.web.page_route import PageRoute, problem_page
from volens.store.programs import Role

_HTML: Final = "text/html"
SIGN_IN: Final = "/staff"
HOMES: Final[Mapping[Role, str]] = {Role.DESK: "/desk", Role.PRIVACY_OFFICER: "/officer", Role.OPERATOR: "/operator"}
"""The first page of each role."""


class StaffPageRoute(PageRoute):
    """A page for members of one role; its rate limit is the member's own."""

    role: ClassVar[Role | None] = None
    """None for members of every role."""

    def limit(self, request: Request) -> None:
        """Limit nothing here; `get_route_handler` limits the member."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, behind the check of the session and of the role."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            member = SignedInStaff.of(request)
            if member is None:
                super(StaffPageRoute, self).limit(request)
                if _HTML not in request.headers.get("Accept", ""):  # a script, which cannot follow to the sign-in
                    return await problem_page(request, CredentialError("this session has ended; sign in again"))
                return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': request.url.path})}", 303)
            request.state.caller = member.caller
            request.state.staff = member
            limit_caller(member.caller, request.app.state.app_state)
            if self.role not in {None, member.caller.role}:
                return await problem_page(request, HTTPException(403))
            return member.keep(request, await handle(request))

        return shown


@final
class DeskPageRoute(StaffPageRoute):
    """A page of the desk."""

    role = Role.DESK


@final
class OfficerPageRoute(StaffPageRoute):
    """A page of the privacy officer."""

    role = Role.PRIVACY_OFFICER


@final
class OperatorPageRoute(StaffPageRoute):
    """A page of the operator."""

    role = Role.OPERATOR


async def _staff(request: Request) -> SignedInStaff:
    member: SignedInStaff = request.state.staff
    return member


Staff: TypeAlias = Annotated[SignedInStaff, Depends(_staff)]
"""The member who is signed in. Only in routes of the classes of this module."""
