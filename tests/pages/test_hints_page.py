"""Hints while photos are taken, spoken and felt, and the end of a consent for the person's calendar, in a browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import PATIENCE_S
from playwright.sync_api import Browser, Page, expect

from tests.pages.camera import CameraFile
from tests.pages.conftest import ServedSite, one_site
from volens import Site, SubjectKey, TakeHome
from volens.service import samples

expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture(scope="module")
def served(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """One site for the tests of this module."""
    home = tmp_path_factory.mktemp("hints")
    for one in one_site(made_site, home):
        with Site.open(one.home) as site:
            site.zones.rename("lobby", "Labor, Büro; " + "Ä" * 40)
        yield one


@pytest.fixture(scope="module")
def ada(served: ServedSite) -> TakeHome:
    """A person who is enrolled, and whose receipt says when the consent ends."""
    with Site.open(served.home) as site:
        key = SubjectKey.from_seed(b"\5" * 32)
        taken = site.give_consent(site.notice("lobby", "en"), name="Ada Canary", jurisdiction="FR", key=key)
        site.enroll(taken.to_json(), samples.views(samples.astronaut(), 3))
    return taken


def take_photos(page: Page, taken: TakeHome, way: str) -> None:
    page.goto("about:blank")
    page.goto(taken.qr_text())
    page.get_by_role("link", name="New photos").click()
    page.get_by_role("button", name=way).click()


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_each_photo_is_felt_unless_the_person_wants_less_motion(
    chromium: Browser, ada: TakeHome, camera: CameraFile, motion: str
) -> None:
    context = chromium.new_context(locale="en-GB", reduced_motion=motion)
    page, felt = context.new_page(), list[int]()

    def feel(ms: int) -> None:
        felt.append(ms)

    page.expose_function("felt", feel)
    page.add_init_script("navigator.vibrate = (ms) => { window.felt(ms); return true; };")
    camera.show(samples.views(samples.astronaut(), 3))
    take_photos(page, ada, "A calmer way")
    expect(page.get_by_role("status")).to_contain_text("The door now compares with the new photos.")
    assert len(felt) == (3 if motion == "no-preference" else 0)
    context.close()


def test_advice_is_spoken_politely_and_how_many_photos_there_are(page: Page, ada: TakeHome, camera: CameraFile) -> None:
    camera.show(samples.views(samples.group(), 1))
    take_photos(page, ada, "Use the camera")
    spoken = page.locator("[aria-live=polite]")
    expect(spoken).to_have_text("One person, please")
    assert page.locator("[aria-live=assertive]").count() == 0
    expect(page.get_by_role("status")).to_have_text("0 of 3 pictures")
    page.get_by_role("button", name="Stop the camera").click()
    expect(spoken).to_have_text("")


def test_advice_that_changes_several_times_a_second_is_spoken_every_few_seconds(page: Page, served: ServedSite) -> None:
    page.goto(served.url)
    folder = re.sub(r"[^/]+$", "", page.get_attribute("link[href$='.css']", "href") or "")
    said = page.evaluate(
        """async (folder) => {
            const { SpokenHint } = await import(`${folder}spoken_hint.js`);
            const region = document.createElement("p");
            const said = [];
            new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true });
            const hint = new SpokenHint(region);
            for (let at = 0; at < 40; at += 1) {
                hint.say(`advice ${at}`);
                await new Promise((resolve) => setTimeout(resolve, 100));
            }
            return said;
        }""",
        folder,
    )
    assert 2 <= len(said) <= 3
    assert said[0] == "advice 0"
    assert said[1] != "advice 1", "what was replaced meanwhile is not spoken"


@pytest.mark.parametrize(
    ("language", "button"), [("en", "my calendar"), ("fr", "mon agenda"), ("de", "meinen Kalender")]
)
def test_the_end_is_saved_for_a_calendar_and_says_nothing_else_about_the_person(
    page: Page, served: ServedSite, ada: TakeHome, language: str, button: str
) -> None:
    page.goto(ada.qr_text())
    page.wait_for_url("**/me/data")
    claims = ada.receipt.claims
    for address in ("/me/data", f"/me/consents/{claims.receipt_id}/receipt"):
        page.goto(f"{served.url}{address}?lang={language}")
        with page.expect_download() as saved:
            page.get_by_role("button", name=button).click()
        assert saved.value.suggested_filename == "consent-ends.ics"
        data = Path(saved.value.path()).read_bytes()
        lines = data.split(b"\r\n")
        assert lines[-1] == b""
        assert all(len(one) <= 75 and b"\n" not in one for one in lines)
        text = data.replace(b"\r\n ", b"").decode()
        with Site.open(served.home) as site:
            day = claims.expires_at.astimezone(site.defaults.time_zone())
        assert f"DTSTART;VALUE=DATE:{day:%Y%m%d}\r\n" in text
        summary = next(one for one in text.split("\r\n") if one.startswith("SUMMARY:"))
        assert "Labor\\, Büro\\; ÄÄÄ" in summary
        assert text.startswith("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
        assert ada.code is not None
        for secret in (ada.code.reveal(), claims.receipt_id, claims.subject_id, "Canary"):
            assert secret not in text
