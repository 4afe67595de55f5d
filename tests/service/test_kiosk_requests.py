"""A paired kiosk over HTTP: it asks its own door and does nothing else, and ends with its credential."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from house import House
from httpx2 import Response
from pins import cheap_pins
from presentations import turning_head
from reading_log import opened
from starlette.testclient import TestClient

from tests.service.conftest import jpeg
from volens.consent import ShownFactor
from volens.consent.relying_party import RelyingParty
from volens.face import Extractor, RgbImage
from volens.service import samples
from volens.service.http import AppState, application
from volens.service.kiosk_link import kiosk_link
from volens.service.process.service_log import log_to
from volens.service.qr_codes import badge_qrs, secret_qr
from volens.service.web.web_routes import add_pages
from volens.store.programs import COUNTED, Role

OWN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def client(app_state: AppState, log: io.StringIO) -> Iterator[TestClient]:
    app = application(app_state, log=log_to(log), add_pages=add_pages)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def pair(app_state: AppState, client: TestClient) -> Callable[..., str]:
    """Issue a door's credential, pair the client with it, and return the credential's id."""

    def paired(zone: str = "lobby") -> str:
        issued, token = app_state.site.programs.credentials.issue(label="tablet", role=Role.DOOR, zone=zone)
        done = client.post(f"/kiosk/{zone}/session", headers=OWN, json={"token": token.reveal()})
        assert done.status_code == 200, done.text
        return issued.credential_id

    return paired


def enroll(house: House, zone: str = "lobby") -> str:
    """Enroll the astronaut, and return the code that ends the consent."""
    person = house.invite(zone)
    *photos, _door = samples.views(samples.astronaut(), 4)
    house.site.enroll(person.take_home.to_json(), photos)
    return person.code


def look(client: TestClient, frame: bytes, zone: str = "lobby", **fields: str) -> Response:
    return client.post(f"/kiosk/{zone}/looks", headers=OWN, files={"frame": frame}, data=fields)


@pytest.fixture
def decided(house: House, client: TestClient) -> Callable[..., str]:
    """Show a frame as the page does, three times a second, until the visit is decided, and return the answer."""

    def ask(frame: bytes, zone: str = "lobby", visit: str = "", **fields: str) -> str:
        for _ in range(10):
            done = look(client, frame, zone, visit=visit, **fields)
            assert done.status_code == 200, done.text
            answer, visit = done.json()["answer"], done.json()["visit"]
            if answer != "looking":
                return str(answer)
            house.clock.move(seconds=0.35)
        raise AssertionError("the visit was never decided")

    return ask


def test_a_link_is_exchanged_for_a_session_that_holds_no_token(
    app_state: AppState, client: TestClient, log: io.StringIO
) -> None:
    issued, token = app_state.site.programs.credentials.issue(label="tablet", role=Role.DOOR, zone="lobby")
    link = kiosk_link(RelyingParty.parse("https://doors.example.com"), issued.purpose or "", token)  # type: ignore[arg-type]  # a door has a zone
    assert link == f"https://doors.example.com/kiosk/lobby#{token.reveal()}"
    assert "not paired yet" in client.get("/kiosk/lobby").text
    done = client.post("/kiosk/lobby/session", headers=OWN, json={"token": token.reveal()})
    cookie = done.headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict"} <= {one.strip() for one in cookie.split(";")}
    assert token.reveal() not in cookie + done.text
    assert "Touch to open" in client.get("/kiosk/lobby").text
    assert client.get("/kiosk/lobby/state").json() == {"in_use": True}
    assert token.reveal() not in log.getvalue()
    assert issued.credential_id in log.getvalue()


@pytest.mark.parametrize("role", [Role.DESK, Role.OPERATOR, Role.AUDITOR])
def test_only_a_door_of_this_zone_pairs_a_kiosk(app_state: AppState, client: TestClient, role: Role) -> None:
    credentials = app_state.site.programs.credentials
    _, other_role = credentials.issue(label="no door", role=role)
    _, other_zone = credentials.issue(label="lab", role=Role.DOOR, zone="lab")
    for token in (other_role.reveal(), other_zone.reveal(), "volens_" + "0" * 16 + "_" + "A" * 43, "", "é"):
        answer = client.post("/kiosk/lobby/session", headers=OWN, json={"token": token})
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        assert not token or token not in answer.text


def test_wrong_links_are_limited_by_address(client: TestClient) -> None:
    wrong = {"token": "volens_" + "0" * 16 + "_" + "A" * 43}
    statuses = [client.post("/kiosk/lobby/session", headers=OWN, json=wrong).status_code for _ in range(30)]
    assert (statuses[0], statuses[-1]) == (401, 429)


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, OWN | {"Sec-Fetch-Site": "cross-site"}])
def test_pages_of_other_sites_neither_pair_nor_ask(
    app_state: AppState, client: TestClient, pair: Callable[..., str], headers: dict[str, str]
) -> None:
    pair()
    _, token = app_state.site.programs.credentials.issue(label="tablet", role=Role.DOOR, zone="lobby")
    frame = jpeg(samples.astronaut())
    for done in (
        client.post("/kiosk/lobby/session", headers=headers, json={"token": token.reveal()}),
        client.post("/kiosk/lobby/looks", headers=headers, files={"frame": frame}),
        client.post("/kiosk/lobby/codes", headers=headers, files={"frame": frame}),
    ):
        assert done.status_code == 403
        assert done.json()["type"].endswith("cross-site")


def test_the_session_may_call_nothing_but_its_own_door(client: TestClient, pair: Callable[..., str]) -> None:
    pair()
    session = dict(client.cookies)
    assert session
    paths = client.get("/openapi.json").json()["paths"]
    asked = 0
    for path, operations in paths.items():
        for method, description in operations.items():
            if method not in {"get", "post", "put", "delete", "patch"}:
                continue
            address = path.replace("{zone}", "lobby").replace("{", "").replace("}", "")
            with_session = client.request(method, address, headers=OWN)
            client.cookies.clear()
            without = client.request(method, address, headers=OWN)
            client.cookies.update(session)
            assert with_session.status_code == without.status_code, description["operationId"]
            asked += 1
    assert asked > 30
    for zone in ("lab", "nowhere"):
        assert look(client, b"", zone).status_code == 401
        assert client.get(f"/kiosk/{zone}/state").status_code == 401
        assert "not paired yet" in client.get(f"/kiosk/{zone}").text


@pytest.mark.parametrize("address", ["state", "looks", "codes"])
def test_without_a_session_a_kiosk_may_ask_nothing(client: TestClient, address: str) -> None:
    method = "GET" if address == "state" else "POST"
    answer = client.request(method, f"/kiosk/lobby/{address}", headers=OWN)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:volens:problem:credential")


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_session_ends_with_its_credential(
    house: House, app_state: AppState, client: TestClient, pair: Callable[..., str], end: str
) -> None:
    credential_id = pair()
    frame = jpeg(samples.admiral())
    assert look(client, frame).status_code == 200
    if end == "revoked":
        app_state.site.programs.credentials.end(credential_id)
    else:
        house.clock.move(days=366)
    assert look(client, frame).status_code == 401
    assert client.get("/kiosk/lobby/state").status_code == 401
    assert "not paired yet" in client.get("/kiosk/lobby").text


def test_a_kiosk_answers_one_word_and_no_name_id_or_score(
    house: House,
    app_state: AppState,
    client: TestClient,
    pair: Callable[..., str],
    decided: Callable[..., str],
) -> None:
    credential_id = pair()
    code = enroll(house)
    door = jpeg(samples.views(samples.astronaut(), 4)[3])
    first = look(client, door).json()
    assert (first["answer"], first["codes"]) == ("looking", []), "one look decides nothing"
    house.clock.move(seconds=0.35)
    second = look(client, door, visit=first["visit"]).json()
    assert second == {"answer": "come_in", "codes": [], "visit": ""}
    assert decided(jpeg(samples.admiral())) == "not_known"
    told = house.site.rights.explain(receipt=None, code=code)
    assert [(one.kind, one.door) for one in told.visits] == [("identify", "tablet")]
    assert client.post("/v1/withdrawals", json={"code": code}).status_code == 200
    assert decided(door) == "not_known"
    client.get("/kiosk/lobby/state")
    app_state.decisions.write(everything=True)
    own = [one for one in opened(house.store, COUNTED) if one["caller"] == credential_id]
    numbers = [(one["operation"], one.get("faces_match"), one.get("faces_no_match")) for one in own]
    assert sorted(numbers) == [("kiosk_look", 1, 2), ("kiosk_pair", None, None)]


def test_only_the_person_in_front_is_compared(
    house: House, client: TestClient, pair: Callable[..., str], extractor: Extractor
) -> None:
    pair()
    enroll(house)
    computed = extractor.embeddings_computed
    assert look(client, jpeg(samples.group())).json()["answer"] == "several_people"
    assert look(client, jpeg(samples.strangers())).json()["answer"] == "several_people"
    assert extractor.embeddings_computed == computed


def test_a_paused_zone_and_a_broken_frame_are_said_apart(
    house: House, client: TestClient, pair: Callable[..., str]
) -> None:
    pair()
    broken = look(client, b"no picture")
    assert (broken.status_code, broken.json()["type"]) == (422, "urn:volens:problem:image")
    house.site.zones.pause("lobby")
    paused = look(client, jpeg(samples.astronaut()))
    assert (paused.status_code, paused.json()["type"]) == (503, "urn:volens:problem:zone-paused")
    assert client.get("/kiosk/lobby/state").json() == {"in_use": False}


@pytest.mark.parametrize(
    ("kind", "right", "wrong"), [("badge", "04A1B2C3D4E5F6", "04FFFFFFFFFFFF"), ("pin", "719035826471", "900817264305")]
)
def test_a_second_factor_is_asked_for_and_decides(
    house: House,
    client: TestClient,
    pair: Callable[..., str],
    decided: Callable[..., str],
    kind: str,
    right: str,
    wrong: str,
) -> None:
    with cheap_pins():
        house.declare("vault", second_factor=kind)
        pair("vault")
        person = house.invite("vault")
        *photos, door = samples.views(samples.astronaut(), 4)
        house.site.enroll(person.take_home.to_json(), photos)
        factor = ShownFactor.badge(right) if kind == "badge" else ShownFactor.pin(right)
        house.site.factors.set(person.receipt_id, factor)
        frame = jpeg(door)
        assert decided(frame, "vault") == "factor_required"
        assert decided(frame, "vault", factor=wrong) == "not_known"
        assert decided(frame, "vault", factor=right) == "come_in"
        assert decided(jpeg(samples.admiral()), "vault", factor=right) == "not_known"
        unusable = look(client, frame, "vault", factor="?")
        assert unusable.status_code == 422


def test_a_pin_is_tried_once_with_the_visit_that_asked_for_it(
    house: House, client: TestClient, pair: Callable[..., str], extractor: Extractor
) -> None:
    with cheap_pins():
        house.declare("vault", second_factor="pin")
        pair("vault")
        person = house.invite("vault")
        *photos, door = samples.views(samples.astronaut(), 4)
        house.site.enroll(person.take_home.to_json(), photos)
        house.site.factors.set(person.receipt_id, ShownFactor.pin("719035826471"))
        frame, visit = jpeg(door), ""
        for expected in ("looking", "factor_required"):
            asked = look(client, frame, "vault", visit=visit).json()
            assert asked["answer"] == expected
            visit = asked["visit"]
            house.clock.move(seconds=0.35)
        house.clock.move(seconds=20)
        computed = extractor.embeddings_computed
        wrong = look(client, frame, "vault", visit=visit, factor="900817264305").json()
        right = look(client, frame, "vault", visit=wrong["visit"], factor="719035826471").json()
        assert (wrong["answer"], right["answer"]) == ("not_known", "come_in")
        assert extractor.embeddings_computed - computed == 2
        house.clock.move(seconds=61)
        late = look(client, frame, "vault", visit=visit, factor="719035826471").json()
        assert late["answer"] == "looking", "a visit that is over is not continued"


def test_a_visit_is_sealed_and_counts_at_its_own_kiosk_only(
    house: House, client: TestClient, pair: Callable[..., str]
) -> None:
    pair()
    enroll(house)
    frame = jpeg(samples.views(samples.astronaut(), 4)[3])
    stranger, known = look(client, jpeg(samples.admiral())).json(), look(client, frame).json()
    assert len(stranger["visit"]) == len(known["visit"]), "a page does not see what a look found"
    house.clock.move(seconds=0.35)
    forged = [known["visit"][:-4] + "AAAA", "", "x" * 2000, stranger["visit"]]
    assert {look(client, frame, visit=one).json()["answer"] for one in forged} == {"looking"}
    pair()  # another tablet at the same door
    assert look(client, frame, visit=known["visit"]).json()["answer"] == "looking"
    assert look(client, frame, visit="x" * 2001).status_code == 422


def test_looks_that_come_too_fast_are_not_compared(
    house: House, client: TestClient, pair: Callable[..., str], extractor: Extractor
) -> None:
    pair()
    enroll(house)
    frame = jpeg(samples.views(samples.astronaut(), 4)[3])
    visit = look(client, frame).json()["visit"]
    computed = extractor.embeddings_computed
    assert look(client, frame, visit=visit).json()["answer"] == "looking"
    assert extractor.embeddings_computed == computed


@pytest.mark.parametrize(("custody", "count"), [("subject_key", 1), ("badge", 2)])
def test_a_key_or_a_badge_is_read_from_its_codes_before_any_face(
    house: House,
    client: TestClient,
    pair: Callable[..., str],
    extractor: Extractor,
    custody: str,
    count: int,
) -> None:
    house.declare("archive", custody)
    pair("archive")
    person, badges = house.invite("archive"), list[list[bytes]]()
    *photos, door = samples.views(samples.astronaut(), 4)
    secret, hand_over = (
        (None, lambda badge: badges.append(badge_qrs(badge))) if custody == "badge" else (person.take_home.secret, None)
    )
    house.site.enroll(person.take_home.to_json(), photos, secret=secret, hand_over=hand_over)
    pictures = badges[0] if custody == "badge" else [secret_qr(secret)]  # type: ignore[arg-type]  # it is there
    computed, codes = extractor.embeddings_computed, list[str]()
    for number, one in enumerate(pictures, start=1):
        asked = client.post("/kiosk/archive/looks", headers=OWN, files={"frame": one}, data={"code": codes}).json()
        assert (asked["answer"], len(asked["codes"])) == ("show_code", number)
        codes = asked["codes"]
    assert (len(codes), extractor.embeddings_computed) == (count, computed)

    def answer(frame: RgbImage, shown: list[str]) -> str:
        visit = ""
        for _ in range(10):
            sent = {"code": shown, "visit": visit}
            done = client.post("/kiosk/archive/looks", headers=OWN, files={"frame": jpeg(frame)}, data=sent)
            assert done.status_code == 200, done.text
            found, visit = str(done.json()["answer"]), done.json()["visit"]
            if found != "looking":
                return found
            house.clock.move(seconds=0.35)
        raise AssertionError("the visit was never decided")

    assert answer(door, codes) == "come_in"
    assert answer(samples.admiral(), codes) == "not_known"
    assert answer(door, ["VOLENS-SECRET:AAAA"]) == "show_code"
    client.post("/v1/withdrawals", json={"code": person.code})
    computed = extractor.embeddings_computed
    assert answer(door, codes) == "not_known"
    assert extractor.embeddings_computed == computed


@pytest.fixture(scope="module")
def heads(extractor: Extractor) -> dict[str, bytes]:
    return {name: jpeg(image) for name, image in turning_head(extractor, samples.admiral()).items()}


def turn(client: TestClient, frame: bytes, challenge: str = "", zone: str = "lobby") -> dict[str, Any]:
    answer = client.post(f"/kiosk/{zone}/turns", headers=OWN, files={"frame": frame}, data={"challenge": challenge})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def after_turning(
    client: TestClient, challenge: str, taken: list[bytes], zone: str = "lobby", **fields: str
) -> Response:
    *earlier, last = taken
    files = [("frame", last), *(("earlier", one) for one in earlier)]
    data = fields | {"challenge": challenge}
    return client.post(f"/kiosk/{zone}/looks", headers=OWN, files=files, data=data)  # type: ignore[arg-type]


def turned_as_asked(client: TestClient, heads: dict[str, bytes], zone: str = "lobby") -> tuple[str, list[bytes]]:
    """Show the admiral's head as the kiosk asks; return the sealed challenge and the frames that were taken."""
    shown = {"look_ahead": "ahead", "turn_left": "left", "turn_right": "right"}
    asked, taken = turn(client, heads["left"], zone=zone), list[bytes]()
    assert (asked["answer"], asked["taken"]) == ("look_ahead", False)
    while asked["answer"] != "done":
        frame = heads[shown[asked["answer"]]]
        asked = turn(client, frame, asked["challenge"], zone)
        assert asked["taken"]
        taken.append(frame)
    return asked["challenge"], taken


def test_a_kiosk_asks_to_turn_the_head_and_compares_only_then(
    house: House, client: TestClient, pair: Callable[..., str], extractor: Extractor, heads: dict[str, bytes]
) -> None:
    pair()
    person = house.invite("lobby")
    photos = samples.views(samples.admiral(), 3)
    house.site.enroll(person.take_home.to_json(), photos)
    house.site.zones.set_liveness("lobby", "challenge")
    computed = extractor.embeddings_computed
    assert look(client, heads["ahead"]).json()["answer"] == "turn"
    challenge, taken = turned_as_asked(client, heads)
    assert len(taken) == 5
    assert extractor.embeddings_computed == computed

    # The head turn is the whole visit: two looks ahead agree, and nothing is left to go on with.
    done = after_turning(client, challenge, taken).json()
    assert (done["answer"], done["visit"]) == ("come_in", "")
    assert extractor.embeddings_computed == computed + 5 + 2
    sides = [heads["ahead"], taken[3], heads["ahead"], taken[1], heads["ahead"]]
    assert after_turning(client, challenge, sides).json()["answer"] == "not_live"
    assert after_turning(client, challenge, [heads["ahead"]] * 5).json()["answer"] == "not_live"
    assert after_turning(client, challenge, taken[:1]).json()["answer"] == "not_live"
    other = [*taken[:-1], jpeg(samples.astronaut())]
    assert after_turning(client, challenge, other).json()["answer"] == "not_live"


def test_a_visit_that_was_begun_before_opens_no_zone_that_asks_to_turn_the_head(
    house: House, client: TestClient, pair: Callable[..., str], extractor: Extractor
) -> None:
    pair()
    enroll(house)
    door = jpeg(samples.views(samples.astronaut(), 4)[3])
    begun = look(client, door).json()
    assert (begun["answer"], begun["visit"] != "") == ("looking", True)
    house.clock.move(seconds=0.35)
    house.site.zones.set_liveness("lobby", "challenge")
    computed = extractor.embeddings_computed
    assert look(client, door, visit=begun["visit"]).json() == {"answer": "turn", "codes": [], "visit": ""}
    assert extractor.embeddings_computed == computed
    house.site.zones.set_liveness("lobby", "none")
    assert look(client, door, visit=begun["visit"]).json()["answer"] == "come_in"


def test_a_pin_opens_a_zone_that_asks_to_turn_the_head_only_after_that(
    house: House, client: TestClient, pair: Callable[..., str], heads: dict[str, bytes]
) -> None:
    with cheap_pins():
        house.declare("vault", second_factor="pin")
        house.site.zones.set_liveness("vault", "challenge")
        pair("vault")
        person = house.invite("vault")
        house.site.enroll(person.take_home.to_json(), samples.views(samples.admiral(), 3))
        house.site.factors.set(person.receipt_id, ShownFactor.pin("719035826471"))
        assert look(client, heads["ahead"], "vault", factor="719035826471").json()["answer"] == "turn"
        challenge, taken = turned_as_asked(client, heads, "vault")
        answers = []
        for factor in ({}, {"factor": "900817264305"}, {"factor": "719035826471"}):
            done = after_turning(client, challenge, taken, "vault", **factor).json()
            answers.append((done["answer"], done["visit"]))
    assert answers == [("factor_required", ""), ("not_known", ""), ("come_in", "")]


def test_a_challenge_is_of_one_kiosk_is_finished_and_ends_with_its_time(
    house: House, client: TestClient, pair: Callable[..., str], heads: dict[str, bytes]
) -> None:
    pair()
    refused = client.post("/kiosk/lobby/turns", headers=OWN, files={"frame": heads["ahead"]})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:volens:problem:refused")
    house.site.zones.set_liveness("lobby", "challenge")
    begun = turn(client, heads["ahead"])
    assert (begun["taken"], begun["answer"] in {"turn_left", "turn_right"}) == (True, True)
    # A head that is turned too far to be found goes on; two people do not.
    assert turn(client, jpeg(samples.strangers()), begun["challenge"])["answer"] == "several_people"
    unseen = jpeg(RgbImage(np.full((300, 300, 3), 128, np.uint8)))
    assert turn(client, unseen, begun["challenge"])["answer"] == begun["answer"]
    assert turn(client, unseen)["answer"] == "no_face"
    # It is not finished, or not sealed here: nothing is compared.
    for challenge in (begun["challenge"], "AAAA", "x" * 1000):
        assert after_turning(client, challenge, [heads["ahead"]] * 5).json()["answer"] == "turn"
    assert turn(client, heads["ahead"], "AAAA")["answer"] == "time_over"
    challenge, taken = turned_as_asked(client, heads)
    pair()  # another credential, and so another kiosk
    assert after_turning(client, challenge, taken).json()["answer"] == "turn"
    challenge, taken = turned_as_asked(client, heads)
    house.clock.move(seconds=21)
    assert after_turning(client, challenge, taken).json()["answer"] == "not_live"
    assert turn(client, heads["ahead"], challenge)["answer"] == "time_over"
    house.clock.move(seconds=10)
    assert after_turning(client, challenge, taken).json()["answer"] == "turn"
