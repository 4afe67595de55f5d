"""A member of staff in a real browser: a link of `volens staff add`, and the sign-in by it."""

import json

from playwright.sync_api import Page, expect

from tests.pages.conftest import ServedSite, add_authenticator


def staff_link(served: ServedSite, role: str, zone: str | None = None) -> str:
    """Add a member called 'test ROLE', and return the link with which they make a passkey."""
    reach = () if zone is None else ("--zone", zone)
    added = json.loads(served.volens("staff", "add", f"test {role}", "--role", role, *reach, "--json"))
    link: str = added["link"]
    return link


def signed_in(page: Page, served: ServedSite, role: str, zone: str | None = None) -> None:
    """Sign in as a new member; the page is then the first page of the role."""
    add_authenticator(page)
    page.goto(staff_link(served, role, zone))
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
