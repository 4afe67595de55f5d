"""The public address of a site: what a browser makes passkeys for."""

import pytest

from volens.consent import InputError
from volens.consent.relying_party import RelyingParty


@pytest.mark.parametrize(
    ("text", "origin", "rp_id"),
    [
        ("https://doors.example.com", "https://doors.example.com", "doors.example.com"),
        (" HTTPS://Doors.Example.com/ ", "https://doors.example.com", "doors.example.com"),
        ("https://doors.example.com:443", "https://doors.example.com", "doors.example.com"),
        ("https://doors.example.com:8443", "https://doors.example.com:8443", "doors.example.com"),
        ("http://localhost:8470", "http://localhost:8470", "localhost"),
        ("https://xn--mller-kva.example", "https://xn--mller-kva.example", "xn--mller-kva.example"),
    ],
)
def test_a_public_address_is_read_as_a_browser_states_it(text: str, origin: str, rp_id: str) -> None:
    found = RelyingParty.parse(text)
    assert (found.origin, found.rp_id) == (origin, rp_id)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "doors.example.com",
        "http://doors.example.com",
        "https://192.0.2.7",
        "http://127.0.0.1:8470",
        "https://[2001:db8::1]",
        "https://doors.example.com/volens",
        "https://doors.example.com?x=1",
        "https://doors.example.com#x",
        "https://ada@doors.example.com",
        "https://doors.example.com:port",
        "https://doors..example.com",
        "https://müller.example",
        "ftp://doors.example.com",
        "https://" + "a" * 300,
    ],
)
def test_an_address_that_browsers_make_no_passkeys_for_is_refused(wrong: str) -> None:
    with pytest.raises(InputError, match="public address"):
        RelyingParty.parse(wrong)
