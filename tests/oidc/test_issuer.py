"""An issuer on loopback: rotating, slow, down, huge, lying. Its keys are fetched rarely, one request at a time."""

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from issuer import AUDIENCE, HouseIssuer, Signer, loopback_issuer, signer
from patience import PATIENCE_S

from volens.consent import InputError
from volens.service.http import KEPT_S, PAUSE_S, IssuerCache
from volens.service.oidc import IssuerError, PublishedKeys, TokenError, Trust, UnknownKeyError, fetch_keys
from volens.service.oidc.issuer_discovery import addresses_in

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
AT = NOW.timestamp()


@pytest.fixture
def issuer() -> Iterator[HouseIssuer]:
    with loopback_issuer() as one:
        yield one


def trust(issuer: HouseIssuer, **changed: bool) -> Trust:
    return Trust(issuer.url, AUDIENCE, **({"allow_private": True} | changed))  # type: ignore[arg-type]


def fetch(issuer: HouseIssuer, timeout_s: float = PATIENCE_S) -> PublishedKeys:
    return fetch_keys(trust(issuer), timeout_s=timeout_s)


def test_the_configuration_is_fetched_first_and_then_the_keys(issuer: HouseIssuer) -> None:
    assert [key.kid for key in fetch(issuer).keys] == ["first"]
    assert issuer.asked == ["/realm/.well-known/openid-configuration", "/realm/keys"]


@pytest.mark.parametrize(
    ("cache_control", "minutes"),
    [
        ("max-age=600", 10),
        ("public, Max-Age=600, must-revalidate", 10),
        ("max-age=1", 5),
        ("no-store", 5),
        ("s-maxage=600", 5),
        ("max-age=999999", 24 * 60),
        ("max-age=99999999999999", 5),
        ("max-age=-600", 5),
        ("", 5),
    ],
)
def test_keys_are_fresh_as_long_as_the_issuer_says_within_limits(
    issuer: HouseIssuer, cache_control: str, minutes: int
) -> None:
    issuer.cache_control = cache_control
    assert fetch(issuer).fresh_for == timedelta(minutes=minutes)


def redirect(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere")
    handler.end_headers()


def huge(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(64):
        handler.wfile.write(b" " * (1 << 20))


def says(body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        (redirect, "status 302"),
        (huge, "a response that is too large"),
        (says(b"<html>"), "no configuration of an issuer"),
        (says(b"[]"), "no configuration of an issuer"),
        (says(b"[" * 60_000), "no configuration of an issuer"),
        (lambda handler: handler.wfile.write(b"220 ready\r\n"), "a response that is not HTTP"),
    ],
)
def test_an_invalid_configuration_gives_no_keys_and_no_second_request(
    issuer: HouseIssuer, behaviour: Callable[[BaseHTTPRequestHandler], None], problem: str
) -> None:
    issuer.behaviour = behaviour
    with pytest.raises(IssuerError, match=problem):
        fetch(issuer)
    assert issuer.asked == ["/realm/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    ("described", "problem"),
    [
        ({"issuer": "https://id.example.org"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"jwks_uri": None}, "not https"),
        ({"jwks_uri": "file:///etc/passwd"}, "not https"),
        ({"jwks_uri": "http://169.254.169.254/keys"}, "metadata service"),
    ],
)
def test_a_configuration_of_another_issuer_or_with_a_bad_address_gives_no_keys(
    issuer: HouseIssuer, described: dict[str, str | None], problem: str
) -> None:
    issuer.says = described
    with pytest.raises(IssuerError, match=problem):
        fetch(issuer)
    assert len(issuer.asked) == 1


def test_keys_of_an_https_issuer_must_be_fetched_over_https() -> None:
    safe = Trust("https://id.example.org", AUDIENCE, allow_private=True)
    configuration = b'{"issuer":"https://id.example.org","jwks_uri":"%s://id.example.org/keys"}'
    assert addresses_in(configuration % b"https", ["jwks_uri"], safe) == ["https://id.example.org/keys"]
    with pytest.raises(InputError, match=r"address .* that is not https"):
        addresses_in(configuration % b"http", ["jwks_uri"], safe)


def test_a_slow_missing_or_private_issuer_gives_no_keys(issuer: HouseIssuer) -> None:
    issuer.behaviour = issuer.hang
    with pytest.raises(IssuerError, match="no response in time"):
        fetch(issuer, timeout_s=0.2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = Trust(f"http://127.0.0.1:{free.getsockname()[1]}", AUDIENCE, allow_private=True)
        with pytest.raises(IssuerError, match="no connection"):
            fetch_keys(closed)

    def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError

    public = Trust("https://id.example.org", AUDIENCE)
    with pytest.raises(IssuerError, match="no address"):
        fetch_keys(public, resolve=nowhere)
    with pytest.raises(IssuerError, match="private or reserved"):
        fetch_keys(public, resolve=lambda _host, _port: ["10.0.0.1"])


class Scene:
    """The cache of a service, its clock, and tokens."""

    def __init__(self, issuer: HouseIssuer) -> None:
        self.at = 1000.0
        self.house = issuer
        self.issuer = IssuerCache(trust(issuer), lambda one: fetch_keys(one, timeout_s=PATIENCE_S), lambda: self.at)

    async def accepted_role(self, by: Signer | None = None) -> str:
        claims = self.house.claims(AT, volens_role="auditor")
        return (await self.issuer.verify((by or signer()).token(claims), NOW)).role

    async def error_of(self, by: Signer | None = None) -> type[Exception]:
        try:
            await self.accepted_role(by)
        except (TokenError, IssuerError) as error:
            return type(error)
        raise AssertionError("was not refused")


def play(issuer: HouseIssuer, story: Callable[[Scene], Awaitable[None]]) -> None:
    async def run_story() -> None:
        scene = Scene(issuer)
        try:
            await story(scene)
        finally:
            issuer.ended.set()
            scene.issuer.close()

    asyncio.run(run_story())


def test_keys_are_fetched_with_the_first_token_and_once_for_all_callers(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        assert issuer.asked == []
        assert set(await asyncio.gather(*(scene.accepted_role() for _ in range(50)))) == {"auditor"}
        assert issuer.fetches == 1
        scene.at += 599
        await scene.accepted_role()
        assert issuer.fetches == 1
        scene.at += 1
        await scene.accepted_role()
        assert issuer.fetches == 2

    play(issuer, story)


def test_a_new_key_is_found_at_once_and_a_removed_key_is_refused(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        await scene.accepted_role()
        scene.at += PAUSE_S
        issuer.keys = [signer(kid="second")]
        assert await scene.accepted_role(signer(kid="second")) == "auditor"
        assert await scene.error_of() is UnknownKeyError

    play(issuer, story)


def test_unknown_key_ids_cause_at_most_one_request_in_a_while(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        await scene.accepted_role()
        for _ in range(3):
            scene.at += PAUSE_S
            refused = await asyncio.gather(*(scene.error_of(signer(kid=f"unknown {one}")) for one in range(5)))
            assert set(refused) == {UnknownKeyError}
            scene.at += PAUSE_S - 1
            await scene.error_of(signer(kid="unknown"))
        assert issuer.fetches == 1 + 3

    play(issuer, story)


def test_while_the_issuer_is_down_its_keys_are_used_for_a_day_and_no_longer(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        await scene.accepted_role()
        issuer.behaviour = redirect
        scene.at += KEPT_S - 1
        assert await scene.accepted_role() == "auditor"
        assert issuer.fetches == 2
        scene.at += 1
        with pytest.raises(IssuerError, match="status 302") as raised:
            await scene.accepted_role()
        assert raised.value.again_after_s == math.ceil(PAUSE_S - 1)
        scene.at += 10
        assert await scene.error_of() is IssuerError
        assert issuer.fetches == 2  # no new request for a while
        issuer.behaviour = None
        scene.at += PAUSE_S
        assert await scene.accepted_role() == "auditor"

    play(issuer, story)


def test_no_caller_waits_for_an_issuer_that_is_known_to_be_down(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        await scene.accepted_role()
        issuer.behaviour = redirect
        scene.at += 600
        await scene.accepted_role()
        issuer.behaviour = issuer.hang
        scene.at += PAUSE_S
        issuer.came.clear()
        # Answered while the issuer hangs: the request runs in the background, and no caller waits for it.
        async with asyncio.timeout(PATIENCE_S):
            assert set(await asyncio.gather(*(scene.accepted_role() for _ in range(5)))) == {"auditor"}
        assert await asyncio.to_thread(issuer.came.wait, PATIENCE_S)
        assert issuer.fetches == 3

    play(issuer, story)


def test_a_caller_that_disconnects_does_not_affect_the_others(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        issuer.behaviour = issuer.hang
        impatient = asyncio.ensure_future(scene.accepted_role())
        patient = asyncio.ensure_future(scene.accepted_role())
        assert await asyncio.to_thread(issuer.came.wait, PATIENCE_S)
        impatient.cancel()
        issuer.behaviour = None  # for the second request
        issuer.ended.set()  # the first request ends without keys
        with pytest.raises(IssuerError):
            await patient
        scene.at += PAUSE_S
        assert await scene.accepted_role() == "auditor"

    play(issuer, story)
