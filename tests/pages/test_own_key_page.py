"""My data where the person holds half of the key, or a badge: renewal and new photos, in a real browser."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import PATIENCE_S
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.pages.camera import CameraFile
from tests.pages.conftest import ServedSite, add_authenticator, one_site, overflows, violations
from tests.pages.test_every_page import MAX_BYTES
from volens import Site, SubjectKey, TakeHome
from volens.consent import Badge, PersonSecret, RefusedError
from volens.index import PersonalToken
from volens.service import samples

Take = Callable[[Page, str], None]
WAYS = [("passkey", True), ("passkey", False), ("browser-key", False)]

expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture(scope="module")
def served(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """One site for the tests of this module, each with people of its own."""
    yield from one_site(made_site, tmp_path_factory.mktemp("own-key"))


def looks_right(page: Page) -> None:
    assert not violations(page)
    assert not overflows(page)


def saved(page: Page, button: str) -> bytes:
    """Return what a button or link saves."""
    with page.expect_download() as download:
        page.get_by_text(button, exact=True).click()
    return Path(download.value.path()).read_bytes()


def follow_invitation(page: Page, served: ServedSite, zone: str, way: str) -> TakeHome:
    """Sign and take the pictures, as a person does; return what they take home."""
    with Site.open(served.home) as site:
        made = site.invitations.invite(zone, name="Ada Canary", jurisdiction="FR", language="en")
    page.goto(f"{served.url}/invitation#{made.token.reveal()}")
    page.get_by_role("link", name="Yes, continue").click()
    page.locator("#of-age").select_option("yes")
    page.locator(f"#{way}").click()
    page.get_by_role("button", name="A calmer way").click()
    page.get_by_role("link", name="Go on to my receipt").click()
    page.wait_for_url("**/receipt")
    return TakeHome.parse(saved(page, "Save"))


def open_page(page: Page, taken: TakeHome, link: str) -> None:
    """Scan the QR code of a receipt, and follow a link of my data."""
    page.goto("about:blank")
    page.goto(taken.qr_text())
    page.get_by_role("link", name=link).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(link)


def sign_again(page: Page) -> TakeHome:
    """Sign the renewal, and return what the person takes home now."""
    page.get_by_role("button", name="Sign and go on").click()
    expect(page.get_by_role("status").first).to_contain_text("Save the new receipt now")
    return TakeHome.parse(saved(page, "Save the file"))


def opens(served: ServedSite, taken: TakeHome, carried: PersonalToken, zone: str) -> bool:
    """Whether the door opens for the person with their receipt and their key."""
    with Site.open(served.home) as site:
        found = site.verify_claim(taken.to_json(), samples.astronaut(), carried=carried, zone=zone)
    return found is not None and found.match is not None


@pytest.mark.parametrize(("way", "prf"), WAYS)
def test_the_person_renews_with_the_key_that_they_hold_and_gets_a_new_one(
    page: Page, served: ServedSite, camera: CameraFile, picture: Take, *, way: str, prf: bool
) -> None:
    camera.show(samples.views(samples.astronaut(), 3))
    add_authenticator(page, prf=prf)
    old = follow_invitation(page, served, "lab", way)
    text = saved(page, "Save my key").decode()
    page.evaluate("sessionStorage.clear()")  # another day
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.post_data or "") if one.method == "POST" else None)

    open_page(page, old, "Go on for longer")
    looks_right(page)
    picture(page, f"my-data-renewal-key-{way}")
    if not prf:
        page.get_by_role("button", name="Sign and go on").click()
        expect(page.get_by_role("alert")).to_contain_text("Your key is needed")
        field = page.get_by_label("The text behind its square")
        field.fill(text.strip()[:-1])
        page.get_by_role("button", name="Sign and go on").click()
        expect(page.get_by_role("alert")).to_contain_text("This is not the key that goes with this consent")
        field.fill(text.lower())
        assert not any("VOLENS-SECRET" in one for one in sent), "nothing is sent before it is the right one"
    new = sign_again(page)
    looks_right(page)
    picture(page, f"my-data-renewed-key-{way}")
    fresh = saved(page, "Save my key").decode()
    assert fresh != text
    with PersonSecret.parse(fresh) as half:
        assert opens(served, new, half, "lab")
    page.get_by_role("link", name="Back").click()
    page.get_by_role("button", name="Close this page on this device").click()
    page.wait_for_url("**/me")
    assert page.evaluate("sessionStorage.length") == 0


def test_the_person_renews_with_their_badge_and_the_new_one_goes_to_the_phone(
    page: Page, served: ServedSite, camera: CameraFile, picture: Take, tmp_path: Path
) -> None:
    camera.show(samples.views(samples.astronaut(), 3))
    old = follow_invitation(page, served, "archive", "browser-key")
    badge, file = saved(page, "Save my badge"), tmp_path / "volens-badge.bin"
    page.evaluate("sessionStorage.clear()")

    open_page(page, old, "Go on for longer")
    looks_right(page)
    picture(page, "my-data-renewal-badge")
    page.get_by_role("button", name="Sign and go on").click()
    expect(page.get_by_role("alert")).to_contain_text("Your badge is needed")
    file.write_bytes(badge[:-1] + bytes([badge[-1] ^ 1]))
    page.get_by_label("The file of your badge").set_input_files(file)
    page.get_by_role("button", name="Sign and go on").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed.")
    file.write_bytes(badge)
    page.get_by_label("The file of your badge").set_input_files(file)
    new = sign_again(page)
    looks_right(page)
    picture(page, "my-data-renewed-badge")
    assert opens(served, new, Badge.parse(saved(page, "Save my badge")), "archive")


@pytest.mark.parametrize("way", ["passkey", "browser-key"])
def test_new_photos_need_the_key_that_the_person_holds(
    page: Page, served: ServedSite, camera: CameraFile, picture: Take, way: str
) -> None:
    camera.show(samples.views(samples.astronaut(), 3))
    add_authenticator(page)
    taken = follow_invitation(page, served, "lab", way)
    text = saved(page, "Save my key").decode()
    page.evaluate("sessionStorage.clear()")
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)

    open_page(page, taken, "New photos")
    looks_right(page)
    picture(page, f"my-data-photos-key-{way}")
    page.get_by_role("button", name="A calmer way").click()
    expect(page.get_by_role("alert")).to_contain_text("Your key is needed")
    assert not [one for one in sent if "look" in one or "photos" in one], "no picture is taken before"
    if way == "passkey":
        page.get_by_role("button", name="Take it from my passkey").click()
        expect(page.get_by_text("Your key is here.")).to_be_visible()
    else:
        page.get_by_label("The text behind its square").fill(text)
    page.get_by_role("button", name="A calmer way").click()
    expect(page.get_by_role("status").first).to_contain_text("The door now compares with the new photos.")
    with PersonSecret.parse(text) as half:
        assert opens(served, taken, half, "lab")


def test_new_photos_give_a_new_badge_to_the_phone(
    page: Page, served: ServedSite, camera: CameraFile, picture: Take, tmp_path: Path
) -> None:
    camera.show(samples.views(samples.astronaut(), 3))
    taken = follow_invitation(page, served, "archive", "browser-key")
    old, file = saved(page, "Save my badge"), tmp_path / "volens-badge.bin"
    page.evaluate("sessionStorage.clear()")
    open_page(page, taken, "New photos")
    for content, sentence in ((b"no badge", "Nothing was changed."), (old, "")):
        file.write_bytes(content)
        page.get_by_label("The file of your badge").set_input_files(file)
        page.get_by_role("button", name="A calmer way").click()
        if sentence:
            expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.get_by_role("status").first).to_contain_text("Save your new badge now")
    looks_right(page)
    picture(page, "my-data-photos-badge")
    fresh = saved(page, "Save my badge")
    assert fresh != old
    assert opens(served, taken, Badge.parse(fresh), "archive")
    with pytest.raises(RefusedError, match="replaced by a newer one"):
        opens(served, taken, Badge.parse(old), "archive")


def test_what_was_signed_at_the_desk_is_signed_again_with_the_key_file_of_the_desk(
    page: Page, served: ServedSite, picture: Take, tmp_path: Path
) -> None:
    key, other = SubjectKey.from_seed(os.urandom(32)), SubjectKey.from_seed(os.urandom(32))
    with Site.open(served.home) as site:
        old = site.give_consent(site.notice("lobby", "en"), name="Ada", jurisdiction="FR", key=key)
    file = tmp_path / "ada.pem"
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.post_data or "") if one.method == "POST" else None)

    open_page(page, old, "Go on for longer")
    expect(page.get_by_text("anyone who finds your receipt could agree in your name")).to_be_visible()
    looks_right(page)
    picture(page, "my-data-renewal-desk")
    for content, sentence in (
        (None, "Choose the file with your key first"),
        (b"no key", "There is no key in this file"),
        (other.to_pem(), "Nothing was changed."),
    ):
        if content is not None:
            file.write_bytes(content)
            page.get_by_label("The file with the key that signed").set_input_files(file)
        page.get_by_role("button", name="Sign and go on").click()
        expect(page.get_by_role("alert")).to_contain_text(sentence)
    file.write_bytes(key.to_pem())
    page.get_by_label("The file with the key that signed").set_input_files(file)
    new = sign_again(page)
    assert new.receipt.claims.signature.form == "person_key"
    assert not any("PRIVATE" in one for one in sent)


@pytest.mark.parametrize("language", ["en", "fr", "de"])
@pytest.mark.parametrize("zone", ["lab", "archive"])
def test_renewal_and_photos_fit_a_narrow_screen_in_each_language(
    chromium: Browser, served: ServedSite, picture: Take, language: str, zone: str
) -> None:
    with Site.open(served.home) as site:
        taken = site.give_consent(
            site.notice(zone, language), name="Ada", jurisdiction="FR", key=SubjectKey.from_seed(os.urandom(32))
        )
        made: list[bytes] = []
        hand_over = (lambda badge: made.append(badge.to_bytes())) if zone == "archive" else None
        photos = samples.views(samples.astronaut(), 3)
        site.enroll(taken.to_json(), photos, secret=taken.secret, hand_over=hand_over)
    context: BrowserContext = chromium.new_context(viewport={"width": 320, "height": 700}, locale=language)
    page = context.new_page()
    page.goto(taken.qr_text())
    page.wait_for_url("**/me/data")
    for part in ("renewal", "photos"):
        sizes: list[int] = []
        page.on("response", lambda answer, sizes=sizes: sizes.append(len(answer.body())))
        page.goto(f"{served.url}/me/consents/{taken.receipt.claims.receipt_id}/{part}")
        assert page.locator("html").get_attribute("lang") == language
        expect(page.locator("#own-half")).to_be_visible()
        looks_right(page)
        assert sum(sizes) < MAX_BYTES, part
        picture(page, f"my-data-{part}-{zone}-{language}")
    context.close()
