"""Every page, looked at: its picture for docs/pages, and that nothing is cut on a narrow screen or at 200 % zoom.

English is for the pictures, and German, which has the longest words, for the widths.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.pages.conftest import PHONE, ServedSite, one_site
from tests.pages.staff_browser import signed_in, staff_link
from tests.pages.test_kiosk_page import TABLET
from volens import Site, SubjectKey, TakeHome
from volens.consent import NoLiveConsentError
from volens.service import samples
from volens.service.kiosk_link import kiosk_link
from volens.service.web.page_response import TEMPLATES
from volens.store.programs import Role

DOCS: Final = Path(__file__).parents[2] / "docs"
WIDTHS: Final = (320, 640)
"""A narrow phone, and a window of 1280 px at 200 % zoom."""
MAX_PICTURE_BYTES: Final = 120_000
IMPORTANT: Final = ("about", "my-data", "desk-people", "officer", "operator")
"""Their pictures are also dark and narrow."""
PICTURES: Final = {
    "home.html": "home",
    "problem.html": "problem",
    "desk/badge.html": "desk-badge",
    "desk/code.html": "desk-code",
    "desk/found.html": "desk-found",
    "desk/invitations.html": "desk-invitations",
    "desk/letter.html": "desk-letter",
    "desk/new_invitation.html": "desk-invitations-new",
    "desk/people.html": "desk-people",
    "desk/person.html": "desk-person",
    "desk/photos.html": "desk-photos",
    "kiosk/door.html": "kiosk-asleep",
    "kiosk/unpaired.html": "kiosk-unpaired",
    "my_data/consent.html": "my-data",
    "my_data/details.html": "my-data-details",
    "my_data/download.html": "my-data-download",
    "my_data/ended.html": "my-data-ended",
    "my_data/entry.html": "my-data-entry",
    "my_data/name.html": "my-data-name",
    "my_data/overview.html": "my-data-overview",
    "my_data/photos.html": "my-data-photos",
    "my_data/receipt.html": "my-data-receipt",
    "my_data/renewal.html": "my-data-renewal",
    "my_data/withdrawn.html": "my-data-withdrawn",
    "officer/erasure.html": "officer-erasure",
    "officer/erasures.html": "officer-erasures",
    "officer/order.html": "officer-order",
    "officer/order_new.html": "officer-orders-new",
    "officer/orders.html": "officer-orders",
    "officer/overview.html": "officer",
    "officer/papers.html": "officer-papers",
    "officer/recipients.html": "officer-recipients",
    "officer/request.html": "officer-request",
    "officer/request_new.html": "officer-requests-new",
    "officer/requests.html": "officer-requests",
    "operator/health.html": "operator-health",
    "operator/keys.html": "operator-keys",
    "operator/overview.html": "operator",
    "operator/refusals.html": "operator-refusals",
    "operator/staff.html": "operator-staff",
    "operator/zones.html": "operator-zones",
    "person/about.html": "about",
    "person/notice.html": "notice",
    "person/open.html": "open",
    "person/photos.html": "photos",
    "person/receipt.html": "receipt",
    "person/refused.html": "refused",
    "person/sign.html": "sign",
    "person/try.html": "try",
    "staff/no_page.html": "staff-no-page",
    "staff/sign_in.html": "staff-sign-in",
    "verify/check_document.html": "verify",
    "verify/controller_page.html": "controller",
    "verify/notice_page.html": "notices-lobby",
    "verify/notices_page.html": "notices",
    "verify/policy_page.html": "policy",
    "verify/public_page.html": "public",
}
PASSED_AT_ONCE: Final = {"staff/issuer.html"}
"""The way back from the house's sign-in: it leads on before a person can read it."""
CUT: Final = """() => {
    const ARROW = 16;
    const wide = document.documentElement.clientWidth, found = [];
    const name = (one) => `${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 40)}`;
    if (document.documentElement.scrollWidth > wide) found.push("the page scrolls sideways");
    const pen = document.createElement("canvas").getContext("2d");
    const shows = (select, style) => {  // the chosen words, and about the width of the arrow
        pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
        const words = select.selectedOptions[0]?.textContent || "";
        return pen.measureText(words).width + parseFloat(style.paddingLeft) + parseFloat(style.paddingRight) + ARROW;
    };
    for (const one of document.body.querySelectorAll("*")) {
        const style = getComputedStyle(one), box = one.getBoundingClientRect();
        if (box.width <= 1 || box.height <= 1 || one.closest("svg, .visually-hidden, .skip, [hidden]")) continue;
        const scrolls = (each) =>
            each && (/auto|scroll/.test(getComputedStyle(each).overflowX) || scrolls(each.parentElement));
        if (!scrolls(one.parentElement) && (box.right > wide + 1 || box.left < -1)) found.push(`outside: ${name(one)}`);
        const hides = /hidden|clip/.test(style.overflowX) && !/inline/.test(style.display);
        if (hides && one.scrollWidth > one.clientWidth + 1 && one.tagName !== "INPUT") found.push(`cut: ${name(one)}`);
        if (one.tagName === "SELECT" && shows(one, style) > one.clientWidth) found.push(`cut: ${name(one)}`);
        if (one.matches("button, .button") && one.scrollWidth > one.clientWidth + 1) found.push(`wide: ${name(one)}`);
    }
    return found;
}"""

Look = Callable[[Page, str], None]


@pytest.fixture(params=["en", "de"])
def language(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def served(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """A site for all tests of this file, with a folder for the dossiers of orders; each test has people of its own."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "orders").mkdir()
    os.environ["VOLENS_SERVE_ORDERS"] = str(folder / "orders")
    try:
        sites = one_site(made_site, folder)
        site = next(sites)
    finally:
        del os.environ["VOLENS_SERVE_ORDERS"]
    site.volens("recipient", "add", "Door panels", "--zone", "archive", "--contact", "privacy@panels.example", "--yes")
    site.volens("declare", "site", "jurisdictions", "FR")
    site.volens("declare", "site", "dpo", "Dana Doe, dpo@example.org")
    yield site
    sites.close()


@pytest.fixture
def page(chromium: Browser, language: str) -> Iterator[Page]:
    """A phone in the language of the test."""
    context: BrowserContext = chromium.new_context(viewport=PHONE, locale=language, timezone_id="Europe/Paris")  # type: ignore[arg-type]  # width and height
    yield context.new_page()
    context.close()


@pytest.fixture
def look(language: str, picture: Callable[[Page, str], None]) -> Look:
    """Take the pictures of the page that is open, and check it at each width."""

    def looked(page: Page, name: str) -> None:
        page.evaluate("document.activeElement.blur()")
        if language == "en":
            picture(page, name)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 700})
            if language == "en" and name in IMPORTANT and width == min(WIDTHS):
                picture(page, f"{name}-narrow")
            closed = page.evaluate(
                "[...document.querySelectorAll('details:not([open])')].map((one) => one.open = true).length"
            )
            assert page.locator("html").get_attribute("lang") == language
            assert page.evaluate(CUT) == [], f"{name} at {width}"
            if closed:
                page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = false })")
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # width and height
        if language == "en" and name in IMPORTANT:
            page.emulate_media(color_scheme="dark")
            picture(page, f"{name}-dark")
            page.emulate_media(color_scheme="light")

    return looked


class People:
    """People of one test, whose consents end with it, so that the next test can enroll the same face."""

    def __init__(self, served: ServedSite) -> None:
        self._served = served
        self.taken: list[TakeHome] = []

    def give(self, name: str, zone: str = "lobby", key: SubjectKey | None = None, *, photos: bool = False) -> TakeHome:
        """Record a consent beside the service."""
        with Site.open(self._served.home) as site:
            notice, key = site.notice(zone, "en"), key or SubjectKey.from_seed(os.urandom(32))
            taken = site.give_consent(notice, name=name, jurisdiction="FR", key=key)
            if photos:
                site.enroll(taken.to_json(), samples.views(samples.astronaut(), 3))
        self.taken.append(taken)
        return taken

    def end(self, taken: TakeHome) -> None:
        with Site.open(self._served.home) as site, suppress(NoLiveConsentError):
            assert taken.code is not None
            site.withdraw(receipt=taken.to_json())


@pytest.fixture
def people(served: ServedSite) -> Iterator[People]:
    found = People(served)
    yield found
    for taken in found.taken:
        found.end(taken)


def link_for(served: ServedSite, name: str) -> str:
    with Site.open(served.home) as site:
        token = site.invitations.invite("lobby", name=name, jurisdiction="FR", language="en").token
    return f"{served.url}/invitation#{token.reveal()}"


def test_the_open_pages_and_the_kiosk(served: ServedSite, page: Page, look: Look) -> None:
    for path, name in (
        ("/", "home"),
        ("/nothing-here", "problem"),
        ("/verify", "verify"),
        ("/public", "public"),
        ("/policy", "policy"),
        ("/controller", "controller"),
        ("/notices", "notices"),
        ("/notices/lobby", "notices-lobby"),
        ("/invitation", "open"),
        ("/staff", "staff-sign-in"),
        ("/kiosk/lobby", "kiosk-unpaired"),
    ):
        page.goto(f"{served.url}{path}")
        look(page, name)
    with Site.open(served.home) as site:
        issued, token = site.programs.credentials.issue(label="tablet", role=Role.DOOR, zone="lobby")
        link = kiosk_link(site.defaults.public_url(), issued.purpose, token)  # type: ignore[arg-type]  # both are set
    page.goto("about:blank")  # else a changed fragment alone does not load the page
    page.goto(link)
    expect(page.locator("[data-screen=asleep]")).to_be_visible()
    page.set_viewport_size(TABLET)  # type: ignore[arg-type]  # width and height
    look(page, "kiosk-asleep")


def test_the_pages_of_an_invitation(
    served: ServedSite, page: Page, look: Look, people: People, language: str, tmp_path: Path
) -> None:
    page.goto(link_for(served, f"Bo Sample {language}"))
    page.locator("form[action='/invitation/no'] button").click()
    page.wait_for_url("**/refused")
    look(page, "refused")
    page.goto("about:blank")
    page.goto(link_for(served, "Ada Example"))
    page.wait_for_url("**/about")
    look(page, "about")
    page.goto(f"{served.url}/invitation/notice")
    look(page, "notice")
    page.goto(f"{served.url}/invitation/sign")
    look(page, "sign")
    page.locator("#of-age").select_option("yes")
    page.locator("#browser-key").click()
    page.wait_for_url("**/photos")
    look(page, "photos")
    files = []
    for number, photo in enumerate(samples.views(samples.astronaut(), 3)):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(photo.pixels).save(files[-1])
    page.locator("#upload").click()
    page.locator("#chosen").set_input_files(files)
    page.locator("#send").click()
    page.wait_for_url("**/try")
    look(page, "try")
    page.goto(f"{served.url}/invitation/receipt")
    look(page, "receipt")
    people.taken.append(TakeHome.parse(page.request.get(f"{served.url}/invitation/receipt/file").body()))


def test_the_pages_of_a_persons_own_data(served: ServedSite, page: Page, look: Look, people: People) -> None:
    key = SubjectKey.from_seed(os.urandom(32))
    ada = people.give("Ada Example", key=key, photos=True)
    second = people.give("Ada Example", "archive", key=key)
    page.goto(f"{served.url}/me")
    look(page, "my-data-entry")
    page.goto("about:blank")
    page.goto(ada.qr_text())
    page.wait_for_url("**/me/data")
    look(page, "my-data-overview")
    one = f"{served.url}/me/consents/{ada.receipt.claims.receipt_id}"
    for path, name in (
        ("", "my-data"),
        ("/details", "my-data-details"),
        ("/name", "my-data-name"),
        ("/photos", "my-data-photos"),
        ("/download", "my-data-download"),
        ("/receipt", "my-data-receipt"),
        ("/renewal", "my-data-renewal"),
    ):
        page.goto(f"{one}{path}")
        look(page, name)
    page.goto(one)
    page.locator("form[action$='/withdrawal'] button").click()
    page.wait_for_url("**/withdrawn")
    expect(page.locator("[data-live]")).to_have_count(0)
    look(page, "my-data-withdrawn")
    people.end(second)
    page.goto(one)
    look(page, "my-data-ended")


def test_the_pages_of_the_desk(
    served: ServedSite, page: Page, look: Look, people: People, language: str, tmp_path: Path
) -> None:
    ada = people.give("Ada Example", photos=True).receipt.claims
    people.give("Grace Sample")
    link_for(served, "Lin Invited" if language == "en" else "Lin Geladen")
    signed_in_as(page, served, "desk", language)
    for path, name in (
        ("", "desk-people"),
        (f"/people/{ada.subject_id}", "desk-person"),
        (f"/photos/{ada.receipt_id}", "desk-photos"),
        ("/invitations", "desk-invitations"),
        ("/invitations/new", "desk-invitations-new"),
    ):
        page.goto(f"{served.url}/desk{path}")
        look(page, name)
    page.locator("#name").fill("Ann Newcomer" if language == "en" else "Ann Neuling")
    page.locator("#language").select_option("en")
    page.locator("form[data-then=letter] button[type=submit]").click()
    page.wait_for_url("**/letter")
    look(page, "desk-letter")
    page.goto(f"{served.url}/desk")
    page.locator("input[name=name]").fill("samp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search")
    look(page, "desk-found")
    page.goto(f"{served.url}/desk/people/{ada.subject_id}")
    page.locator("details").first.locator("summary").click()
    page.locator("[name=identity_checked]").check()
    page.locator("form[data-then=code] button").click()
    page.wait_for_url("**/code")
    look(page, "desk-code")
    for zone in ("lab", "archive"):
        page.goto(f"{served.url}/desk/photos/{people.give('Ada Example', zone).receipt.claims.receipt_id}")
        look(page, f"desk-photos-{zone}")
    page.locator("#upload").click()
    page.locator("#chosen").set_input_files(photo_files(tmp_path))
    page.locator("#send").click()
    page.wait_for_url("**/badge")
    look(page, "desk-badge")


def photo_files(folder: Path) -> list[Path]:
    """Write three photos of one person, and return their files."""
    files = [folder / f"{number}.png" for number in range(3)]
    for file, photo in zip(files, samples.views(samples.astronaut(), 3), strict=True):
        Image.fromarray(photo.pixels).save(file)
    return files


def test_the_pages_of_the_privacy_officer(
    served: ServedSite, page: Page, look: Look, people: People, language: str, tmp_path: Path
) -> None:
    ada, eve = people.give("Ada Example"), people.give("Eve Sample", "archive")
    people.end(eve)
    signed_in_as(page, served, "privacy_officer", language)
    page.goto(f"{served.url}/officer/requests/new")
    look(page, "officer-requests-new")
    receipt = tmp_path / "ada.json"
    receipt.write_bytes(ada.to_json())
    page.locator("input[type=file]").set_input_files(receipt)
    page.locator("form.narrow button[type=submit]").click()
    page.wait_for_url(re.compile(r"/officer/requests/[0-9a-f]+$"))
    look(page, "officer-request")
    page.goto(f"{served.url}/officer/orders/new")
    look(page, "officer-orders-new")
    page.locator("#jurisdiction").fill("FR")
    page.locator("form.narrow button[type=submit]").click()
    page.locator("form[data-post='/v1/orders'] button").click()
    page.wait_for_url(re.compile(r"/officer/orders/[0-9a-f]{8,}"))
    look(page, "officer-order")
    for path in ("", "/requests", "/erasures", "/orders", "/recipients", "/papers"):
        page.goto(f"{served.url}/officer{path}")
        look(page, f"officer{path.replace('/', '-')}")
    page.goto(f"{served.url}/officer/erasures/{eve.receipt.claims.receipt_id}")
    look(page, "officer-erasure")


def test_the_pages_of_the_operator(served: ServedSite, page: Page, look: Look, people: People, language: str) -> None:
    people.give("Ada Example", photos=True)
    signed_in_as(page, served, "operator", language)
    for path in ("", "/zones", "/refusals", "/health", "/keys", "/staff"):
        page.goto(f"{served.url}/operator{path}")
        look(page, f"operator{path.replace('/', '-')}")


def test_the_pages_of_the_sign_in(served: ServedSite, page: Page, look: Look, language: str) -> None:
    page.goto(staff_link(served, "auditor"))
    expect(page.locator("#who")).to_be_visible()
    look(page, "staff-link")
    signed_in_as(page, served, "auditor", language)
    look(page, "staff-no-page")


def signed_in_as(page: Page, served: ServedSite, role: str, language: str) -> None:
    """Sign in in English, whose buttons the helper knows; the pages are in the language of the test then."""
    page.goto(f"{served.url}/?lang=en")
    signed_in(page, served, role)
    page.goto(f"{served.url}/?lang={language}")
    page.goto(f"{served.url}/staff/home")


@pytest.mark.parametrize(
    ("style", "problem"),
    [
        ("width: 400px", "the page scrolls sideways"),
        ("width: 100px; overflow: hidden; white-space: nowrap", "cut: P  "),
        ("position: absolute; left: -50px", "outside: P  "),
    ],
)
def test_the_check_finds_what_is_cut(chromium: Browser, style: str, problem: str) -> None:
    page = chromium.new_page(viewport={"width": 320, "height": 700})
    page.set_content(f'<p style="{style}">Datenschutzbeauftragtenanmeldung</p>')
    assert any(one.startswith(problem) for one in page.evaluate(CUT))
    page.set_content("<select style='width: 120px'><option>Datenschutzbeauftragtenanmeldung</option></select>")
    assert any(one.startswith("cut: SELECT") for one in page.evaluate(CUT))
    page.set_content("<p>Anmeldung</p><select style='width: 200px'><option>Anmeldung</option></select>")
    assert page.evaluate(CUT) == []
    page.close()


def test_every_page_has_a_picture_and_stands_in_the_docs() -> None:
    """A page is a template that no other template extends, includes or imports."""
    parts = set[str]()
    for path in TEMPLATES.rglob("*.html"):
        parts |= set(re.findall(r'(?:extends|include|import|from) +"([^"]+)"', path.read_text("utf-8")))
    pages = {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html")} - parts
    assert pages - PASSED_AT_ONCE == set(PICTURES)
    narrow = {f"{name}-{way}" for name in IMPORTANT for way in ("dark", "narrow")}
    wanted = set(PICTURES.values()) | narrow
    assert not {name for name in wanted if not (DOCS / "pages" / f"{name}.png").is_file()}
    shown = set(re.findall(r"\(pages/([a-z-]+)\.png\)", (DOCS / "pages.md").read_text("utf-8")))
    assert not wanted - shown
    assert not {path.stem for path in (DOCS / "pages").iterdir()} - shown
    assert not [path.name for path in (DOCS / "pages").iterdir() if path.stat().st_size > MAX_PICTURE_BYTES]
