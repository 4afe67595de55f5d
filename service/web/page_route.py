"""A route of pages: errors become a page, and anonymous readers are rate-limited."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from volens.consent import VolensError
from volens.service.http.access import limit_log_reader
from volens.service.http.app_state import AppState
from volens.service.http.bodies import JsonRoute
from volens.service.http.problems import problem_of, problem_response
from volens.service.web.page_response import render

_HTML: Final = "text/html"


class PageRoute(JsonRoute):
    """A route that answers a browser: an error is shown as a page, unless a script asked for JSON."""

    def limit(self, request: Request) -> None:
        """Apply the rate limit of anonymous readers.

        Raises:
            RateError: the address exceeded it.
        """
        limit_log_reader(request, request.app.state.app_state)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                self.limit(request)
                return await handle(request)
            except (VolensError, HTTPException) as error:
                return await problem_page(request, error)

        return shown


async def problem_page(request: Request, error: VolensError | HTTPException) -> Response:
    """Return an error as a page, with the status and headers that a program would get."""
    answer = problem_response(request, error)
    if _HTML not in request.headers.get("Accept", ""):
        return answer
    app_state: AppState = request.app.state.app_state
    problem = problem_of(request, error)
    page = partial(render, request, "problem.html", status=answer.status_code, problem=problem)
    shown = await app_state.page_pool.run(page)
    for name in ("Retry-After", "WWW-Authenticate", "Connection"):
        if name in answer.headers:
            shown.headers[name] = answer.headers[name]
    return shown
