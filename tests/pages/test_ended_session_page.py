"""A session of staff that ends while a page is open: the page says so, and what was entered is still there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.pages.camera import CameraFile
from tests.pages.conftest import ServedSite, one_site, violations
from tests.pages.staff_browser import signed_in
from volens import Site, SubjectKey
from volens.service import samples

ENDED = {
    "en": "Your session has ended. Sign in again in another tab",
    "fr": "Votre session a pris fin. Reconnectez-vous dans un autre onglet",
    "de": "Ihre Sitzung ist beendet. Melden Sie sich in einem anderen Tab wieder an",
}


@pytest.fixture(scope="module")
def served(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """A site with one person who consented."""
    for site_of_all in one_site(made_site, tmp_path_factory.mktemp("ended")):
        with Site.open(site_of_all.home) as site:
            notice, key = site.notice("lobby", "en"), SubjectKey.from_seed(bytes([7]) * 32)
            site.give_consent(notice, name="Ada Example", jurisdiction="FR", key=key)
        yield site_of_all


def test_a_session_that_ends_beside_the_running_camera_is_said(
    page: Page, served: ServedSite, camera: CameraFile, picture: Callable[[Page, str], None]
) -> None:
    camera.show([samples.astronaut()] * 3)
    with Site.open(served.home) as site:
        (ada,) = site.people.find("ada").entries
    signed_in(page, served, "desk")
    page.goto(f"{served.url}/desk/photos/{ada.consent.receipt_id}")
    page.get_by_role("button", name="Use the camera").first.click()
    expect(page.get_by_role("button", name="Stop the camera")).to_be_visible()
    page.context.clear_cookies()
    expect(page.get_by_role("alert")).to_contain_text(ENDED["en"])
    expect(page.get_by_role("link", name="Sign in again")).to_be_focused()
    expect(page.get_by_text("There is no connection")).to_be_hidden()
    expect(page.get_by_role("button", name="Stop the camera")).to_be_hidden()
    assert page.evaluate("document.getElementById('video').srcObject") is None, "the camera is off"
    picture(page, "desk-session-ended")


@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_what_was_typed_is_sent_after_signing_in_again_in_another_tab(
    page: Page, served: ServedSite, language: str
) -> None:
    with Site.open(served.home) as site:
        (ada,) = site.people.find("ada").entries
    signed_in(page, served, "desk")
    page.goto(f"{served.url}/desk/people/{ada.consent.subject_id}?lang={language}")
    page.locator("details").nth(1).locator("summary").click()
    form = page.locator("form[action$='/name']")
    form.locator("input").fill(f"Ada Rightname {language}")
    page.context.clear_cookies()
    form.locator("button").click()
    expect(page.locator("#signed-out")).to_contain_text(ENDED[language])
    expect(form.locator("input")).to_have_value(f"Ada Rightname {language}")
    assert not violations(page)
    with page.expect_popup() as opened:
        page.locator("#signed-out a").click()
    expect(opened.value).to_have_url(f"{served.url}/staff")
    opened.value.close()
    other = page.context.new_page()
    signed_in(other, served, "desk")
    other.close()
    form.locator("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Ada Rightname {language}")
