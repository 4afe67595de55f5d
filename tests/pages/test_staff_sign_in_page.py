"""Staff in a real browser: the link makes a passkey, which signs in again; a second use of the link does not."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.pages.conftest import ServedSite, add_authenticator, overflows, violations
from tests.pages.staff_browser import staff_link


def test_a_link_makes_a_passkey_that_signs_in_again(
    served: ServedSite, page: Page, picture: Callable[[Page, str], None]
) -> None:
    link = staff_link(served, "auditor")
    add_authenticator(page)
    page.goto(link)
    assert "#" not in page.url, "the address bar keeps no token"
    expect(page.get_by_text("For test auditor")).to_be_visible()
    assert not violations(page)
    picture(page, "staff-link")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
    assert not violations(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not violations(page)
    picture(page, "staff-sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()

    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_role("alert")).to_contain_text("not in force")
    expect(page.get_by_role("button", name="Make the passkey")).to_be_disabled()


@pytest.mark.parametrize(("language", "heading"), [("en", "Sign in"), ("fr", "Se connecter"), ("de", "Anmelden")])
def test_the_sign_in_fits_small_screens_in_each_language(
    served_to_all: ServedSite, context: BrowserContext, page: Page, language: str, heading: str
) -> None:
    del context
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(f"{served_to_all.url}/staff?lang={language}")
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    assert not overflows(page)


def test_an_unknown_passkey_and_a_closed_dialog_are_said_in_words(served_to_all: ServedSite, page: Page) -> None:
    page.goto(f"{served_to_all.url}/staff")
    add_authenticator(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("dialog was closed")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()
