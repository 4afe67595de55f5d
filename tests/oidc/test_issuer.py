"""An issuer on loopback: rotating, slow, down, huge, lying. Its keys are asked for rarely, and by one at a time."""

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from issuer import AUDIENCE, HouseIssuer, Signer, loopback_issuer, signer

from volens.consent import InputError
from volens.service.http.issuer_cache import KEPT_S, PAUSE_S, Issuer
from volens.service.oidc.issuer_discovery import IssuerError, Published, _keys_url, fetch_keys
from volens.service.oidc.issuer_token import TokenError, UnknownKeyError
from volens.service.oidc.issuer_trust import Trust

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
AT = NOW.timestamp()


@pytest.fixture
def issuer() -> Iterator[HouseIssuer]:
    with loopback_issuer() as one:
        yield one


def trust(issuer: HouseIssuer, **changed: bool) -> Trust:
    return Trust(issuer.url, AUDIENCE, **({"allow_private": True} | changed))  # type: ignore[arg-type]


def fetch(issuer: HouseIssuer, timeout_s: float = 5.0) -> Published:
    return fetch_keys(trust(issuer), timeout_s=timeout_s)


def test_an_issuer_is_asked_who_it_is_and_then_for_its_keys(issuer: HouseIssuer) -> None:
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
def test_keys_are_fresh_as_long_as_the_issuer_says_within_bounds(
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
    ("behaviour", "said"),
    [
        (redirect, "status 302"),
        (huge, "an answer that is too large"),
        (says(b"<html>"), "no description of an issuer"),
        (says(b"[]"), "no description of an issuer"),
        (says(b"[" * 60_000), "no description of an issuer"),
        (lambda handler: handler.wfile.write(b"220 ready\r\n"), "an answer that is no HTTP"),
    ],
)
def test_an_issuer_that_lies_gives_no_keys_and_leads_nowhere(
    issuer: HouseIssuer, behaviour: Callable[[BaseHTTPRequestHandler], None], said: str
) -> None:
    issuer.behaviour = behaviour
    with pytest.raises(IssuerError, match=said):
        fetch(issuer)
    assert issuer.asked == ["/realm/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"issuer": "https://id.example.org"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"jwks_uri": None}, "not behind https"),
        ({"jwks_uri": "file:///etc/passwd"}, "not https"),
        ({"jwks_uri": "http://169.254.169.254/keys"}, "private or reserved"),
    ],
)
def test_an_issuer_that_describes_another_or_sends_us_elsewhere_gives_no_keys(
    issuer: HouseIssuer, described: dict[str, str | None], said: str
) -> None:
    issuer.says = described
    with pytest.raises(IssuerError, match=said):
        fetch(issuer)
    assert len(issuer.asked) == 1


def test_keys_of_an_issuer_behind_tls_are_behind_tls() -> None:
    safe = Trust("https://id.example.org", AUDIENCE, allow_private=True)
    said = b'{"issuer":"https://id.example.org","jwks_uri":"%s://id.example.org/keys"}'
    assert _keys_url(said % b"https", safe) == "https://id.example.org/keys"
    with pytest.raises(InputError, match="not behind https"):
        _keys_url(said % b"http", safe)


def test_a_slow_issuer_a_missing_one_and_a_name_that_leads_inside_give_no_keys(issuer: HouseIssuer) -> None:
    issuer.behaviour = issuer.hang
    with pytest.raises(IssuerError, match="no answer in time"):
        fetch(issuer, timeout_s=0.2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = Trust(f"http://127.0.0.1:{free.getsockname()[1]}", AUDIENCE, allow_private=True)
        with pytest.raises(IssuerError, match="no connection"):
            fetch_keys(nobody)

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
        self.issuer = Issuer(trust(issuer), lambda one: fetch_keys(one, timeout_s=25), lambda: self.at)

    async def shown(self, by: Signer | None = None) -> str:
        claims = self.house.claims(AT, volens_role="auditor")
        return (await self.issuer.vouched((by or signer()).token(claims), NOW)).role

    async def refused(self, by: Signer | None = None) -> type[Exception]:
        try:
            await self.shown(by)
        except (TokenError, IssuerError) as error:
            return type(error)
        raise AssertionError("was not refused")


def play(issuer: HouseIssuer, story: Callable[[Scene], Awaitable[None]]) -> None:
    async def told() -> None:
        scene = Scene(issuer)
        try:
            await story(scene)
        finally:
            issuer.ended.set()
            scene.issuer.close()

    asyncio.run(told())


def test_nothing_is_asked_before_the_first_token_and_then_once_for_all(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        assert issuer.asked == []
        assert set(await asyncio.gather(*(scene.shown() for _ in range(50)))) == {"auditor"}
        assert issuer.fetches == 1
        scene.at += 599
        await scene.shown()
        assert issuer.fetches == 1
        scene.at += 1
        await scene.shown()
        assert issuer.fetches == 2

    play(issuer, story)


def test_a_new_key_is_found_at_once_and_an_old_one_ends_with_the_keys_freshness(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        await scene.shown()
        scene.at += PAUSE_S
        issuer.keys = [signer(kid="second")]
        assert await scene.shown(signer(kid="second")) == "auditor"
        assert await scene.refused() is UnknownKeyError

    play(issuer, story)


def test_keys_that_nobody_knows_let_the_issuer_be_asked_once_in_a_while(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        await scene.shown()
        for _ in range(3):
            scene.at += PAUSE_S
            refused = await asyncio.gather(*(scene.refused(signer(kid=f"unknown {one}")) for one in range(5)))
            assert set(refused) == {UnknownKeyError}
            scene.at += PAUSE_S - 1
            await scene.refused(signer(kid="unknown"))
        assert issuer.fetches == 1 + 3

    play(issuer, story)


def test_while_the_issuer_is_down_its_keys_are_good_for_a_day_and_then_nothing_is(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        await scene.shown()
        issuer.behaviour = redirect
        scene.at += KEPT_S - 1
        assert await scene.shown() == "auditor"
        assert issuer.fetches == 2
        scene.at += 1
        with pytest.raises(IssuerError, match="status 302") as told:
            await scene.shown()
        assert told.value.again_after_s == math.ceil(PAUSE_S - 1)
        scene.at += 10
        assert await scene.refused() is IssuerError
        assert issuer.fetches == 2  # it is left alone for a while
        issuer.behaviour = None
        scene.at += PAUSE_S
        assert await scene.shown() == "auditor"

    play(issuer, story)


def test_nobody_waits_twice_for_an_issuer_that_is_known_to_be_down(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        await scene.shown()
        issuer.behaviour = redirect
        scene.at += 600
        await scene.shown()
        issuer.behaviour = issuer.hang
        scene.at += PAUSE_S
        issuer.came.clear()
        # Answered while the issuer hangs: the question is under way, and nobody waits for it.
        async with asyncio.timeout(15):
            assert set(await asyncio.gather(*(scene.shown() for _ in range(5)))) == {"auditor"}
        assert await asyncio.to_thread(issuer.came.wait, 10)
        assert issuer.fetches == 3

    play(issuer, story)


def test_who_goes_away_while_waiting_takes_nothing_from_the_others(issuer: HouseIssuer) -> None:
    async def story(scene: Scene) -> None:
        issuer.behaviour = issuer.hang
        impatient = asyncio.ensure_future(scene.shown())
        patient = asyncio.ensure_future(scene.shown())
        assert await asyncio.to_thread(issuer.came.wait, 10)
        impatient.cancel()
        issuer.behaviour = None  # for the second question
        issuer.ended.set()  # lets the first one end, with nothing
        with pytest.raises(IssuerError):
            await patient
        scene.at += PAUSE_S
        assert await scene.shown() == "auditor"

    play(issuer, story)
