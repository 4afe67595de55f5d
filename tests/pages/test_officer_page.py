"""The privacy officer in a real browser: a request answered, an order approved by two, an erasure followed."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.pages.conftest import ServedSite, one_site, overflows, violations
from tests.pages.staff_browser import signed_in
from volens import Site, SubjectKey

LANGUAGES = {"en": "What waits for you", "fr": "Ce qui vous attend", "de": "Was auf Sie wartet"}
MAX_BYTES = 100_000


@pytest.fixture(scope="module")
def officer_site(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """A site with two people, a recipient that does not answer, an erasure, a stale paper, a folder for dossiers."""
    folder = tmp_path_factory.mktemp("officer")
    (folder / "orders").mkdir()
    os.environ["VOLENS_SERVE_ORDERS"] = str(folder / "orders")
    try:
        sites = one_site(made_site, folder)
        site = next(sites)
    finally:
        del os.environ["VOLENS_SERVE_ORDERS"]
    site.volens("operator", "require", "1")
    with Site.open(site.home) as library:
        for name in ("ada", "ben", "eve"):
            key = SubjectKey.from_seed(name.encode().ljust(32))
            given = library.give_consent(library.notice("lobby", "en"), name=name, jurisdiction="FR", key=key)
            (folder / f"{name}.json").write_bytes(given.to_json())
    site.volens("recipient", "add", "Door panels", "--zone", "lobby", "--contact", "privacy@panels.example", "--yes")
    panels = ("--url", "http://127.0.0.1:9/volens", "--allow-private", "--out", str(folder / "secret"))
    site.volens("webhook", "add", "Door panels", "--zone", "lobby", *panels)
    with Site.open(site.home) as library:
        library.withdraw(receipt=(folder / "eve.json").read_bytes())
        library.papers.make("record", "lobby", "FR", folder / "papers")
        library.declarations.declare({"dpo": "Dana Doe"})  # so that the paper is stale
    yield site
    sites.close()


def receipt_of(site: ServedSite, name: str) -> Path:
    return site.home.parent / f"{name}.json"


def test_a_request_is_recorded_extended_and_answered(
    officer_site: ServedSite, page: Page, tmp_path: Path, picture: Callable[[Page, str], None]
) -> None:
    signed_in(page, officer_site, "privacy_officer")
    expect(page.get_by_role("heading", level=1)).to_contain_text("No request is open")
    page.get_by_role("link", name="Requests").first.click()
    page.get_by_role("link", name="Record a request").click()
    page.get_by_label("Number of the person").fill("nobody")
    page.get_by_role("button", name="Record the request").click()
    expect(page.get_by_role("alert")).to_contain_text("No one is found by this")
    page.get_by_label("Number of the person").fill("")
    page.get_by_label("Or the receipt").set_input_files(receipt_of(officer_site, "ada"))
    assert not violations(page)
    page.get_by_role("button", name="Record the request").click()
    expect(page.get_by_role("heading", name="Request: access")).to_be_visible()
    assert not violations(page)
    picture(page, "officer-request")
    page.get_by_role("button", name="Extend", exact=True).click()
    expect(page.get_by_text("Extended by two months, because it is complex")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Make and download the answer").click()
    answer = tmp_path / "answer.zip"
    waiting.value.save_as(answer)
    assert "valid" in officer_site.volens(
        "export", "--verify", str(answer), "--key", str(officer_site.home / "site.pub")
    )
    expect(page.get_by_text("Closed: answered")).to_be_visible()
    expect(page.get_by_role("button", name="Download the answer again")).to_have_count(0)
    page.goto(f"{officer_site.url}/officer/requests?closed=true")
    expect(page.get_by_role("cell", name="answered")).to_be_visible()


def answered_without_session(route: Route) -> None:
    """Give the page the answer that the service gives to the same request without a session."""
    answer = httpx2.get(route.request.url, headers={"Accept": "application/json"})
    route.fulfill(status=answer.status_code, body=answer.content, content_type=answer.headers["Content-Type"])


def test_an_order_needs_two_officers_and_is_carried_out_from_the_page(
    officer_site: ServedSite, chromium: Browser, picture: Callable[[Page, str], None]
) -> None:
    first, second = (chromium.new_context(locale="en-GB") for _ in range(2))
    ada, ben = first.new_page(), second.new_page()
    signed_in(ada, officer_site, "privacy_officer")
    signed_in(ben, officer_site, "privacy_officer")
    ada.goto(f"{officer_site.url}/officer/orders/new")
    ada.get_by_label("Protected by the law of").fill("FR")
    ada.get_by_role("button", name="Count: dry run").click()
    expect(ada.get_by_text("2 people, 2 consents, 0 face references")).to_be_visible()
    assert not violations(ada)
    picture(ada, "officer-dry-run")
    ada.get_by_role("button", name="Ask a second officer to approve").click()
    expect(ada.get_by_role("heading", name="This order waits for a second officer")).to_be_visible()
    expect(ada.get_by_role("button", name="Approve this order")).to_have_count(0)
    picture(ada, "officer-order")

    ben.goto(ada.url)
    assert not violations(ben)
    ben.get_by_role("button", name="Approve this order").click()
    expect(ben.get_by_role("heading", name="Approved by a second officer")).to_be_visible()
    ada.reload()
    ada.route("**/v1/jobs/*", answered_without_session, times=1)
    ada.get_by_role("button", name="Carry out this order").click()
    expect(ada.get_by_role("alert")).to_contain_text("Your session has ended")
    expect(ada.get_by_text("There is no connection")).to_have_count(0)
    ada.evaluate("window.dispatchEvent(new Event('focus'))")  # back from the tab with the sign-in
    expect(ada.get_by_role("heading", name="The order was carried out")).to_be_visible()
    expect(ada.get_by_text("Carried out: 2 certificates")).to_be_visible()
    with ada.expect_download() as waiting:
        ada.get_by_role("link", name="Save the dossier").click()
    assert waiting.value.suggested_filename.endswith(".zip")
    assert json.loads(officer_site.volens("people", "list", "--json")) == []
    first.close()
    second.close()


def test_an_erasure_is_followed_and_its_recipient_is_told_again(
    officer_site: ServedSite, page: Page, picture: Callable[[Page, str], None]
) -> None:
    signed_in(page, officer_site, "privacy_officer")
    page.goto(f"{officer_site.url}/officer/erasures")
    page.get_by_role("row", name="withdrawn").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Erased and certified")).to_be_visible()
    expect(page.get_by_text("Door panels has not acknowledged")).to_be_visible()
    assert not violations(page)
    picture(page, "officer-erasure")
    page.goto(f"{officer_site.url}/officer/recipients")
    assert not violations(page)
    picture(page, "officer-recipients")
    with page.expect_response("**/retry") as answer:
        page.get_by_role("button", name="Try Door panels again now").first.click()
    assert answer.value.status == 200
    expect(page.get_by_role("heading", name="Recipients that have not answered")).to_be_visible()


def test_every_page_fits_each_language_and_the_dark(
    officer_site: ServedSite, chromium: Browser, picture: Callable[[Page, str], None]
) -> None:
    for language, scheme, width in (("en", "light", 320), ("fr", "dark", 320), ("de", "dark", 1100)):
        context = chromium.new_context(
            viewport={"width": width, "height": 700}, locale=language, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        sizes: list[int] = []
        page.on("requestfinished", lambda request, sizes=sizes: sizes.append(request.sizes()["responseBodySize"]))
        page.goto(f"{officer_site.url}/staff?lang=en")
        signed_in(page, officer_site, "privacy_officer")
        for path in ("", "/requests", "/requests/new", "/erasures", "/orders", "/orders/new", "/recipients", "/papers"):
            sizes.clear()
            page.goto(f"{officer_site.url}/officer{path}?lang={language}")
            assert page.locator("html").get_attribute("lang") == language
            assert not violations(page)
            assert not overflows(page)
            assert sum(sizes) < MAX_BYTES
            picture(page, f"officer{path.replace('/', '-')}-{language}")
        page.goto(f"{officer_site.url}/officer?lang={language}")
        expect(page).to_have_title(f"{LANGUAGES[language]} · Example Ltd")
        context.close()
