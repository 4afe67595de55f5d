"""My data in a real browser: see, correct, save, withdraw, and what stands there afterwards."""

import base64
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from patience import PATIENCE_S, free_port
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from signing import Passkey, make_passkey

from tests.pages.camera import CameraFile
from tests.pages.conftest import PHONE, ServedSite, overflows, serving, violations
from tests.pages.test_every_page import MAX_BYTES
from volens import Site, SubjectKey, TakeHome
from volens.audit import VerifierKey
from volens.consent.receipt_signature import SignatureForm
from volens.consent.relying_party import RelyingParty
from volens.consent.subject_key import SubjectPublicKey
from volens.erase.proof import verify_certificate
from volens.rights import verify_answer
from volens.service import samples
from volens.store.programs import Role

expect.set_options(timeout=PATIENCE_S * 1000)


@dataclass
class Person:
    """A person who gave consent, with the key that signed."""

    take_home: TakeHome
    key: SubjectKey

    @property
    def receipt_id(self) -> str:
        return self.take_home.receipt.claims.receipt_id

    @property
    def code(self) -> str:
        assert self.take_home.code is not None
        return self.take_home.code.reveal()

    @property
    def address(self) -> str:
        return self.take_home.qr_text()


@pytest.fixture(scope="module")
def served(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """A site for all tests of this file; each has a person of its own."""
    home, port = tmp_path_factory.mktemp("my-data") / "home", free_port()
    shutil.copytree(made_site, home)
    with Site.open(home) as site:
        site.defaults.set(public_url=f"http://localhost:{port}")
        site.rights.recipients.add("lab", "Payroll Ltd", contact="dpo@payroll.example")
    with serving(home, port) as process:
        yield ServedSite(home, port, process)


def consented(served: ServedSite, zone: str = "lobby", key: SubjectKey | None = None) -> Person:
    """Give a consent beside the service, as the command line does."""
    key = key or SubjectKey.from_seed(os.urandom(32))
    with Site.open(served.home) as site:
        take_home = site.give_consent(site.notice(zone, "en"), name="Ada Example", jurisdiction="FR", key=key)
    return Person(take_home, key)


def enrolled(served: ServedSite) -> Person:
    person = consented(served)
    with Site.open(served.home) as site:
        site.enroll(person.take_home.to_json(), samples.views(samples.astronaut(), 3))
    return person


def scan(page: Page, person: Person) -> None:
    """Open the address in the QR code of a receipt."""
    page.goto("about:blank")  # else a changed fragment alone does not load the page
    page.goto(person.address)
    page.wait_for_url("**/me/data")


def key_of(served: ServedSite) -> VerifierKey:
    with Site.open(served.home) as site:
        return site.verifier_key


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def withdraw(page: Page) -> None:
    page.get_by_role("button", name="Withdraw and erase").click()
    page.wait_for_url("**/withdrawn")


def test_a_pause_says_until_when_a_door_without_a_connection_may_know_the_person(
    page: Page, served: ServedSite, picture: Callable[[Page, str], None]
) -> None:
    ada = enrolled(served)
    with Site.open(served.home) as site:
        site.zones.set_lease("lobby", 900)
        door, _token = site.programs.credentials.issue(label="left door", role=Role.DOOR, zone="lobby")
        site.programs.leases.reserve(door.credential_id, lease_id="1" * 32)
    scan(page, ada)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("A door without a connection may still recognise you until")).to_be_visible()
    expect(page.get_by_text("Paused at every door")).to_be_visible()
    for language in ("de", "fr", "en"):
        page.set_viewport_size({"width": 320, "height": 700})
        page.goto(f"{served.url}/me/data?lang={language}")
        assert not violations(page)
        assert not overflows(page)
        picture(page, f"my-data-paused-lease-{language}")
    with Site.open(served.home) as site:
        site.programs.credentials.end(door.credential_id)
        site.zones.set_lease("lobby", 0)


def test_from_the_qr_code_to_the_certificate(
    page: Page, served: ServedSite, picture: Callable[[Page, str], None]
) -> None:
    ada = enrolled(served)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    scan(page, ada)
    assert heading(page) == "Your face opens the door “Lobby”"
    assert not [one for one in asked if ada.code.replace("-", "") in one.partition("#")[0]]
    assert not page.evaluate("location.hash")
    assert not violations(page)
    picture(page, "my-data")

    for name, title, file in (
        ("See everything we hold", "What we hold about you", "my-data-details"),
        ("Take everything with you", "Take everything with you", "my-data-download"),
        ("Save or print my receipt", "My receipt", "my-data-receipt"),
        ("New photos", "New photos", "my-data-photos"),
        ("Correct my name", "What is your right name?", "my-data-name"),
    ):
        page.get_by_role("link", name=name).click()
        assert heading(page) == title
        assert not violations(page)
        picture(page, file)
        page.go_back()

    check_files(page, served, ada, picture)
    page.goto(f"{served.url}/me/data")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The door “Lobby” is paused for you")
    assert not violations(page)
    picture(page, "my-data-paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your face opens the door “Lobby”")

    scan(page, ada)
    withdraw(page)
    assert heading(page) == "You are forgotten"
    for line in (
        "“Lobby” stopped",
        "Key destroyed, index and database searched",
        "No one else received data about you",
    ):
        expect(page.get_by_text(line)).to_be_visible()
    assert not violations(page)
    picture(page, "my-data-withdrawn")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save the certificate").click()
    data = Path(saved.value.path()).read_bytes()
    certificate = verify_certificate(data, key_of(served))
    assert certificate.reason == "withdrawn"
    page.emulate_media(media="print")
    assert page.get_by_role("button").count() == 0
    expect(page.get_by_text("Signed by Example Ltd")).to_be_visible()
    page.emulate_media(media="screen")
    page.get_by_role("link", name="Print the certificate").click()
    expect(page.get_by_text(certificate.certificate_id)).to_be_visible()

    scan(page, ada)
    assert heading(page) == "We hold nothing about you under this receipt"
    assert not violations(page)
    picture(page, "my-data-ended")
    page.get_by_role("link", name="Check it here").click()
    page.wait_for_selector("#verify-drop[data-ready]")
    page.set_input_files("#verify-files", {"name": "c.json", "mimeType": "application/json", "buffer": data})
    page.wait_for_selector("#verify-verdicts article[data-state=valid]")


def check_files(page: Page, served: ServedSite, ada: Person, picture: Callable[[Page, str], None]) -> None:
    """Save the answer and the receipt, and print the sheet."""
    page.get_by_role("link", name="Take everything with you").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the file now").click()
    assert verify_answer(Path(saved.value.path()).read_bytes(), key_of(served))["holds_anything"]
    expect(page.get_by_text("The file was saved on this device.")).to_be_visible()

    page.goto(f"{served.url}/me/consents/{ada.receipt_id}/receipt")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save the file").click()
    assert TakeHome.parse(Path(saved.value.path()).read_bytes()).qr_text() == ada.address
    page.get_by_role("link", name="Print one sheet").click()
    expect(page.get_by_text(ada.code)).to_be_visible()
    picture(page, "my-data-sheet")


def test_new_photos_replace_the_old_ones_if_they_show_the_same_face(
    page: Page, served: ServedSite, tmp_path: Path
) -> None:
    scan(page, enrolled(served))
    files = []
    for number, photo in enumerate(samples.views(samples.astronaut(), 4)):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(photo.pixels).save(files[-1])
    page.get_by_role("link", name="New photos").click()
    page.get_by_role("button", name="I would rather upload photos").click()
    page.get_by_label("Three photos").set_input_files(files[:1])
    page.get_by_role("button", name="Use these photos").click()
    expect(page.get_by_role("alert")).to_have_text("Choose three photos or more.")
    page.get_by_label("Three photos").set_input_files(files[1:])
    page.get_by_role("button", name="Use these photos").click()
    expect(page.get_by_role("status")).to_contain_text("The door now compares with the new photos.")
    page.get_by_role("link", name="Back").click()
    withdraw(page)


def test_the_camera_takes_new_photos_and_says_what_to_do_as_at_the_invitation(
    page: Page, served: ServedSite, camera: CameraFile, picture: Callable[[Page, str], None]
) -> None:
    scan(page, enrolled(served))
    page.get_by_role("link", name="New photos").click()
    camera.show(samples.views(samples.group(), 1))
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One person, please")
    assert not violations(page)
    picture(page, "my-data-camera")
    page.get_by_role("button", name="Stop the camera").click()
    camera.show(samples.views(samples.astronaut(), 3))
    page.get_by_role("button", name="A calmer way").click()
    expect(page.get_by_role("status")).to_contain_text("The door now compares with the new photos.")
    assert not violations(page)
    page.go_back()
    page.get_by_role("link", name="Back").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()  # the page leads on by itself
    page.get_by_role("link", name="New photos").click()
    expect(page.get_by_text("Your consent is paused, so nothing is compared.")).to_be_visible()


def test_a_typed_code_a_wrong_one_and_the_file_that_was_taken_home(
    page: Page, served: ServedSite, tmp_path: Path, picture: Callable[[Page, str], None]
) -> None:
    ada = consented(served)
    page.goto(f"{served.url}/me")
    assert not violations(page)
    picture(page, "my-data-entry")
    field, problem = page.get_by_label("Code on your receipt"), page.get_by_role("alert")
    page.keyboard.press("Tab")
    for _ in range(10):
        if page.evaluate("document.activeElement.id") == "code":
            break
        page.keyboard.press("Tab")
    page.keyboard.type("00000-00000-00000-00000-00000-0")
    page.keyboard.press("Enter")
    expect(problem).to_contain_text("No consent is in force for this code")
    expect(field).to_be_focused()
    field.fill("not a code")
    page.keyboard.press("Enter")
    expect(problem).to_contain_text("26 letters and digits")
    picture(page, "my-data-wrong-code")
    field.fill(f"  {ada.code.lower().replace('-', ' ')} ")
    page.keyboard.press("Enter")
    page.wait_for_url("**/me/data")
    assert heading(page) == "You agreed for the door “Lobby”"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Withdraw and erase":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/withdrawn")

    page.get_by_role("button", name="Close this page on this device").click()
    page.wait_for_url("**/me")
    wrong, right = tmp_path / "wrong.json", tmp_path / "ada.receipt.json"
    wrong.write_text(json.dumps({"receipt": "x"}))
    right.write_bytes(ada.take_home.to_json())
    page.get_by_label("or the file that you took home").set_input_files(wrong)
    page.get_by_role("button", name="Continue").click()
    expect(problem).to_contain_text("This file is not a receipt")
    page.get_by_label("or the file that you took home").set_input_files(right)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/me/data")


def test_a_passkey_signs_a_renewal_and_the_new_receipt_is_saved(
    page: Page, served: ServedSite, picture: Callable[[Page, str], None]
) -> None:
    with Site.open(served.home) as site:
        party = site.defaults.public_url()
        assert party is not None
        passkey = replace(make_passkey(), party=party)
        terms = {"form": SignatureForm.PASSKEY, "jurisdiction": "FR", "valid_days": 10}
        offer = site.offer_consent(site.notice("lobby", "en"), public_key=passkey.public, **terms)
        signed = passkey.token(offer.document).encode()
        ada = Person(
            site.accept_consent(site.notice("lobby", "en"), signed, name="Ada"), SubjectKey.from_seed(bytes(32))
        )
    scan(page, ada)
    expect(page.get_by_text("10 days left")).to_be_visible()
    page.get_by_role("link", name="Go on for longer").click()
    assert heading(page) == "Go on for longer?"
    assert not violations(page)
    page.get_by_text("Read the notice").click()
    expect(page.get_by_text("We compare your face with your reference")).to_be_visible()
    picture(page, "my-data-renewal")
    hold = add_authenticator(page)
    page.get_by_role("button", name="Sign and go on").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed.")
    hold(passkey, party)
    page.get_by_role("button", name="Sign and go on").click()
    expect(page.get_by_role("status")).to_contain_text("Save the new receipt now")
    picture(page, "my-data-renewed")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save the file").click()
    new = TakeHome.parse(Path(saved.value.path()).read_bytes())
    assert new.qr_text() != ada.address
    scan(page, Person(new, ada.key))
    withdraw(page)


def test_a_key_of_this_browser_signs_a_renewal(page: Page, served: ServedSite) -> None:
    page.goto(f"{served.url}/me")
    sign = "/".join([*page.get_attribute("link[rel=stylesheet]", "href").split("/")[:-1], "sign.js"])
    jwk = page.evaluate("async sign => (await import(sign)).makeBrowserKey('lobby')", sign)
    with Site.open(served.home) as site:
        notice = site.notice("lobby", "en")
        terms = {"form": SignatureForm.PERSON_KEY, "jurisdiction": "FR"}
        offer = site.offer_consent(notice, public_key=SubjectPublicKey.from_jwk(jwk), **terms)
        script = "async ([sign, offer]) => (await (await import(sign)).signWithBrowserKey(offer, 'lobby')).signed"
        signed = page.evaluate(script, [sign, {"signing_input": offer.signing_input.decode()}])
        ada = Person(site.accept_consent(notice, signed.encode(), name="Ada"), SubjectKey.from_seed(bytes(32)))
    scan(page, ada)
    held: list[Route] = []

    def hold(script: Route) -> None:
        held.append(script)

    page.route("**/renewal.js", hold, times=1)
    page.get_by_role("link", name="Go on for longer").click(no_wait_after=True)
    expect(page.get_by_role("button", name="Sign and go on")).to_be_disabled()  # an early tap is not lost
    held[0].continue_()
    page.get_by_role("button", name="Sign and go on").click()
    expect(page.get_by_role("status")).to_contain_text("Save the new receipt now")
    page.evaluate("async sign => (await import(sign)).forgetBrowserKey('lobby')", sign)
    page.get_by_role("link", name="Back").click()
    page.get_by_role("link", name="Go on for longer").click()
    page.get_by_role("button", name="Sign and go on").click()
    expect(page.get_by_role("alert")).to_contain_text("not in this browser")


def add_authenticator(page: Page) -> Callable[[Passkey, RelyingParty], None]:
    """Give the browser a virtual authenticator without a passkey, and return how to add one that was made elsewhere."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable", {"enableUI": False})
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    def hold(passkey: Passkey, party: RelyingParty) -> None:
        private = passkey.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        credential = {
            "credentialId": base64.b64encode(os.urandom(16)).decode(),
            "isResidentCredential": True,
            "rpId": party.rp_id,
            "privateKey": base64.b64encode(private).decode(),
            "userHandle": base64.b64encode(b"ada").decode(),
            "signCount": 1,
        }
        session.send("WebAuthn.addCredential", {"authenticatorId": made["authenticatorId"], "credential": credential})

    return hold


def test_an_old_receipt_leads_to_the_newer_consent(
    page: Page, served: ServedSite, picture: Callable[[Page, str], None]
) -> None:
    old = consented(served)
    with Site.open(served.home) as site:
        site.changes.renew(old.take_home.receipt.claims.receipt_id, site.notice("lobby", "en"), key=old.key)
    scan(page, old)
    assert heading(page) == "This receipt is an old one"
    assert not violations(page)
    picture(page, "my-data-old-receipt")
    page.get_by_role("link", name="See or end it").click()
    assert heading(page) == "You agreed for the door “Lobby”"
    withdraw(page)
    scan(page, old)
    assert heading(page) == "We hold nothing about you under this receipt"


def test_two_tabs_the_back_button_and_a_double_click(page: Page, context: BrowserContext, served: ServedSite) -> None:
    ada = consented(served)
    scan(page, ada)
    page.get_by_role("link", name="Correct my name").click()
    page.get_by_label("Name").fill("Ada Newname")
    page.get_by_role("button", name="Correct my name").click()
    expect(page.get_by_role("status")).to_contain_text("The name is now Ada Newname.")
    page.go_back()
    page.get_by_role("link", name="See everything we hold").click()
    expect(page.get_by_text("Ada Newname")).to_be_visible()
    page.goto(f"{served.url}/me/consents/{ada.receipt_id}/name")

    other = context.new_page()
    other.goto(f"{served.url}/me/data")
    sent: list[str] = []
    other.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    other.get_by_role("button", name="Withdraw and erase").dblclick()
    other.wait_for_url("**/withdrawn")
    assert len(sent) == 1

    page.get_by_label("Name").fill("Ada Later")
    page.get_by_role("button", name="Correct my name").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("We hold nothing about you under this receipt")
    other.goto(f"{served.url}/me/data")
    other.get_by_role("button", name="Close this page on this device").click()
    other.wait_for_url("**/me")
    page.reload()
    expect(page.get_by_text("Enter the code again.")).to_be_visible()


def test_without_a_connection_the_page_says_so_and_works_again_afterwards(
    page: Page, context: BrowserContext, served: ServedSite
) -> None:
    scan(page, consented(served))
    context.set_offline(True)
    page.get_by_role("button", name="Withdraw and erase").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no connection")
    context.set_offline(False)
    withdraw(page)
    assert heading(page) == "You are forgotten"


def test_while_the_disk_is_locked_the_page_says_what_is_promised_and_then_follows_the_erasure(
    page: Page, served: ServedSite, picture: Callable[[Page, str], None]
) -> None:
    scan(page, consented(served))
    with closing(sqlite3.connect(served.home / "volens.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        withdraw(page)
        assert heading(page) == "Stopped, and not written down yet"
        expect(page.get_by_text("Not promised")).to_be_visible()
        assert not violations(page)
        picture(page, "my-data-pending")
        other.execute("ROLLBACK")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are forgotten")
    expect(page.get_by_role("link", name="Save the certificate")).to_be_visible()


def test_a_recipient_that_has_not_answered_is_named(
    page: Page, served: ServedSite, picture: Callable[[Page, str], None]
) -> None:
    scan(page, consented(served, "lab"))
    expect(page.get_by_text("one half with you, one here")).to_be_visible()
    expect(page.get_by_text("Payroll Ltd")).to_be_visible()
    withdraw(page)
    expect(page.get_by_text("Payroll Ltd was told, and has not answered yet")).to_be_visible()
    picture(page, "my-data-recipients")


@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_every_page_fits_every_screen_in_each_language(
    chromium: Browser, served: ServedSite, language: str, picture: Callable[[Page, str], None]
) -> None:
    ada = consented(served)
    pages = ["/me", "/me/data"]
    parts = ("details", "name", "photos", "download", "receipt", "renewal")
    pages += [f"/me/consents/{ada.receipt_id}/{one}" for one in parts]
    for scheme, width, zoom in (("dark", 320, 1), ("light", 640, 2)):
        context = chromium.new_context(
            viewport={"width": width, "height": 700}, locale=language, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        scan(page, ada)
        sizes: list[int] = []
        page.on("response", lambda answer, sizes=sizes: sizes.append(len(answer.body())))
        for path in pages:
            sizes.clear()
            page.goto(f"{served.url}{path}")
            assert sum(sizes) < MAX_BYTES, path
            page.evaluate("zoom => { document.documentElement.style.zoom = zoom }", zoom)
            assert page.locator("html").get_attribute("lang") == language
            assert not overflows(page), path
            assert not page.evaluate("document.getAnimations().length")
            if zoom == 1:
                assert not violations(page), path
        if zoom == 1:
            page.goto(f"{served.url}/me/data")
            picture(page, f"my-data-{language}-{scheme}")
        context.close()


def test_what_was_opened_is_readable_without_a_script(
    chromium: Browser, context: BrowserContext, page: Page, served: ServedSite
) -> None:
    ada = consented(served)
    scan(page, ada)
    without = chromium.new_context(viewport=PHONE, java_script_enabled=False, storage_state=context.storage_state())
    reader = without.new_page()
    reader.goto(f"{served.url}/me/data")
    assert heading(reader) == "You agreed for the door “Lobby”"
    reader.get_by_role("link", name="See everything we hold").click()
    expect(reader.get_by_text("Ada Example")).to_be_visible()
    without.close()
