"""Address guard (SSRF) and retry schedule: two pure decisions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.consent import InputError
from volens.service.webhooks import (
    GIVE_UP_AFTER,
    LONGEST_DELAY,
    AddressError,
    Target,
    checked_addresses,
    next_attempt_at,
    parse_target,
)

NOW = datetime(2099, 1, 1, tzinfo=UTC)
PUBLIC = ["93.184.215.14", "2606:4700::1111"]
PRIVATE = [
    "10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.9.9.9", "::1", "fd00::1",
    "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "::", "255.255.255.255",
    "240.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
    "64:ff9b:1:a00:0:100:808:808", "fec0::1",
]  # fmt: skip
CLOUD_SERVICES = [
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.42.42", "169.254.0.23", "168.63.129.16",
    "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "FD00:0EC2:0:0::0254", "fd00:ec2::23", "fd00:ec2::253",
    "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:100::100:200", "fd00:42::42", "fd00:a9fe:a9fe::1",
    "fe80::a9fe:a9fe%eth0",
]  # fmt: skip
EMBEDDINGS = {
    "mapped": "::ffff:{0}", "compatible": "::{0}", "translated": "::ffff:0:{0}", "NAT64": "64:ff9b::{0}",
    "local NAT64": "64:ff9b:1::{0}", "6to4": "2002:{1}::1", "Teredo": "2001:0:4136:e378:8000:63bf:{2}",
    "ISATAP": "2606:4700::5efe:{0}", "ISATAP, global": "fd12::200:5efe:{0}",
}  # fmt: skip


def embedded(form: str, address: str) -> str:
    """Return an IPv6 address that embeds an IPv4 address; Teredo's has all bits inverted."""
    number = int(IPv4Address(address))
    inverted = number ^ 0xFFFFFFFF
    words = (f"{one >> 16:x}:{one & 0xFFFF:x}" for one in (number, inverted))
    return EMBEDDINGS[form].format(address, *words)


def known_as(*addresses: str) -> object:
    def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


def check(url: str, *addresses: str, allow_private: bool = False) -> None:
    target = parse_target(url, allow_private=allow_private)
    checked_addresses(target, allow_private=allow_private, resolve=known_as(*addresses))  # type: ignore[arg-type]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    check("https://example.org/hook", address)
    check("https://example.org/hook", address, allow_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_in_any_notation_need_allow_private(address: str) -> None:
    with pytest.raises(AddressError):
        check("https://example.org", address)
    check("https://example.org", address, allow_private=True)
    check("http://example.org", address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_allowed(address: str) -> None:
    for allowed in (False, True):
        with pytest.raises(AddressError):
            check("https://example.org", address, allow_private=allowed)


@pytest.mark.parametrize("address", CLOUD_SERVICES)
def test_metadata_services_of_clouds_are_never_allowed(address: str) -> None:
    for allowed in (False, True):
        with pytest.raises(AddressError, match="metadata service; it is refused also with --allow-private"):
            check("https://example.org", address, allow_private=allowed)


@pytest.mark.parametrize("form", EMBEDDINGS)
@pytest.mark.parametrize("address", [one for one in CLOUD_SERVICES if ":" not in one])
def test_a_metadata_service_inside_an_ipv6_address_is_never_allowed(form: str, address: str) -> None:
    for allowed in (False, True):
        with pytest.raises(AddressError):
            check("https://example.org", embedded(form, address), allow_private=allowed)


@pytest.mark.parametrize("prefix", ["fd12:3456:64::", "2606:4700:64::"])
def test_instance_metadata_behind_a_translated_prefix_is_never_allowed(prefix: str) -> None:
    with pytest.raises(AddressError, match="metadata service"):
        check("https://example.org", f"{prefix}a9fe:a9fe", allow_private=True)


def test_private_addresses_next_to_a_metadata_service_are_allowed() -> None:
    for address in ("fd20:ce::253", "fd00:c1::a9fe:a9ff", "fd00:42::43", "fd00:100::100:201", "192.168.169.254"):
        check("https://example.org", address, allow_private=True)
    check("https://example.org", "168.63.129.17")


def test_one_forbidden_address_among_several_is_refused() -> None:
    with pytest.raises(AddressError):
        check("https://example.org", PUBLIC[0], "10.0.0.1")


def test_http_stays_in_the_private_network() -> None:
    with pytest.raises(AddressError, match="use https"):
        check("http://example.org", PUBLIC[0], allow_private=True)


def test_a_name_without_an_address_is_an_error() -> None:
    with pytest.raises(OSError, match="no address"):
        check("https://example.org")


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "http://example.org", "ftp://example.org", "file:///etc/passwd", "https://", "https:///x",
        "https://user@example.org", "https://:pw@example.org", "https://example.org/#x", "https://example.org:99999",
        "https://exa mple.org", "https://ex\tample.org", "https://example.org\\@evil", "https://ex\u00e4mple.org",
        "https://[::1", "https://example.org/a\r\nb",
    ],
)  # fmt: skip
def test_a_url_that_is_not_plain_https_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="got an address"):
        parse_target(url)


def test_a_url_is_split_into_its_parts() -> None:
    assert parse_target("https://Example.org/a?b=c") == Target("https", "example.org", 443, "/a?b=c")
    assert parse_target("https://[2606:4700::1111]:8443") == Target("https", "2606:4700::1111", 8443, "/")
    assert parse_target("http://localhost:80", allow_private=True) == Target("http", "localhost", 80, "/")


@given(
    failures=st.integers(1, 10**6),
    chance=st.floats(0, 1),
    age_s=st.integers(0, 300_000),
    retry_after_s=st.none() | st.integers(0, 10**6),
)
def test_attempts_come_with_growing_delays_and_end(
    failures: int, chance: float, age_s: int, retry_after_s: int | None
) -> None:
    wait = None if retry_after_s is None else timedelta(seconds=retry_after_s)
    now = NOW + timedelta(seconds=age_s)

    at = next_attempt_at(NOW, now, failures, chance, wait)

    if at is None:
        assert now + LONGEST_DELAY > NOW + GIVE_UP_AFTER
        return
    assert now < at <= NOW + GIVE_UP_AFTER
    assert at - now <= LONGEST_DELAY
    if wait is not None:
        assert at - now >= min(wait, LONGEST_DELAY) - timedelta(seconds=1)


def test_there_are_between_ten_and_forty_attempts_in_three_days() -> None:
    for chance in (0.0, 1.0):
        at: datetime | None = NOW
        tries = 0
        while at is not None:
            tries += 1
            at = next_attempt_at(NOW, at, tries, chance)
        assert 10 < tries < 40
