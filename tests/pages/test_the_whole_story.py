"""The whole story in the browser: invited, signed, photographed, let in, withdrawn, not let in, and proved offline."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from patience import PATIENCE_S
from playwright.sync_api import Browser, Page, expect

from tests.pages.camera import CameraFile
from tests.pages.conftest import PHONE, ServedSite, add_authenticator
from tests.pages.verifier_page import VerifierPage
from volens.service import samples

TABLET = {"width": 1024, "height": 768}
MAX_TAPS = 10
"""What a person taps from the link to the open door, and then to the end of their consent."""


class Phone:
    """A person's phone that counts the taps."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.taps = 0

    def tap(self, role: str, name: str) -> None:
        self.page.get_by_role(role, name=name).click()  # type: ignore[arg-type]  # a role
        self.taps += 1

    def chooses(self, question: str, answer: str) -> None:
        self.page.get_by_label(question).select_option(answer)
        self.taps += 1

    def sees(self, heading: str) -> None:
        expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_visible()


def asks(tablet: Page, answer: str) -> None:
    """Touch the kiosk, read its answer, and wait until it sleeps again."""
    expect(tablet.locator("h1:visible")).to_have_text("Touch to open", timeout=PATIENCE_S * 1000)
    tablet.locator("#wake").click()
    expect(tablet.locator("h1:visible")).to_have_text(answer, timeout=PATIENCE_S * 1000)


def test_from_an_invitation_to_the_open_door_and_out_again(
    chromium: Browser,
    page: Page,
    served: ServedSite,
    camera: CameraFile,
    record_property: Callable[[str, object], None],
) -> None:
    link = json.loads(served.volens("invite", "lobby", "--name", "Ada Canary", "--language", "en", "--json"))["link"]
    pairing = json.loads(served.volens("kiosk", "link", "lobby", "--json"))["link"]
    door = chromium.new_context(viewport=TABLET, locale="en-GB")  # type: ignore[arg-type]  # width and height
    tablet = door.new_page()
    tablet.goto(pairing)
    camera.show(samples.views(samples.astronaut(), 4))
    asks(tablet, "This door does not know you")

    phone = Phone(page)
    add_authenticator(page)
    begun = time.monotonic()
    page.goto(link)
    phone.sees("Would you like “Lobby” to know your face?")
    phone.tap("link", "Yes, continue")
    phone.sees("Sign with your own key")
    phone.chooses("Are you at least", "yes")
    phone.tap("button", "Sign with this phone")
    phone.sees("Three pictures of your face")
    phone.tap("button", "A calmer way, without turning the head")
    phone.sees("Try it at the door")
    asks(tablet, "Come in")
    expect(page.locator("#status")).to_contain_text("The door knew you at")
    phone.tap("link", "Go on to my receipt")
    phone.sees("Your face opens “Lobby”")
    phone.tap("link", "My data: see, take, pause or end everything")
    phone.sees("Your face opens the door “Lobby”")
    phone.tap("button", "Withdraw and erase")
    phone.sees("You are forgotten")
    record_property("seconds from the link to the end", round(time.monotonic() - begun, 1))
    assert phone.taps <= MAX_TAPS
    asks(tablet, "This door does not know you")

    with page.expect_download() as saved:
        page.get_by_role("link", name="Save the certificate").click()
    certificate = Path(saved.value.path()).read_bytes()
    auditor = chromium.new_context(viewport=PHONE, locale="en-GB")  # type: ignore[arg-type]  # width and height
    desk = VerifierPage.opened(auditor.new_page(), f"{served.url}/verify")
    auditor.set_offline(True)
    damaged = certificate.replace(b'"certificate"', b'"certificat"')
    verdicts = desk.choose({"certificate.json": certificate, "damaged.json": damaged})
    assert verdicts["certificate.json"].state == "valid"
    assert verdicts["damaged.json"].state != "valid"
    auditor.close()
    door.close()
