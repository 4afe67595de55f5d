"""The page that checks documents in the browser, and the same page as one file to download."""

from functools import partial
from hashlib import sha256
from typing import Final

from fastapi import APIRouter, Request, Response

from volens.service.http.app_state import SharedState
from volens.service.web.page_language import language_of
from volens.service.web.page_response import render
from volens.service.web.page_route import PageRoute
from volens.service.web.verifier_file import verifier_file

router: Final = APIRouter(route_class=PageRoute)


@router.get("/verify", name="check_page")
async def check_page(request: Request, app_state: SharedState) -> Response:
    """Show the page. It carries the site's public keys; what a visitor drops on it is not sent."""

    def page() -> Response:
        return render(
            request,
            "verify/check_document.html",
            site_key=app_state.site.verifier_key.text(),
            verifier_sha256=sha256(verifier_file(language_of(request))).hexdigest(),
        )

    return await app_state.page_pool.run(page)


@router.get("/verify/verifier.html", name="download_verifier")
async def download_verifier(request: Request, app_state: SharedState) -> Response:
    """Return the verifier as a file to keep; as a page of this site it would have the site's address."""
    language = language_of(request)
    data = await app_state.page_pool.run(partial(verifier_file, language))
    headers = {
        "Content-Disposition": f'attachment; filename="verifier-{language}.html"',
        "Content-Security-Policy": "sandbox",
        "Vary": "Accept-Language, Cookie",
    }
    return Response(data, media_type="text/html; charset=utf-8", headers=headers)
