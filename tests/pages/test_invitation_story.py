"""From the invitation to the receipt, as a person does it on their own phone."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.pages.camera import CameraFile
from tests.pages.conftest import PHONE, ServedSite, add_authenticator, one_site, overflows, violations
from volens import Site
from volens.consent import Badge, PersonSecret, TakeHome
from volens.consent.invitation import InvitationState
from volens.consent.receipt import verify_receipt
from volens.consent.receipt_signature import SignatureForm
from volens.service import samples

Take = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def served(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """One site for the tests of this module, each with people of its own."""
    yield from one_site(made_site, tmp_path_factory.mktemp("story"))


def invite(served: ServedSite, zone: str, name: str) -> str:
    """Invite a person beside the running service, and return the link."""
    with Site.open(served.home) as site:
        made = site.invitations.invite(zone, name=name, jurisdiction="FR", language="en")
    return f"{served.url}/invitation#{made.token.reveal()}"


def looks_right(page: Page) -> None:
    assert not violations(page)
    assert not overflows(page)


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def saved(page: Page, button: str) -> bytes:
    """Return what a button or link saves."""
    with page.expect_download() as download:
        page.get_by_text(button, exact=True).click()
    return Path(download.value.path()).read_bytes()


def sign(page: Page, link: str, way: str) -> None:
    """Follow an invitation up to the photos."""
    page.goto(link)
    page.get_by_role("link", name="Yes, continue").click()
    heading(page, "Sign with your own key")
    page.locator("#of-age").select_option("yes")
    page.locator(f"#{way}").click()
    heading(page, "Three pictures of your face")


def test_a_person_goes_from_the_invitation_to_the_receipt(
    page: Page, served: ServedSite, camera: CameraFile, picture: Take
) -> None:
    add_authenticator(page)
    page.goto(invite(served, "lobby", "Ada Canary"))

    heading(page, "Would you like “Lobby” to know your face?")
    assert "#" not in page.url
    looks_right(page)
    picture(page, "about")
    yes, no = page.get_by_role("link", name="Yes, continue"), page.get_by_role("button", name="No, thank you")
    sizes = [one.bounding_box() for one in (yes, no)]
    assert sizes[0] is not None
    assert sizes[1] is not None
    assert (sizes[0]["width"], sizes[0]["height"]) == (sizes[1]["width"], sizes[1]["height"])
    page.get_by_role("link", name="Read the full notice").click()
    expect(page.get_by_text("We compare your face")).to_be_visible()
    page.go_back()
    yes.click()

    heading(page, "Sign with your own key")
    expect(page.get_by_label("Your name, as the desk should see it")).to_have_value("Ada Canary")
    looks_right(page)
    picture(page, "sign")
    page.locator("#of-age").select_option("yes")
    page.get_by_role("button", name="Sign with this phone").click()

    heading(page, "Three pictures of your face")
    looks_right(page)
    picture(page, "photos")
    camera.show(samples.views(samples.astronaut(), 3))
    page.get_by_role("button", name="A calmer way").click()

    heading(page, "Try it at the door")
    looks_right(page)
    picture(page, "try")
    page.get_by_role("link", name="Go on to my receipt").click()

    heading(page, "Your face opens “Lobby”")
    looks_right(page)
    picture(page, "receipt")
    taken = TakeHome.parse(saved(page, "Save"))
    verified = verify_receipt(taken.receipt, taken.receipt.claims.subject_key)
    assert verified.claims.signature.form is SignatureForm.PASSKEY
    assert taken.code is not None
    assert taken.code.reveal() in page.content()

    page.goto(f"{served.url}/invitation/about")
    expect(page.get_by_text("open the link of your invitation again")).to_be_visible()
    listed = json.loads(served.volens("people", "list", "--json"))
    assert [one["state"] for one in listed] == ["enrolled"]


@pytest.mark.parametrize(("way", "prf"), [("passkey", True), ("passkey", False), ("browser-key", False)])
def test_where_the_person_holds_the_key_the_site_never_keeps_it(
    page: Page, served: ServedSite, camera: CameraFile, picture: Take, *, way: str, prf: bool
) -> None:
    camera.show(samples.views(samples.astronaut(), 3))
    add_authenticator(page, prf=prf)
    sign(page, invite(served, "lab", f"Bea {way} {prf}"), way)
    page.get_by_role("button", name="A calmer way").click()
    heading(page, "Try it at the door")
    page.get_by_role("link", name="Go on to my receipt").click()
    heading(page, "Your key for this door")
    looks_right(page)
    picture(page, "receipt-key")
    receipt, text = saved(page, "Save"), saved(page, "Save my key").decode()
    with Site.open(served.home) as site:
        secret = PersonSecret.parse(text)
        known = site.verify_claim(receipt, samples.astronaut(), carried=secret, zone="lab")
    assert known is not None
    assert known.match is not None


def test_a_badge_goes_to_the_phone(page: Page, served: ServedSite, camera: CameraFile, picture: Take) -> None:
    camera.show(samples.views(samples.astronaut(), 3))
    sign(page, invite(served, "archive", "Cleo Canary"), "browser-key")
    page.get_by_role("button", name="A calmer way").click()
    heading(page, "Try it at the door")
    page.get_by_role("link", name="Go on to my receipt").click()
    heading(page, "Your badge for this door")
    looks_right(page)
    picture(page, "receipt-badge")
    badge = Badge.parse(saved(page, "Save my badge"))
    with Site.open(served.home) as site:
        known = site.verify_claim(None, samples.astronaut(), carried=badge, zone="archive")
    assert known is not None
    assert known.match is not None


def test_a_no_is_as_easy_and_gets_a_receipt(page: Page, served: ServedSite, picture: Take) -> None:
    link = invite(served, "lobby", "Dora Canary")
    page.goto(link)
    page.get_by_role("button", name="No, thank you").click()
    heading(page, "Thank you")
    looks_right(page)
    picture(page, "refused")
    assert b"Dora" not in saved(page, "Give me a receipt for my no")
    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_role("alert")).to_contain_text("not known here")


def test_a_link_that_no_longer_works_says_why(page: Page, served: ServedSite) -> None:
    with Site.open(served.home) as site:
        cancelled = site.invitations.invite("lobby", name="Eve Canary", jurisdiction="FR", language="en")
        site.invitations.cancel(cancelled.invitation_id)
        assert site.invitations.list(state=InvitationState.CANCELLED)
    for fragment, sentence in (
        ("", "has no invitation in it"),
        ("nonsense", "not known here"),
        (cancelled.token.reveal(), "withdrawn by the desk"),
    ):
        page.goto("about:blank")
        page.goto(f"{served.url}/invitation#{fragment}")
        expect(page.get_by_role("alert")).to_contain_text(sentence)


def test_what_goes_wrong_is_said_in_words_and_can_be_tried_again(
    context: BrowserContext, page: Page, served: ServedSite, camera: CameraFile
) -> None:
    page.goto(invite(served, "archive", "Fay Canary"))
    page.get_by_role("link", name="Yes, continue").click()
    second = context.new_page()
    second.goto(f"{served.url}/invitation/sign")

    page.get_by_label("Your name, as the desk should see it").fill("  ")
    page.locator("#browser-key").click()
    expect(page.get_by_role("alert")).to_contain_text("Type your name first")
    page.get_by_label("Your name, as the desk should see it").fill("Fay <b>Canary</b>")
    page.locator("#browser-key").click()
    expect(page.get_by_role("alert")).to_contain_text("Answer the question about your age first.")
    page.locator("#of-age").select_option("no")
    page.locator("#browser-key").click()
    expect(page.get_by_role("alert")).to_contain_text("This zone takes no one below the age")
    page.locator("#of-age").select_option("yes")
    context.set_offline(True)
    page.locator("#browser-key").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no connection. Nothing was signed.")
    context.set_offline(False)
    page.locator("#browser-key").dblclick()
    heading(page, "Three pictures of your face")

    second.locator("#of-age").select_option("yes")
    second.locator("#browser-key").click()
    expect(second.get_by_role("alert")).to_contain_text("Open your link again")
    second.close()

    camera.show(samples.views(samples.group(), 1))
    page.get_by_role("button", name="Use the camera").click()
    heading(page, "One person, please")
    page.get_by_role("button", name="Stop the camera").click()
    page.get_by_role("button", name="I would rather upload photos").click()
    page.get_by_role("button", name="Use these photos").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose three photos or more.")
    page.reload()
    heading(page, "Three pictures of your face")
    listed = json.loads(served.volens("people", "find", "Fay", "--json"))
    assert [one["name"] for one in listed] == ["Fay <b>Canary</b>"]


def test_without_a_camera_the_person_uploads_photos(chromium: Browser, served: ServedSite, tmp_path: Path) -> None:
    context = chromium.new_context(viewport=PHONE, locale="en-GB", permissions=[])
    page = context.new_page()
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'))"
    )
    sign(page, invite(served, "archive", "Gina Canary"), "browser-key")
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("alert")).to_contain_text("The camera is off for this page.")
    page.get_by_role("button", name="I would rather upload photos").click()
    files = []
    for number, photo in enumerate(samples.views(samples.admiral(), 3)):
        files.append(tmp_path / f"{number}.png")
        CameraFile.save(photo, files[-1])
    page.get_by_label("Three photos").set_input_files(files)
    page.get_by_role("button", name="Use these photos").click()
    heading(page, "Try it at the door")
    context.close()


def test_without_an_authenticator_nothing_is_signed_and_the_other_way_is_named(page: Page, served: ServedSite) -> None:
    add_authenticator(page, verified=False)
    page.goto(invite(served, "lab", "Hana Canary"))
    page.get_by_role("link", name="Yes, continue").click()
    page.locator("#of-age").select_option("yes")
    page.get_by_role("button", name="Sign with this phone").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was signed.")
    page.locator("#browser-key").click()
    heading(page, "Three pictures of your face")


def test_the_keyboard_alone_is_enough_up_to_the_signature(page: Page, served: ServedSite) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(invite(served, "lab", "Iris Canary"))
    heading(page, "Would you like “Laboratory” to know your face?")
    looks_right(page)
    press_until(page, "Yes, continue")
    heading(page, "Sign with your own key")
    looks_right(page)
    page.locator("#of-age").press("y")
    press_until(page, "Sign without a passkey, with a key in this browser")
    heading(page, "Three pictures of your face")
    looks_right(page)


def press_until(page: Page, name: str) -> None:
    """Press Tab until an element has the focus, then Enter."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == name:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"Tab does not reach {name}")
