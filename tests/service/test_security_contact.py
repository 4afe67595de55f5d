"""`/.well-known/security.txt`: what the operator set, the controller's contact otherwise, and never anything false."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from house import House
from starlette.testclient import TestClient

from volens import Site
from volens.consent import InputError
from volens.service.http import AppState, application
from volens.service.security_contact import SecurityContact, contact_uri
from volens.service.service_config import read_config

URL = "/.well-known/security.txt"
NOW = datetime(2099, 3, 1, 12, tzinfo=UTC)


def test_without_settings_the_controllers_contact_is_served_without_a_credential(
    client: TestClient, house: House
) -> None:
    answer = client.get(URL)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text == "Contact: mailto:privacy@example.org\nExpires: 2099-03-31T12:00:00Z\n"
    house.clock.move(days=1)
    assert "Expires: 2099-04-01T12:00:00Z\n" in client.get(URL).text


def test_what_is_set_is_served_until_it_ends(app_state: AppState, house: House) -> None:
    until = NOW + timedelta(days=100)
    app_state.security = SecurityContact(
        "https://example.org/report", until, "en, fr", "https://example.org/policy", "https://doors.example.org" + URL
    )
    with TestClient(application(app_state)) as client:
        assert client.get(URL).text == (
            "Contact: https://example.org/report\n"
            "Expires: 2099-06-09T12:00:00Z\n"
            "Preferred-Languages: en, fr\n"
            "Canonical: https://doors.example.org/.well-known/security.txt\n"
            "Policy: https://example.org/policy\n"
        )
        house.clock.time = until
        answer = client.get(URL)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:volens:problem:not-found")


@pytest.mark.parametrize("contact", ["ask at the desk", "Example Ltd, 1 Example Street", "privacy@example.org\nX: y"])
def test_a_contact_that_is_no_uri_is_not_served(contact: str) -> None:
    assert SecurityContact().text(contact, NOW) is None


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        (" privacy@example.org ", "mailto:privacy@example.org"),
        ("mailto:a.b+c@example.org", "mailto:a.b+c@example.org"),
        ("+33 1 40 00 00 00", "tel:+33140000000"),
        ("tel:+33140000000", "tel:+33140000000"),
        ("https://example.org/report?a=b", "https://example.org/report?a=b"),
        ("http://example.org/report", None),
        ("https://example.org/a b", None),
        ("https://example.org/a\r\nContact: x", None),
        ("a@b", None),
        ("0140000000", None),
        ("", None),
    ],
)
def test_addresses_phone_numbers_and_urls_become_uris(text: str, uri: str | None) -> None:
    assert contact_uri(text) == uri


@pytest.mark.parametrize(
    "wrong",
    [
        {"contact": "the porter"},
        {"languages": "English"},
        {"languages": "en\nX: y"},
        {"policy": "http://example.org"},
        {"canonical": "https://example.org/\nX: y"},
    ],
)
def test_a_setting_of_another_form_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InputError, match="got "):
        SecurityContact(**wrong)  # type: ignore[arg-type]


def test_the_settings_are_read_from_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('security_contact = "security@example.org"\nsecurity_expires = 2099-06-01T02:00:00+02:00\n')
    monkeypatch.setenv("VOLENS_SERVE_SECURITY_LANGUAGES", "en")
    found = read_config(file).security()
    assert found.text("", NOW) == (
        "Contact: mailto:security@example.org\nExpires: 2099-06-01T00:00:00Z\nPreferred-Languages: en\n"
    )
    for wrong in ('security_contact = "canary"', 'security_expires = "2099-06-01T00:00:00"'):
        file.write_text(wrong)
        with pytest.raises(InputError, match="security") as caught:
            read_config(file)
        assert "canary" not in str(caught.value)


def test_the_controllers_contact_of_a_site_made_to_try_is_not_stated(tmp_path: Path) -> None:
    with Site.create(tmp_path / "home", name="Example Ltd", contact="ask at the desk") as site:
        app_state = AppState(site, 1, 4)
        try:
            assert app_state.security_txt() is None
        finally:
            app_state.close()
