"""The desk in a real browser: lists, one person, a new code, photos, invitations, and a table of people."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, expect

from tests.pages.camera import CameraFile
from tests.pages.conftest import ServedSite, one_site, overflows, violations
from tests.pages.staff_browser import signed_in
from tests.pages.test_every_page import MAX_BYTES
from tests.pages.test_own_key_page import opens
from tests.pages.test_page_pictures import photo_files
from volens import Badge, Site, SubjectKey, TakeHome
from volens.consent import PersonSecret, VolensError
from volens.rights import PersonEntry
from volens.service import samples

PEOPLE = ("Ada Example", "Grace <b>Example</b>", "Mary Sample")


@pytest.fixture(scope="module")
def served(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """A site for all tests of this file: three people consented, one of them is enrolled, and one is invited."""
    for site_of_all in one_site(made_site, tmp_path_factory.mktemp("desk")):
        with Site.open(site_of_all.home) as site:
            for number, name in enumerate(PEOPLE, 1):
                given = site.give_consent(
                    site.notice("lobby", "en"),
                    name=name,
                    jurisdiction="FR",
                    key=SubjectKey.from_seed(bytes([number]) * 32),
                )
                if number == 1:
                    site.enroll(given.to_json(), samples.views(samples.astronaut(), 3))
            site.invitations.invite("lobby", name="Lin Invited", jurisdiction="FR", language="en")
            site.invitations.invite("lab", name="Lab Invited", jurisdiction="FR", language="en")
        yield site_of_all


def known(served: ServedSite, part: str) -> PersonEntry:
    """Return what the site itself knows of a person."""
    with Site.open(served.home) as site:
        (found,) = site.people.find(part).entries
    return found


def test_a_member_of_a_zone_finds_a_person_and_sees_no_other_zone(
    page: Page, served: ServedSite, picture: Callable[[Page, str], None], tmp_path: Path
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    signed_in(page, served, "desk", "lobby")
    expect(page.get_by_role("heading", level=1)).to_have_text("People")
    expect(page.get_by_role("link", name="1 invited, no answer yet")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(4)
    assert page.locator("td b, th b").count() == 0, "a name with markup is text"
    assert not violations(page)
    picture(page, "desk-people")
    page.get_by_role("link", name="without photos").click()
    expect(page.get_by_role("row")).to_have_count(3)
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save this list as CSV").click()
    saved.value.save_as(tmp_path / "people.csv")
    with (tmp_path / "people.csv").open(newline="") as file:
        assert {row["name"] for row in csv.DictReader(file)} == set(PEOPLE[1:])
    page.get_by_label("A part of the name").fill("SAMPL")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Search")
    page.get_by_role("link", name="Mary Sample").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mary Sample")
    assert not any("ampl" in url.lower() for url in asked), "a name is in no address"
    assert page.goto(f"{served.url}/desk?zone=lab").status == 403  # type: ignore[union-attr]
    assert page.goto(f"{served.url}/desk/invitations?zone=lab").status == 403  # type: ignore[union-attr]
    page.goto(f"{served.url}/desk/invitations")
    expect(page.get_by_text("Lin Invited")).to_be_visible()
    expect(page.get_by_text("Lab Invited")).to_have_count(0)


def test_the_desk_issues_a_code_once_corrects_a_name_and_pauses(
    page: Page, served: ServedSite, picture: Callable[[Page, str], None]
) -> None:
    signed_in(page, served, "desk")
    page.goto(f"{served.url}/desk/people/{known(served, 'grace').consent.subject_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Grace <b>Example</b>")
    assert not violations(page)
    picture(page, "desk-person")
    page.get_by_text("Correct the name").first.click()
    page.get_by_label("The right name").fill("Grace Rightname")
    page.get_by_role("button", name="Correct the name").click()
    expect(page.get_by_role("status")).to_have_text("The name was corrected.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Grace Rightname")
    page.get_by_text("Pause", exact=True).first.click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("Paused")
    assert known(served, "grace").consent.restricted_at is not None
    page.get_by_text("Resume", exact=True).first.click()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("details[open] [role=alert]")).to_be_visible()
    page.get_by_label("wants to be recognised again").check()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("Resumed")

    page.get_by_text("The code is lost", exact=True).click()
    page.get_by_role("button", name="Issue a new code").click()
    expect(page.locator("details[open] [role=alert]")).to_be_visible()
    page.get_by_label("this is the person").check()
    page.get_by_role("button", name="Issue a new code").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The new code")
    code = page.locator("code").inner_text()
    assert code not in page.url
    assert not violations(page)
    with page.expect_popup() as sheet:
        page.get_by_role("button", name="Print the sheet").click()
    expect(sheet.value.get_by_text(code).first).to_be_visible()
    sheet.value.close()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the file").click()
    assert json.loads(saved.value.path().read_text())["withdrawal_code"] == code
    with Site.open(served.home) as site:
        assert site.rights.consent_shown(code=code) == known(served, "grace").consent.receipt_id
    page.goto(f"{served.url}/desk/code")
    expect(page.get_by_role("heading", level=1)).to_have_text("People")


def test_the_desk_takes_first_photos_and_refuses_poor_ones_in_words(
    page: Page, served: ServedSite, camera: CameraFile, tmp_path: Path, picture: Callable[[Page, str], None]
) -> None:
    mary = known(served, "mary").consent
    files = photo_files(tmp_path)
    grey = tmp_path / "grey.png"
    Image.new("RGB", (400, 400), (90, 90, 90)).save(grey)
    signed_in(page, served, "desk")
    page.goto(f"{served.url}/desk/people/{mary.subject_id}")
    page.get_by_role("link", name="Take the first photos").click()
    assert not violations(page)
    page.get_by_role("button", name="Upload photos").click()
    page.get_by_label("Three photos").set_input_files([grey, *files[1:]])
    page.get_by_role("button", name="Use these photos").click()
    expect(page.get_by_role("alert")).to_have_text(
        "No face was found in the photo. Take it upright, with light from the front. (photo 1)"
    )
    picture(page, "desk-photos-refused")
    for language, sentence in (
        ("fr", "Aucun visage n’a été trouvé sur la photo. Prenez-la droite, avec de la lumière de face. (photo 2)"),  # noqa: RUF001
        ("de", "Auf dem Foto wurde kein Gesicht gefunden. Nehmen Sie es aufrecht und mit Licht von vorn auf. (Foto 2)"),
    ):
        page.goto(f"{served.url}/desk/photos/{mary.receipt_id}?lang={language}")
        page.locator("#upload").click()
        page.locator("#chosen").set_input_files([files[0], grey, files[2]])
        page.locator("#send").click()
        expect(page.get_by_role("alert")).to_have_text(sentence)
        picture(page, f"desk-photos-refused-{language}")
    page.goto(f"{served.url}/desk/photos/{mary.receipt_id}?lang=en")
    page.get_by_role("button", name="Upload photos").click()
    assert known(served, "mary").consent.references == 0
    page.get_by_label("Three photos").set_input_files(files)
    page.get_by_role("button", name="Use these photos").click()
    expect(page.get_by_role("alert")).to_contain_text("under another consent")

    ada = known(served, "ada").consent
    camera.show(samples.views(samples.astronaut(), 3))
    page.goto(f"{served.url}/desk/photos/{ada.receipt_id}")
    page.get_by_role("button", name="The camera, without turning the head").click()
    expect(page.get_by_role("status")).to_contain_text("The photos are done.")


def test_the_desk_invites_sends_a_new_link_cancels_and_imports(
    page: Page, served: ServedSite, tmp_path: Path, picture: Callable[[Page, str], None]
) -> None:
    signed_in(page, served, "desk", "lobby")
    page.get_by_role("link", name="Invitations").click()
    page.get_by_role("link", name="Invite people").click()
    assert not violations(page)
    one = page.locator("form").filter(has=page.get_by_role("button", name="Make the link"))
    one.get_by_label("Name", exact=True).fill("Ann Newcomer")
    one.get_by_label("Language of the notice").select_option("en")
    page.get_by_role("button", name="Make the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The link for Ann Newcomer")
    link = page.locator("#link").inner_text()
    assert link in page.locator("#mail").inner_text()
    assert link in page.locator("#sms").inner_text()
    assert not violations(page)
    picture(page, "desk-letter")
    page.goto(f"{served.url}/desk/invitations")
    page.get_by_role("button", name="New link for Ann Newcomer").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The link for Ann Newcomer")
    assert page.locator("#link").inner_text() != link
    page.goto(f"{served.url}/desk/invitations")
    page.get_by_role("button", name="Cancel the invitation of Ann Newcomer").click()
    expect(page.get_by_text("Ann Newcomer")).to_have_count(0)

    page.goto(f"{served.url}/desk/invitations/new")
    table = tmp_path / "people.csv"
    table.write_text("name,zone,language\nBo Tabled,,fr\n=Evil(1),,de\nCy Elsewhere,lab,en\n")
    many = page.locator("form").filter(has=page.get_by_role("button", name="Invite all"))
    many.get_by_label("CSV file").set_input_files(table)
    page.get_by_role("button", name="Invite all").click()
    expect(page.get_by_role("status")).to_have_text("2 invited, 1 refused")
    assert not violations(page)
    picture(page, "desk-import")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the report").click()
    saved.value.save_as(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["link"]) for row in rows] == [True, True, False]
    assert rows[1]["name"] == "'=Evil(1)", "no cell is a formula"
    assert "another zone" in rows[2]["reason"]
    page.get_by_role("button", name="Invite all").click()
    expect(page.get_by_role("status")).to_have_text("0 invited, 3 refused")


def gave_consent(served: ServedSite, zone: str, name: str) -> TakeHome:
    """Record a consent of a person without photos, beside the service."""
    with Site.open(served.home) as site:
        key = SubjectKey.from_seed(name.encode().ljust(32))
        return site.give_consent(site.notice(zone, "en"), name=name, jurisdiction="FR", key=key)


def upload(page: Page, files: list[Path]) -> None:
    page.get_by_role("button", name="Upload photos").click()
    page.get_by_label("Three photos").set_input_files(files)
    page.get_by_role("button", name="Use these photos").click()


def test_the_desk_takes_photos_with_the_key_that_the_person_shows(
    page: Page, served: ServedSite, tmp_path: Path, picture: Callable[[Page, str], None]
) -> None:
    pat, files = gave_consent(served, "lab", "Pat Holder"), photo_files(tmp_path)
    assert pat.secret is not None
    signed_in(page, served, "desk")
    for typed, sentence in (("", "key is needed"), (PersonSecret(bytes(32)).reveal(), "not the key that goes with")):
        page.goto(f"{served.url}/desk/photos/{pat.receipt.claims.receipt_id}")
        page.get_by_label("The text behind its square").fill(typed)
        upload(page, files)
        expect(page.get_by_role("alert")).to_contain_text(sentence)
        assert known(served, "Pat Holder").consent.references == 0
    for what in ("Take the first photos", "New photos"):
        page.goto(f"{served.url}/desk/people/{pat.receipt.claims.subject_id}")
        page.get_by_role("link", name=what).click()
        page.get_by_label("The text behind its square").fill(pat.secret.reveal())
        picture(page, f"desk-photos-lab-{what.split()[0].lower()}")
        upload(page, files)
        expect(page.get_by_role("status")).to_contain_text("The photos are done.")
    assert opens(served, pat, pat.secret, "lab")


def test_the_desk_hands_over_a_badge_and_makes_it_again_from_the_old_one(
    page: Page, served: ServedSite, tmp_path: Path
) -> None:
    kim, files, badge = gave_consent(served, "archive", "Kim Bearer"), photo_files(tmp_path), tmp_path / "badge.bin"
    address = f"{served.url}/desk/photos/{kim.receipt.claims.receipt_id}"
    signed_in(page, served, "desk")
    page.goto(address)
    upload(page, files)
    first = handed_over(page)
    assert page.locator(".qr img").count() == 2
    assert not violations(page)
    page.goto(address)
    upload(page, files)
    expect(page.get_by_role("alert")).to_contain_text("badge is needed")
    for content in (first[:-1] + bytes([first[-1] ^ 1]), first):
        badge.write_bytes(content)
        page.goto(address)
        page.get_by_label("The file of the badge").set_input_files(badge)
        upload(page, files)
        if content is not first:
            expect(page.get_by_role("alert")).to_contain_text("Nothing was changed.")
    second = handed_over(page)
    page.goto(f"{served.url}/desk/badge")
    expect(page.get_by_role("heading", level=1)).to_have_text("People")
    assert opens(served, kim, Badge.parse(second), "archive")
    with pytest.raises(VolensError, match="badge"):
        opens(served, kim, Badge.parse(first), "archive")


def handed_over(page: Page) -> bytes:
    """Return the badge that the page hands over, as a person saves it."""
    expect(page.get_by_role("heading", level=1)).to_have_text("The new badge")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save the file").click()
    return Path(saved.value.path()).read_bytes()


@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_every_page_of_the_desk_fits_a_narrow_screen_light_and_dark(
    chromium: Browser, served: ServedSite, language: str, picture: Callable[[Page, str], None]
) -> None:
    ada = known(served, "ada").consent
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.set_viewport_size({"width": 320, "height": 700})
    finished: list[Request] = []

    def note(request: Request) -> None:
        finished.append(request)

    page.on("requestfinished", note)
    signed_in(page, served, "desk")
    page.goto(f"{served.url}/desk?lang={language}")
    paths = ("", f"/people/{ada.subject_id}", f"/photos/{ada.receipt_id}", "/invitations", "/invitations/new")
    for path in paths:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            finished.clear()
            page.goto(f"{served.url}/desk{path}")
            assert sum(one.sizes()["responseBodySize"] for one in finished) < MAX_BYTES, path
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
            assert page.locator("html").get_attribute("lang") == language
            assert not violations(page), path
            assert not overflows(page), path
            name = {"people": "person"}.get(path.split("/")[1], path.split("/")[1]) if path else "people"
            picture(page, f"desk-{name}{'-new' if path.endswith('new') else ''}-{language}-{scheme}")
    context.close()
