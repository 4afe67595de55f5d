"""Leases and servers in words: the certificate, the withdrawal with its two times, and the fleet, in three languages.

One door gave up its lease when a person withdrew. The other was silent, so that its lease runs out.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import PHONE, ServedSite, one_site
from tests.pages.test_page_pictures import CUT, WIDTHS, signed_in_as
from volens import Site, SubjectKey, TakeHome
from volens.erase.pages import PageLanguage
from volens.erase.proof import NOT_PROMISED_ON_SERVER, verify_certificate
from volens.service.certificate_page import certificate_page
from volens.service.sample_notice import publish_sample_notice
from volens.store import utc_now
from volens.store.programs import DoorReport, Role

LANGUAGES: tuple[PageLanguage, ...] = ("en", "fr", "de")
GAVE_UP, SILENT = "Goods entrance", "North gate"


@dataclass
class Scene:
    """A site whose lobby has leases, and its two doors by their labels."""

    served: ServedSite
    doors: dict[str, str]

    def withdrawn(self) -> tuple[TakeHome, Path]:
        """Let a person withdraw while both doors hold a lease; return what they keep, and the certificate."""
        now = utc_now()  # the moment of everything here: no door gives up before the end, and none after the wait
        with Site.open(self.served.home, clock=lambda: now) as site:
            key = SubjectKey.from_seed(secrets.token_bytes(32))
            taken = site.give_consent(site.notice("lobby", "en"), name="Ada Example", jurisdiction="FR", key=key)
            leases = site.programs.leases
            given = {
                label: leases.reserve(door, lease_id=secrets.token_hex(16))[0].lease_id
                for label, door in self.doors.items()
            }
            leases.acknowledge(self.doors[GAVE_UP], given[GAVE_UP], holds=False)
            done = site.withdraw(receipt=taken.to_json())
            assert [one.acknowledged_at is None for one in done.holders] == [False, True]
            return taken, done.erased.certificate_path


@pytest.fixture(scope="module")
def scene(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    sites = one_site(made_site, tmp_path_factory.mktemp("leases"))
    scene = Scene(next(sites), {})
    with Site.open(scene.served.home) as site:
        site.zones.set_lease("lobby", 60)
        publish_sample_notice(site, "lobby", more="Doors may decide for a minute without a connection.\n")
        for label in (GAVE_UP, SILENT):
            door, _token = site.programs.credentials.issue(label=label, role=Role.DOOR, zone="lobby")
            scene.doors[label] = door.credential_id
            known = DoorReport(door.credential_id, site.now(), purpose="lobby", version="0.1.0", offset_ms=-12)
            site.programs.doors.record([replace(known, uncertainty_ms=4)])
    yield scene
    sites.close()


def look(page: Page, language: PageLanguage, picture: Callable[[Page, str], None], name: str) -> None:
    """Take the picture of the page that is open, and check that nothing is cut at each width."""
    if language == "en":
        picture(page, name)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 700})
        assert page.locator("html").get_attribute("lang") == language
        assert page.evaluate(CUT) == [], f"{name} in {language} at {width}"
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # width and height


def test_leases_and_a_server_are_told_in_every_language_and_nothing_is_cut(
    scene: Scene, page: Page, picture: Callable[[Page, str], None]
) -> None:
    taken, certificate = scene.withdrawn()
    url = scene.served.url
    with Site.open(scene.served.home) as site:
        key = site.verifier_key
    checked = verify_certificate(certificate.read_bytes(), key)
    of_server = replace(checked, statement={**checked.statement, "not_promised": NOT_PROMISED_ON_SERVER})
    for language in LANGUAGES:
        page.set_content(certificate_page(of_server, key, language))
        expect(page.locator("li", has_text=SILENT)).to_be_visible()
        look(page, language, picture, "certificate")

    page.goto(taken.qr_text())
    page.wait_for_url("**/me/data")
    for language in LANGUAGES:
        page.goto(f"{url}/me/consents/{taken.receipt.claims.receipt_id}/withdrawn?lang={language}")
        expect(page.locator("li", has_text=GAVE_UP)).to_be_visible()
        look(page, language, picture, "my-data-leases")

    signed_in_as(page, scene.served, "operator", "en")
    for language in LANGUAGES:
        page.goto(f"{url}/operator/health?lang={language}")
        expect(page.locator(".fleet tr", has_text=SILENT).locator("td")).to_have_count(7)
        look(page, language, picture, "operator-fleet")
