"""QR codes at a kiosk, read by the browser where it can. The browser's own reader is played by each test."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from tests.pages.camera import CameraFile
from tests.pages.conftest import ServedSite, one_site
from tests.pages.test_kiosk_page import TABLET, camera_is_off, known, says
from volens import Site, SubjectKey
from volens.service import samples
from volens.service.kiosk_link import kiosk_link
from volens.store.programs import Role

WATCH = """
window.sent = [];  // the codes that went with each frame
const real = window.fetch;
window.fetch = (address, options) => {
  if (String(address).endsWith("/looks")) window.sent.push(options.body.getAll("code"));
  return real(address, options);
};
"""
READER = """
window.shown = []; window.codes = []; window.looks = 0;
window.BarcodeDetector = class {
  static async getSupportedFormats() { return %(formats)s; }
  async detect(canvas) {
    window.looks += 1;
    window.shown.push(canvas.width > 0 && canvas.height > 0 && canvas instanceof HTMLCanvasElement);
    if (%(fails)s) throw new DOMException("no service behind it", "NotSupportedError");
    return window.looks > 2 ? window.codes.map((rawValue) => ({ rawValue })) : [];
  }
};
"""


@dataclass
class Doors:
    """A served site that knows Ada in a zone where she holds the key, and in one where she carries a badge."""

    site: ServedSite
    links: dict[str, str] = field(repr=False)
    codes: dict[str, list[str]] = field(repr=False)
    withdrawal: str = field(repr=False)


@pytest.fixture(scope="module")
def doors(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    badges: list[str] = []
    for served in one_site(made_site, tmp_path_factory.mktemp("codes")):
        links, codes = dict[str, str](), dict[str, list[str]]()
        with Site.open(served.home) as site:
            public = site.defaults.public_url()
            assert public is not None
            for zone in ("lab", "archive"):
                key = SubjectKey.from_seed(np.random.default_rng().bytes(32))
                given = site.give_consent(site.notice(zone, "en"), name="Ada", jurisdiction="FR", key=key)
                hand_over = (lambda badge: badges.extend(badge.qr_texts())) if zone == "archive" else None
                codes[zone] = [] if given.secret is None else [given.secret.reveal()]
                views = samples.views(samples.astronaut(), 3)
                site.enroll(given.to_json(), views, secret=given.secret, hand_over=hand_over)
                assert given.code is not None
                withdrawal = given.code.reveal()
                issued, token = site.programs.credentials.issue(label=f"{zone} tablet", role=Role.DOOR, zone=zone)
                links[zone] = kiosk_link(public, issued.purpose, token)  # type: ignore[arg-type]  # a door has a zone
            codes["archive"] = badges
        yield Doors(served, links, codes, withdrawal)


@pytest.fixture
def tablet(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport=TABLET, locale="en-GB")  # type: ignore[arg-type]  # width and height
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context
    context.close()


def asleep(tablet: BrowserContext, doors: Doors, zone: str, script: str) -> tuple[Page, list[Request]]:
    """Open a kiosk in a browser with this script in it; return the page, and the frames that it sends."""
    page, frames = tablet.new_page(), list[Request]()
    page.add_init_script(WATCH + script)
    page.on("request", lambda one: frames.append(one) if one.url.endswith(("/looks", "/codes")) else None)
    page.goto(doors.links[zone])
    says(page, "Touch to open")
    return page, frames


def reader(*, formats: str = '["qr_code"]', fails: str = "false") -> str:
    return READER % {"formats": formats, "fails": fails}


@pytest.mark.parametrize("zone", ["lab", "archive"])
def test_a_browser_that_reads_codes_sends_no_frame_before_it_has_them(
    doors: Doors, tablet: BrowserContext, camera: CameraFile, zone: str
) -> None:
    camera.show(known())
    page, frames = asleep(tablet, doors, zone, reader())
    page.evaluate("codes => { window.codes = ['WIFI:S:guests;;', ...codes] }", doors.codes[zone])
    assert page.evaluate("window.looks") == 0, "nothing is read before a person asks"
    page.locator("#wake").click()
    says(page, "Come in")
    assert page.evaluate("window.shown.length > 2 && window.shown.every(Boolean)")
    sent = page.evaluate("window.sent")
    assert len(sent) == len(frames) > 0
    assert all(codes == doors.codes[zone] for codes in sent), "the service reads none, and gets none that is not ours"
    assert camera_is_off(page)
    assert page.evaluate("document.getElementById('frame').width") == 0, "no frame is kept"


@pytest.mark.parametrize(
    "script",
    ["delete window.BarcodeDetector;", reader(formats="[]"), reader(fails="true"), reader()],
    ids=["absent", "without-qr", "failing", "blind"],
)
def test_where_the_browser_reads_no_code_the_service_does(
    doors: Doors, tablet: BrowserContext, camera: CameraFile, script: str
) -> None:
    camera.show(known())
    page, frames = asleep(tablet, doors, "lab", script)
    with page.expect_request("**/looks"):
        page.locator("#wake").click()
    says(page, "Hold the code of your key to the camera")
    assert page.evaluate("window.sent")[0] == []
    assert frames


def test_a_receipt_that_the_browser_reads_is_asked_about_without_a_frame(
    doors: Doors, tablet: BrowserContext, camera: CameraFile
) -> None:
    camera.show([samples.admiral()])
    page, frames = asleep(tablet, doors, "lab", reader())
    page.evaluate("code => { window.codes = [code] }", f"{doors.site.url}/me#{doors.withdrawal}")
    page.get_by_role("button", name="Forget me").click()
    page.locator("#hold-receipt").click()
    expect(page.locator("[data-screen=sure]")).to_be_visible()
    assert not frames
    assert camera_is_off(page)
