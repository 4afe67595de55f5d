"""What holds for every page: accessible, narrow, dark, light, small, from this site alone, in three languages."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Request

from tests.pages.conftest import ServedSite, overflows, violations

OPEN_PAGES = ("/", "/nothing-here", "/verify", "/public", "/policy", "/controller", "/notices/lobby", "/kiosk/lobby")
MAX_BYTES = 100_000


@pytest.mark.parametrize("path", OPEN_PAGES)
@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_a_page_is_accessible_and_fits_a_narrow_screen(
    chromium: Browser, served_to_all: ServedSite, path: str, language: str, picture: Callable[[Page, str], None]
) -> None:
    for scheme, width in (("light", 320), ("dark", 390)):
        context = chromium.new_context(
            viewport={"width": width, "height": 700}, locale=language, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        requests: list[Request] = []
        page.on("requestfinished", lambda request, requests=requests: requests.append(request))
        page.on("request", lambda request: _own(request.url, served_to_all.url))
        page.goto(f"{served_to_all.url}{path}")
        assert page.locator("html").get_attribute("lang") == language
        assert not violations(page)
        assert not overflows(page)
        assert sum(one.sizes()["responseBodySize"] for one in requests) < MAX_BYTES
        name = path.strip("/").replace("/", "-") or "home"
        picture(page, f"{name}-{language}-{scheme}")
        context.close()


def test_a_person_chooses_the_language_and_it_stays(page: Page, served_to_all: ServedSite) -> None:
    page.goto(served_to_all.url)
    page.get_by_role("link", name="Deutsch").click()
    assert page.locator("html").get_attribute("lang") == "de"
    page.goto(f"{served_to_all.url}/nothing-here")
    assert page.locator("html").get_attribute("lang") == "de"


def test_the_keyboard_alone_reaches_every_link(page: Page, served_to_all: ServedSite) -> None:
    page.goto(served_to_all.url)
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.getAttribute('href')"))
    links = page.eval_on_selector_all("a", "all => all.map(one => one.getAttribute('href'))")
    assert set(links) <= set(seen)


def _own(url: str, own: str) -> None:
    assert url.startswith(own), f"a page asked {url}"
