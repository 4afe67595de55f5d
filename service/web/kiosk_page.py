"""The page of a kiosk, ``/kiosk/ZONE``: a tablet beside a door. Everything it shows is in it, in all languages."""

from functools import partial
from typing import Final

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from volens.erase.pages import LANGUAGES
from volens.service.http.app_state import SharedState
from volens.service.qr_codes import qr_svg
from volens.service.web.kiosk_decision import needs_of
from volens.service.web.kiosk_session import paired_door
from volens.service.web.page_language import PageTexts
from volens.service.web.page_response import LANGUAGE_NAMES, render, zone_name
from volens.service.web.page_route import PageRoute

_DOMAIN: Final = "kiosk"

router: Final = APIRouter(route_class=PageRoute)


@router.get("/kiosk/{zone}", name="kiosk_page")
async def kiosk_page(zone: str, request: Request, app_state: SharedState) -> Response:
    """Show the kiosk of a zone; without a session, how to pair it, which is the same for every name of a zone."""
    paired = paired_door(request, zone) is not None
    return await app_state.page_pool.run(partial(_shown, request, zone) if paired else partial(_unpaired, request))


def _unpaired(request: Request) -> Response:
    return render(request, "kiosk/unpaired.html")


def _shown(request: Request, name: str) -> Response:
    site = request.app.state.app_state.site
    zone, public = site.zones.get(name), site.defaults.public_url()
    time_zone = site.defaults.time_zone()
    # Switching the language must work without the network, and end by itself, so it is no address and no cookie.
    spoken = [(tag, LANGUAGE_NAMES[tag], PageTexts(_DOMAIN, tag, time_zone).gettext) for tag in LANGUAGES]
    return render(
        request,
        "kiosk/door.html",
        camera=True,
        spoken=spoken,
        zone=zone,
        zone_name=zone_name(zone),
        needs=needs_of(zone),
        my_data=None if public is None else f"{public.origin}/me",
        my_data_qr=None if public is None else Markup(qr_svg(f"{public.origin}/me")),  # noqa: S704  our own drawing
    )
