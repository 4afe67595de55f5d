"""The kiosk in a real browser: a tablet beside a door, asleep until a person asks."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from declared_gates import open_gates
from patience import PATIENCE_S, free_port
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from presentations import turning_head

from tests.pages.camera import CameraFile
from tests.pages.conftest import ServedSite, overflows, serving, violations
from volens import Site, SubjectKey, TakeHome
from volens.consent import PersonSecret, ReceiptId, ShownFactor, WithdrawalCode
from volens.face import Extractor, RgbImage
from volens.service import samples
from volens.service.kiosk_link import kiosk_link
from volens.service.qr_codes import badge_qrs, qr_png, secret_qr
from volens.service.sample_notice import publish_sample_notice
from volens.store.programs import Role

TABLET = {"width": 1024, "height": 768}
PIN, BADGE_NUMBER = "719035", "04A1B2C3"
ALTERNATIVE = "Your badge works as before."
WATCH_CAMERA = """
window.opened = 0;
if (navigator.mediaDevices) {  // not in the empty page before
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (wanted) => { window.opened += 1; return real(wanted); };
}
"""
DENY_CAMERA = """
if (navigator.mediaDevices) {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
}
"""
COVER_CAMERA = "document.getElementById('view').style.visibility = 'hidden'"


@dataclass
class Kiosk:
    """A served site whose zones each know Ada, the astronaut."""

    site: ServedSite
    links: dict[str, str] = field(repr=False)
    credentials: dict[str, str]
    code: str = field(repr=False)
    other_code: str = field(repr=False)
    secret: bytes = field(repr=False)
    badge: list[bytes] = field(repr=False)

    @property
    def log(self) -> str:
        return (self.site.home.parent / "service.log").read_text()


@pytest.fixture(scope="module")
def kiosk(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kiosk]:
    folder, port = tmp_path_factory.mktemp("kiosk"), free_port()
    home = folder / "home"
    shutil.copytree(made_site, home)
    with Site.open(home) as site:
        public = site.defaults.set(public_url=f"http://localhost:{port}") and site.defaults.public_url()
        assert public is not None
        for zone, factor in (("vault", "pin"), ("gate", "badge")):
            site.add_zone(
                zone,
                title=zone.title(),
                custody="operator",
                second_factor=factor,
                retention_days=90,
                justification="people carry boxes",
                alternative=ALTERNATIVE,
            )
            open_gates(site, zone)
            publish_sample_notice(site, zone, more="We compare your face when you ask at the door.")
        given, badges = {}, list[list[bytes]]()
        for zone in ("lobby", "lab", "archive", "vault", "gate"):
            given[zone] = _enrolled(site, zone, badges)
        # A person with two consents, and the code of one of them.
        key = SubjectKey.from_seed(np.random.default_rng().bytes(32))
        twice = [
            site.give_consent(site.notice(zone, "en"), name="Cy", jurisdiction="FR", key=key)
            for zone in ("archive", "lobby")
        ]
        site.add_zone(
            "court",
            title="Court",
            custody="operator",
            retention_days=90,
            justification="people carry boxes",
            alternative=ALTERNATIVE,
            liveness="challenge",
        )
        open_gates(site, "court")
        publish_sample_notice(site, "court", more="We compare your face after you turn your head.")
        given["court"] = _enrolled(site, "court", badges)
        site.factors.set(_id(given["vault"]), ShownFactor.pin(PIN))
        site.factors.set(_id(given["gate"]), ShownFactor.badge(BADGE_NUMBER))
        links, credentials = {}, {}
        for zone in given:
            issued, token = site.programs.credentials.issue(label=f"{zone} tablet", role=Role.DOOR, zone=zone)
            credentials[zone] = issued.credential_id
            links[zone] = kiosk_link(public, issued.purpose, token)  # type: ignore[arg-type]  # a door has a zone
        code, other_code, secret = given["lobby"].code, twice[1].code, given["lab"].secret
        assert code is not None
        assert other_code is not None
        assert secret is not None
        shown = secret_qr(PersonSecret.parse(secret.reveal())), badges[0]
    with serving(home, port) as process:
        yield Kiosk(ServedSite(home, port, process), links, credentials, code.reveal(), other_code.reveal(), *shown)


def _enrolled(site: Site, zone: str, badges: list[list[bytes]]) -> TakeHome:
    key = SubjectKey.from_seed(np.random.default_rng().bytes(32))
    take_home = site.give_consent(site.notice(zone, "en"), name="Ada", jurisdiction="FR", key=key)
    photos = samples.views(samples.astronaut(), 3)
    hand_over = (lambda badge: badges.append(badge_qrs(badge))) if zone == "archive" else None
    secret = take_home.secret if zone == "lab" else None
    site.enroll(take_home.to_json(), photos, secret=secret, hand_over=hand_over)
    return take_home


def _id(take_home: TakeHome) -> ReceiptId:
    return take_home.receipt.claims.receipt_id


@pytest.fixture
def tablet(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport=TABLET, locale="en-GB")  # type: ignore[arg-type]  # width and height
    context.set_default_timeout(PATIENCE_S * 1000)
    context.add_init_script(WATCH_CAMERA)
    problems: list[str] = []
    context.on("weberror", lambda error: problems.append(str(error.error)))
    context.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
    yield context
    context.close()
    assert not problems


def paired(context: BrowserContext, kiosk: Kiosk, zone: str) -> Page:
    """Open a kiosk's link; the page then sleeps."""
    page = context.new_page()
    page.goto(kiosk.links[zone])
    expect(page.locator("#wake")).not_to_be_empty()
    expect(page.locator("[data-screen=asleep]")).to_be_visible()
    return page


def says(page: Page, sentence: str) -> None:
    expect(page.locator("h1:visible")).to_have_text(sentence, timeout=PATIENCE_S * 1000)


def known() -> list[RgbImage]:
    return [samples.views(samples.astronaut(), 4)[3]]


def picture_of_code(png: bytes) -> RgbImage:
    code = Image.open(BytesIO(png)).convert("RGB").resize((440, 440), Image.Resampling.NEAREST)
    return RgbImage(np.ascontiguousarray(np.asarray(code)))


def _reached_by_tab(page: Page) -> set[str]:
    reached = set[str]()
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.add(str(page.evaluate("document.activeElement.textContent")).strip())
    return reached


def camera_is_off(page: Page) -> bool:
    return bool(page.evaluate("document.getElementById('view').srcObject === null"))


def stored(page: Page) -> list[int]:
    return list(
        page.evaluate("indexedDB.databases().then(all => [localStorage.length, sessionStorage.length, all.length])")
    )


def test_a_person_comes_in_at_a_kiosk_that_was_paired_by_a_link(
    kiosk: Kiosk, tablet: BrowserContext, camera: CameraFile, picture: Callable[[Page, str], None]
) -> None:
    page = tablet.new_page()
    page.goto(f"{kiosk.site.url}/kiosk/lobby")
    says(page, "This tablet is not paired yet")
    assert not violations(page)
    picture(page, "kiosk-unpaired")

    camera.show(known())
    page = paired(tablet, kiosk, "lobby")
    assert page.url == f"{kiosk.site.url}/kiosk/lobby"
    says(page, "Touch to open")
    assert not violations(page)
    picture(page, "kiosk-asleep")
    assert {"Touch to open", "Another way in", "Forget me", "English", "Français", "Deutsch"} <= _reached_by_tab(page)
    assert (page.evaluate("window.opened"), camera_is_off(page)) == (0, True)

    page.get_by_text("Your face is looked at only after you ask.").click()
    says(page, "Come in")
    assert (page.evaluate("window.opened"), camera_is_off(page)) == (1, True)
    assert not violations(page)
    picture(page, "kiosk-come-in")
    says(page, "Touch to open")  # by itself, after some seconds
    assert stored(page) == [0, 0, 0]
    token = kiosk.links["lobby"].partition("#")[2]
    assert token not in kiosk.log


@pytest.mark.parametrize(
    ("name", "photos", "advice"),
    [
        ("stranger", [samples.admiral], None),
        ("nobody", [], "Look at the circle"),
        ("several", [samples.strangers], "One person, please"),
    ],
)
def test_a_stranger_nobody_and_two_people_do_not_come_in(
    kiosk: Kiosk,
    tablet: BrowserContext,
    camera: CameraFile,
    picture: Callable[[Page, str], None],
    name: str,
    photos: list[Callable[[], RgbImage]],
    advice: str | None,
) -> None:
    camera.show([one() for one in photos]) if photos else camera.show_nothing()
    page = paired(tablet, kiosk, "lobby")
    page.locator("#wake").click()
    if advice is not None:
        says(page, advice)
        expect(page.locator("#said")).to_have_text(advice)
        page.evaluate(COVER_CAMERA)
        assert not violations(page)
        picture(page, f"kiosk-camera-{name}")
        page.get_by_role("button", name="Stop").click()
        says(page, "Touch to open")
        assert camera_is_off(page)
        return
    says(page, "This door does not know you")
    assert camera_is_off(page)
    expect(page.locator("[data-screen=closed] .lead")).to_have_text(ALTERNATIVE)
    assert not violations(page)
    picture(page, f"kiosk-{name}")


def test_a_camera_that_is_denied_and_a_lost_network_are_said_in_words(
    kiosk: Kiosk, tablet: BrowserContext, camera: CameraFile, picture: Callable[[Page, str], None]
) -> None:
    camera.show(known())
    page = paired(tablet, kiosk, "lobby")
    tablet.set_offline(True)
    says(page, "This door cannot check right now")
    expect(page.locator("#instead")).to_have_text(ALTERNATIVE)
    page.locator("#wake").click()
    expect(page.locator("[data-screen=closed]")).to_be_visible()
    says(page, "This door cannot check right now")
    assert not violations(page)
    picture(page, "kiosk-offline")
    page.get_by_role("button", name="Ready").click()
    tablet.set_offline(False)
    says(page, "Touch to open")
    page.locator("#wake").click()
    says(page, "Come in")

    page.add_init_script(DENY_CAMERA)
    page.reload()
    page.locator("#wake").click()
    says(page, "The camera is off for this page")
    expect(page.locator("[data-screen=closed] .lead")).to_have_text(ALTERNATIVE)
    assert not violations(page)


def test_a_pin_is_typed_on_the_pad_or_on_a_keyboard(
    kiosk: Kiosk, tablet: BrowserContext, camera: CameraFile, picture: Callable[[Page, str], None]
) -> None:
    camera.show(known())
    page = paired(tablet, kiosk, "vault")
    page.keyboard.press("Enter")  # a keyboard alone
    says(page, "Type your PIN")
    assert camera_is_off(page)
    assert not violations(page)
    picture(page, "kiosk-pin")
    page.keyboard.type("4826")
    expect(page.locator("#dots")).to_have_text("●●●●")
    page.keyboard.press("Enter")
    says(page, "This PIN did not fit. Type it again.")
    for digit in PIN:
        page.locator(f"[data-digit='{digit}']").click()
    page.locator("#pin-done").click()
    says(page, "Come in")
    assert stored(page) == [0, 0, 0]


def test_a_badge_comes_first_and_no_camera_starts_before_it(
    kiosk: Kiosk, tablet: BrowserContext, camera: CameraFile
) -> None:
    camera.show(known())
    page = paired(tablet, kiosk, "gate")
    says(page, "Hold your badge to the reader")
    page.locator("#wake").click()
    expect(page.locator("#said")).to_have_text("Hold your badge to the reader")
    assert page.evaluate("window.opened") == 0
    page.keyboard.type(BADGE_NUMBER)
    page.keyboard.press("Enter")
    says(page, "Come in")
    page.keyboard.type("04FFFFFF")
    page.keyboard.press("Enter")
    says(page, "This door does not know you")


@pytest.fixture(scope="module")
def head() -> dict[str, RgbImage]:
    near = cv2.resize(samples.astronaut().pixels[20:245, 120:420], (640, 480), interpolation=cv2.INTER_LINEAR)
    return turning_head(Extractor.load_default(), RgbImage(np.asarray(near)))


def test_a_person_who_turns_the_head_as_asked_comes_in(
    kiosk: Kiosk, tablet: BrowserContext, camera: CameraFile, head: dict[str, RgbImage]
) -> None:
    camera.show([head["ahead"], head["left"], head["ahead"], head["right"]])
    page = paired(tablet, kiosk, "court")
    page.locator("#wake").click()
    expect(page.locator("#imperative")).to_have_text(re.compile("Turn your head to the (left|right)"))
    says(page, "Come in")
    assert (page.evaluate("window.opened"), camera_is_off(page)) == (1, True)
    assert stored(page) == [0, 0, 0]


@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_a_still_photo_is_asked_to_turn_in_words_and_with_an_arrow(
    chromium: Browser,
    kiosk: Kiosk,
    camera: CameraFile,
    head: dict[str, RgbImage],
    language: str,
    picture: Callable[[Page, str], None],
) -> None:
    asked = {"en": "Turn your head", "fr": "Tournez la tête", "de": "Drehen Sie den Kopf"}[language]
    camera.show([head["ahead"]])
    width = 1024 if language == "en" else 320
    context = chromium.new_context(viewport={"width": width, "height": 640}, locale=language)
    context.set_default_timeout(PATIENCE_S * 1000)
    page = paired(context, kiosk, "court")
    page.locator("#wake").click()
    expect(page.locator("#imperative")).to_contain_text(asked)
    expect(page.locator("#said")).to_contain_text(asked)
    expect(page.locator("#arrow")).to_be_visible()
    side = page.locator("#arrow").get_attribute("data-side")
    words = {"turn_left": ("left", "gauche", "links"), "turn_right": ("right", "droite", "rechts")}[side or ""]
    assert page.locator("#imperative").inner_text().endswith(words)
    box = page.locator("#arrow").bounding_box()
    assert box is not None
    # The picture is a mirror, so the person's left is on the left.
    assert (box["x"] + box["width"] / 2 < width / 2) == (side == "turn_left")
    page.evaluate(COVER_CAMERA)
    assert not overflows(page)
    assert not violations(page)
    picture(page, f"kiosk-turn-{language}")
    page.locator("[data-screen=camera] [data-go=asleep]").click()
    expect(page.locator("[data-screen=asleep]")).to_be_visible()
    assert camera_is_off(page)
    context.close()


@pytest.mark.parametrize("zone", ["lab", "archive"])
def test_a_person_who_holds_the_key_shows_its_code_to_the_camera(
    kiosk: Kiosk, tablet: BrowserContext, camera: CameraFile, zone: str
) -> None:
    codes = [kiosk.secret] if zone == "lab" else kiosk.badge
    camera.show([*map(picture_of_code, codes), *known()])
    page = paired(tablet, kiosk, zone)
    page.locator("#wake").click()
    says(page, "Come in")
    camera.show([*map(picture_of_code, codes), samples.admiral()])
    says(page, "Touch to open")
    page.locator("#wake").click()
    says(page, "This door does not know you")


@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_a_kiosk_speaks_three_languages_on_a_narrow_screen(
    chromium: Browser, kiosk: Kiosk, language: str, picture: Callable[[Page, str], None]
) -> None:
    touch = {"en": "Touch to open", "fr": "Touchez pour ouvrir", "de": "Zum Öffnen berühren"}
    other = {"en": "fr", "fr": "de", "de": "en"}[language]
    context = chromium.new_context(
        viewport={"width": 320, "height": 640}, locale=language, reduced_motion="reduce", color_scheme="light"
    )
    context.set_default_timeout(PATIENCE_S * 1000)
    page = paired(context, kiosk, "lobby")
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(len(answer.body())))
    page.reload()
    says(page, touch[language])
    assert sum(sizes) < 100_000
    for screen in ("asleep", "come-in", "closed", "other", "pin", "forget", "sure", "forgotten"):
        page.evaluate(
            """name => {
                const words = document.querySelector(`template[data-words="${document.documentElement.lang}"]`).dataset;
                for (const [id, word] of [["why", "stranger"], ["pin-asked", "pin"], ["forgotten", "forgotten"]]) {
                    document.getElementById(id).textContent = words[word];
                }
                for (const one of document.querySelectorAll("[data-screen]")) one.hidden = one.dataset.screen !== name;
            }""",
            screen,
        )
        assert not overflows(page), screen
        assert not violations(page), screen
        picture(page, f"kiosk-{screen}-{language}-narrow")
    page.reload()
    page.locator(f"[data-speak={other}]").click()
    says(page, touch[other])
    assert page.locator("html").get_attribute("lang") == other
    page.locator("[data-screen=asleep] [data-go=other]").click()
    expect(page.locator("[data-screen=other] .lead")).to_have_text(ALTERNATIVE)
    page.keyboard.press("Escape")
    says(page, touch[language])  # asleep, it speaks the language of the site again
    assert page.locator("html").get_attribute("lang") == language
    context.close()


def test_forget_me_ends_a_consent_by_its_code_and_the_door_no_longer_opens(
    kiosk: Kiosk, tablet: BrowserContext, camera: CameraFile, picture: Callable[[Page, str], None]
) -> None:
    camera.show([picture_of_code(qr_png(WithdrawalCode.parse(kiosk.code).qr_text()))])
    page = paired(tablet, kiosk, "lobby")
    page.get_by_role("button", name="Forget me").click()
    says(page, "End your consent")
    expect(page.get_by_text(f"{kiosk.site.url}/me")).to_be_visible()
    assert not violations(page)
    picture(page, "kiosk-forget")
    page.get_by_label("Code of the receipt").fill("AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Yes, forget me").click()
    expect(page.get_by_role("alert")).to_contain_text("This code ends no consent here")

    page.get_by_role("button", name="Hold up my receipt").click()
    says(page, "Shall this site forget you?")
    assert camera_is_off(page)
    assert not violations(page)
    picture(page, "kiosk-sure")
    page.get_by_role("button", name="No, go back").click()
    says(page, "Touch to open")

    page.get_by_role("button", name="Forget me").click()
    expect(page.get_by_label("Code of the receipt")).to_have_value("")
    page.get_by_label("Code of the receipt").fill(kiosk.code)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes, forget me").click()
    says(page, "You are forgotten")
    number = page.locator("#certificate").inner_text().replace(" ", "")
    assert len(number) >= 8
    assert [one for one in (kiosk.site.home / "certificates").iterdir() if number in one.name]
    assert not violations(page)
    picture(page, "kiosk-forgotten")
    page.get_by_role("button", name="Ready").click()

    page.get_by_role("button", name="Forget me").click()
    page.get_by_label("Code of the receipt").fill(kiosk.other_code)
    page.get_by_role("button", name="Continue").click()
    # The store is locked for a moment: matching has stopped, and the kiosk asks again for the certificate.
    page.route("**/v1/withdrawals", lambda route: route.fulfill(status=503, json={"type": "stop-pending"}), times=1)
    page.get_by_role("button", name="Yes, forget me").click()
    says(page, "Your consent has ended")
    expect(page.locator("#still")).to_have_text("You have another consent, still in force for: archive")
    page.get_by_role("button", name="End it, too").click()
    says(page, "You are forgotten")
    page.get_by_role("button", name="Ready").click()

    camera.show(known())
    page.locator("#wake").click()
    says(page, "This door does not know you")
    assert kiosk.code not in kiosk.log
    assert stored(page) == [0, 0, 0]


def test_a_revoked_credential_ends_the_kiosk_and_an_old_link_pairs_nothing(
    kiosk: Kiosk, tablet: BrowserContext
) -> None:
    page = paired(tablet, kiosk, "gate")
    kiosk.site.volens("credential", "end", kiosk.credentials["gate"])
    page.evaluate("dispatchEvent(new Event('online'))")  # as when the network returns; else within half a minute
    says(page, "This tablet is not paired yet")
    page.goto("about:blank")
    page.goto(kiosk.links["gate"])
    expect(page.get_by_role("alert")).to_contain_text("This link is not in force for this door")
    assert page.url == f"{kiosk.site.url}/kiosk/gate"
