"""The operator in a real browser: signs in, sees each page, pauses a zone, pairs a tablet, invites a member."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.pages.conftest import ServedSite, one_site, overflows, violations
from tests.pages.staff_browser import signed_in
from volens import Site
from volens.store.programs import DoorReport, Role
from volens.store.programs.door_reports import quarter_of

PAGES = {
    "": "Overview",
    "/zones": "Zones and doors",
    "/refusals": "Why was a person refused?",
    "/health": "Health",
    "/keys": "Keys and backups",
    "/staff": "Staff",
}


@pytest.fixture(scope="module")
def site(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """One site for this module, with two doors; a test that changes it changes it back."""
    for served in one_site(made_site, tmp_path_factory.mktemp("operator")):
        with Site.open(served.home) as site:
            now, programs = site.now(), site.programs
            good, bad = (
                DoorReport(
                    programs.credentials.issue(label=label, role=Role.DOOR, zone="lobby")[0].credential_id,
                    now - timedelta(minutes=minutes),
                    version="0.1.0",
                    offset_ms=offset_ms,
                    uncertainty_ms=21,
                    certificate_until=now + timedelta(days=200),
                    decided_at=quarter_of(now),
                )
                for label, minutes, offset_ms in (("side door", 0, 12), ("back door", 90, -61_305))
            )
            programs.doors.record([good, bad])
            site.zones.set_lease("lobby", 900)
            site.zones.set_after_lease("lobby", "badge")
            programs.leases.reserve(good.door_id, lease_id="0" * 32)
        yield served


@pytest.fixture
def operator(page: Page, site: ServedSite) -> Page:
    signed_in(page, site, "operator")
    return page


def test_every_page_is_accessible_narrow_and_dark_in_three_languages(
    site: ServedSite, operator: Page, picture: Callable[[Page, str], None]
) -> None:
    for part, heading in PAGES.items():
        for language, scheme, width in (("de", "dark", 320), ("fr", "light", 320), ("en", "light", 1100)):
            operator.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # of the table
            operator.set_viewport_size({"width": width, "height": 700})
            operator.goto(f"{site.url}/operator{part}?lang={language}")
            assert operator.locator("html").get_attribute("lang") == language
            assert not violations(operator), (part, language)
            assert not overflows(operator), (part, language)
            picture(operator, f"operator{part.replace('/', '-')}-{language}")
        expect(operator.get_by_role("heading", name=heading, level=1)).to_be_visible()


def test_the_overview_names_a_door_that_is_silent_and_leads_to_the_table(site: ServedSite, operator: Page) -> None:
    operator.goto(f"{site.url}/operator")
    expect(operator.get_by_text("The clock of the door back door is wrong.")).to_be_visible()
    silent = operator.get_by_role("listitem").filter(has_text="The door back door has said nothing since")
    silent.get_by_role("link", name="See the list").click()
    table = operator.get_by_role("region", name="Doors and nodes")
    back = table.get_by_role("row").filter(has_text="back door")
    expect(back).to_contain_text("-61.305 s ± 0.021 s")
    expect(back).to_contain_text("silent")
    expect(back).to_contain_text("none (then badges only)")
    expect(table.get_by_role("row").filter(has_text="side door")).to_contain_text("good")


def test_the_overview_ends_a_pause_with_one_button(
    site: ServedSite, operator: Page, picture: Callable[[Page, str], None]
) -> None:
    with Site.open(site.home) as opened:
        opened.zones.set_lease("lobby", 60)
        door = next(one for one in opened.programs.credentials.list() if one.label == "side door")
        opened.programs.leases.reserve(door.credential_id, lease_id="1" * 32)
    operator.goto(f"{site.url}/operator/zones")
    lobby = operator.get_by_role("region", name="Lobby")
    lobby.get_by_role("button", name="Pause: match no one here").click()
    expect(lobby.get_by_text("Paused", exact=True)).to_be_visible()
    expect(lobby.get_by_text("Paused since")).to_be_visible()
    expect(lobby.get_by_text("Paused at every door")).to_be_visible()
    picture(operator, "operator-zones-paused")
    operator.goto(f"{site.url}/operator")
    expect(operator.get_by_text("Lobby is paused")).to_be_visible()
    operator.get_by_role("button", name="End the pause").click()
    expect(operator.get_by_text("Lobby is paused")).to_have_count(0)


def test_a_tablet_is_paired_by_the_link_and_ended(
    site: ServedSite, operator: Page, context: BrowserContext, picture: Callable[[Page, str], None]
) -> None:
    operator.goto(f"{site.url}/operator/zones")
    lobby = operator.get_by_role("region", name="Lobby")
    lobby.get_by_text("Pair a tablet as a kiosk").click()
    lobby.get_by_label("Name of the tablet").fill("left door")
    lobby.get_by_role("button", name="Make the link").click()
    shown = operator.get_by_role("region", name="The link, shown once")
    expect(shown).to_be_visible()
    assert not violations(operator)
    picture(operator, "operator-link")
    link = shown.locator("#link-text").inner_text()
    tablet = context.new_page()
    tablet.goto(link)
    expect(tablet.get_by_role("heading", name="Touch to open")).to_be_visible()
    tablet.close()
    shown.get_by_role("button", name="Done").click()
    row = lobby.get_by_role("row").filter(has_text="left door")
    row.locator("summary").click()
    row.get_by_role("button", name="End it now, for good").click()
    expect(row).to_have_count(0)


def test_a_title_is_changed_and_a_zone_added_with_the_keyboard(site: ServedSite, operator: Page) -> None:
    operator.goto(f"{site.url}/operator/zones")
    archive = operator.get_by_role("region", name="Archive")
    archive.get_by_text("Change the title").press("Enter")
    archive.get_by_label("Title").fill("Records")
    archive.get_by_label("Title").press("Enter")
    expect(operator.get_by_role("region", name="Records")).to_be_visible()
    operator.get_by_text("Who, why and for how long").press("Enter")
    new = operator.get_by_role("region", name="Add a zone")
    new.get_by_label("Name in receipts").fill("attic")
    new.get_by_label("Why it is needed").fill("boxes are carried with both hands")
    new.get_by_label("The way in for people who say no").fill("a badge")
    new.get_by_label("The way in for people who say no").press("Enter")
    expect(operator.get_by_role("region", name="attic")).to_be_visible()


def test_a_member_is_invited_gets_a_new_link_and_is_ended(site: ServedSite, operator: Page) -> None:
    operator.goto(f"{site.url}/operator/staff")
    expect(operator.get_by_text("(you)")).to_be_visible()
    operator.get_by_label("Name of the member or of the place").fill("night shift")
    operator.get_by_role("button", name="Make the link").click()
    link = operator.locator("#link-text")
    expect(link).to_contain_text("/staff#volens_")
    first = link.inner_text()
    operator.get_by_role("button", name="Done").click()
    row = operator.get_by_role("row").filter(has_text="night shift")
    row.get_by_text("New link").click()
    row.get_by_role("button", name="End the passkey, make a link").click()
    expect(link).to_contain_text("/staff#volens_")
    assert link.inner_text() != first
    operator.get_by_role("button", name="Done").click()
    row.locator("summary").last.click()
    row.get_by_role("button", name="End the sign-in now").click()
    expect(row).to_have_count(0)


def test_a_button_without_a_network_says_so(site: ServedSite, operator: Page, context: BrowserContext) -> None:
    operator.goto(f"{site.url}/operator/zones")
    context.set_offline(True)
    operator.get_by_role("region", name="Lobby").get_by_role("button", name="Pause").click()
    expect(operator.get_by_role("alert")).to_contain_text("There is no connection")
    context.set_offline(False)
