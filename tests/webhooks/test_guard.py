"""Where outbound webhooks may go."""

import pytest

from consent import InputError, UnavailableError
from service.webhooks.guard import RefusedAddressError, addresses_of, may_connect, parse_target

INSIDE = ("127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1")
NEVER = (
    "0.0.0.0",  # noqa: S104  to be refused
    "169.254.169.254",
    "100.100.100.200",
    "fd00:ec2::254",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.0.1",
    "192.88.99.1",
    "192.0.2.1",
    "198.18.0.1",
    "::",
    "fe80::1",
    "fe80::1%2",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fec0::1",
    "localhost",
    "",
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert may_connect(address, inside=False)
    assert may_connect(address, inside=True)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_the_house_is_allowed_on_demand(address: str) -> None:
    assert not may_connect(address, inside=False)
    assert may_connect(address, inside=True)


@pytest.mark.parametrize("address", NEVER)
def test_what_wraps_another_address_or_is_nobodys_is_never_allowed(address: str) -> None:
    assert not may_connect(address, inside=False)
    assert not may_connect(address, inside=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "https://",
        "https:///path",
        "https://user@example.org/",
        "https://user:secret@example.org/",
        "https://example.org/#part",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://example.org\\@10.0.0.1/",
        "https://exa mple.org/",
        "https://example.org/\r\nHost: other",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
        "https://exämple.org/",
        "https://example.org/" + "x" * 500,
        "",
    ],
)
def test_a_url_that_is_no_target_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_target(url)
    assert "secret" not in str(refused.value)
    assert "example" not in str(refused.value)


def test_a_target_is_taken_apart() -> None:
    target = parse_target("https://Example.org/in?a=b")
    assert (target.secure, target.host, target.port, target.path) == (True, "example.org", 443, "/in?a=b")
    assert target.authority == "example.org"
    assert parse_target("https://example.org:8443").authority == "example.org:8443"
    assert parse_target("http://[::1]:8080/", allow_private=True).authority == "[::1]:8080"


def test_one_bad_address_among_good_ones_is_enough() -> None:
    target = parse_target("https://example.org/")
    assert addresses_of(target, lambda _host, _port: ["8.8.8.8"]) == ["8.8.8.8"]
    with pytest.raises(RefusedAddressError):
        addresses_of(target, lambda _host, _port: ["8.8.8.8", "127.0.0.1"])


def test_a_name_without_an_address_is_for_later() -> None:
    with pytest.raises(UnavailableError):
        addresses_of(parse_target("https://example.org/"), lambda _host, _port: [])


def test_without_tls_nothing_leaves_the_house() -> None:
    target = parse_target("http://example.org/", allow_private=True)
    assert addresses_of(target, lambda _host, _port: ["10.0.0.7"]) == ["10.0.0.7"]
    with pytest.raises(RefusedAddressError, match="no TLS"):
        addresses_of(target, lambda _host, _port: ["8.8.8.8"])
