"""A request that changes something comes from our own pages, or is refused."""

import asyncio

import pytest
from fastapi import Request

from volens.service.http.same_origin import CrossSiteError, same_origin

OWN = {"Host": "doors.example", "Origin": "https://doors.example"}


def asked(headers: dict[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(same_origin(Request({"type": "http", "headers": raw})))


@pytest.mark.parametrize(
    "headers", [OWN, OWN | {"Sec-Fetch-Site": "same-origin"}, OWN | {"Sec-Fetch-Site": "same-origin", "Origin": "null"}]
)
def test_our_own_pages_may_change_something(headers: dict[str, str]) -> None:
    asked(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "doors.example"},
        {"Origin": "https://doors.example"},
        OWN | {"Sec-Fetch-Site": "none", "Origin": "null"},
        OWN | {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        OWN | {"Origin": "null"},
        OWN | {"Origin": "https://evil.example"},
        OWN | {"Origin": "https://doors.example.evil.example"},
        OWN | {"Origin": "https://doors.example:8443"},
        OWN | {"Sec-Fetch-Site": "cross-site"},
        OWN | {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(CrossSiteError):
        asked(headers)
