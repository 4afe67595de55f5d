"""The first page: what a visitor can do here."""

from functools import partial
from typing import Final

from fastapi import APIRouter, Request, Response

from volens.service.http.app_state import SharedState
from volens.service.web.page_response import render
from volens.service.web.page_route import PageRoute

router: Final = APIRouter(route_class=PageRoute)


@router.get("/", name="home_page")
async def home_page(request: Request, app_state: SharedState) -> Response:
    """Show what a visitor can do on this site. Nothing here depends on a person."""
    return await app_state.page_pool.run(partial(render, request, "home.html"))
