"""The stream of a zone with a PIN: one request for the factor, one refusal, one visit for each correct PIN."""

import json
from collections.abc import Callable, Iterator

import pytest
from house import House
from pins import cheap_pins
from starlette.testclient import TestClient
from websockets.sync.client import ClientConnection

from tests.service.test_a_day import enroll, say_yes
from tests.service.test_stream import Door, door, look, port, said, until_decided
from volens.service.http import AppState
from volens.store.programs import Role

__all__ = ["door", "port"]

PIN = "719035"
Vault = tuple[ClientConnection, str, bytes]


@pytest.fixture
def cheap() -> Iterator[None]:
    with cheap_pins():
        yield


@pytest.fixture
def vault(
    house: House,
    client: TestClient,
    app_state: AppState,
    bearer: Callable[..., dict[str, str]],
    door: Door,
    views: list[bytes],
    cheap: None,
) -> Vault:
    """The stream of a door, the enrolled person, and a frame of them."""
    assert (app_state.site, cheap) == (house.site, None)
    house.declare("vault", second_factor="pin")
    house.let_pass("vault")
    *photos, frame = views
    desk = bearer(Role.DESK)
    given = say_yes(client, desk, "vault")
    assert enroll(client, desk, given["take_home"], photos, "vault").status_code == 201
    address = f"/v1/zones/vault/consents/{given['receipt_id']}/factor"
    assert client.put(address, headers=desk, json={"pin": PIN}).status_code == 204
    return door("vault", bearer(Role.DOOR, "vault")), given["subject_id"], frame


def present(one: ClientConnection, value: object, factor: str = "pin") -> None:
    one.send(json.dumps({"type": "present", "factor": factor, "value": value}))


def decided(one: ClientConnection, frame: bytes) -> tuple[str, str | None, int]:
    """Look until a visit is decided; return the decision, of whom, and how many people match in that frame."""
    decision, answer = until_decided(one, frame)
    return decision["decision"], decision["subject_id"], answer["matches"]


def is_silent(one: ClientConnection, frame: bytes) -> bool:
    """Look once; return whether nothing is decided anew. A slow machine begins a new visit, and one look is none."""
    return [message["type"] for message in look(one, frame)] == ["frame"]


def test_a_known_face_requires_the_pin_and_matches_with_it(vault: Vault) -> None:
    one, subject_id, frame = vault
    assert said(one)["second_factor"] == "pin"

    assert is_silent(one, frame)
    assert decided(one, frame) == ("factor_required", None, 0)
    assert is_silent(one, frame)
    present(one, "900817")
    assert said(one) == {"type": "presented", "accepted": True}
    assert decided(one, frame) == ("no_match", None, 0)
    present(one, "90")
    assert said(one) == {"type": "presented", "accepted": False}
    present(one, PIN)
    assert said(one) == {"type": "presented", "accepted": True}
    assert decided(one, frame) == ("match", subject_id, 1)
    assert is_silent(one, frame)


@pytest.mark.parametrize(("value", "factor"), [("04A1B2C3", "badge"), (719035, "pin"), (None, "pin"), ("x", "iris")])
def test_a_wrong_kind_of_factor_ends_the_stream_without_being_repeated(
    vault: Vault, value: object, factor: str
) -> None:
    one, _, _ = vault
    said(one)
    present(one, value, factor)
    problem = said(one)
    assert problem["type"] == "problem"
    assert "requires a pin as second factor" in problem["detail"]
    assert value is None or str(value) not in problem["detail"]
