"""All pages of the service, and what an unknown address shows in a browser."""

from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from volens.service.http.bodies import MAX_JSON_BYTES
from volens.service.web import (
    check_page,
    desk_invitation_pages,
    desk_pages,
    home_page,
    invitation_pages,
    kiosk_door,
    kiosk_page,
    my_data_actions,
    my_data_files,
    my_data_pages,
    my_data_photos,
    my_data_renewal,
    officer_erasures,
    officer_orders,
    officer_pages,
    oidc_sign_in,
    operator_pages,
    photo_pages,
    public_pages,
    receipt_pages,
    signing_pages,
    staff_pages,
    static_assets,
)
from volens.service.web.page_route import problem_page

_NOT_FOUND: Final = 404
_API: Final = "/v1/"
_INVITATION: Final = (invitation_pages, signing_pages, photo_pages, receipt_pages)
_MY_DATA: Final = (my_data_renewal, my_data_photos, my_data_pages, my_data_files, my_data_actions)
_DESK: Final = (desk_pages, desk_invitation_pages)
_OFFICER: Final = (officer_pages, officer_orders, officer_erasures)
_OPEN: Final = (home_page, check_page, public_pages, kiosk_page, kiosk_door, staff_pages, oidc_sign_in)
_PAGES: Final = (*_OPEN, *_INVITATION, *_MY_DATA, *_DESK, *_OFFICER, operator_pages)


def add_pages(app: FastAPI) -> None:
    """Add the pages to an application."""
    app.include_router(static_assets.router)
    for pages in _PAGES:
        app.include_router(pages.router, include_in_schema=False, max_body_size=MAX_JSON_BYTES)
    others = app.exception_handlers[HTTPException]

    async def not_found(request: Request, error: Exception) -> Response:
        is_page = (
            isinstance(error, HTTPException)
            and error.status_code == _NOT_FOUND
            and not request.url.path.startswith(_API)
        )
        if is_page and request.method == "GET" and isinstance(error, HTTPException):
            return await problem_page(request, error)
        answer: Response = await others(request, error)  # type: ignore[misc]  # our own handlers are coroutines
        return answer

    app.add_exception_handler(HTTPException, not_found)
