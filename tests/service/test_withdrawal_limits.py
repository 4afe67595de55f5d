"""Rate limits of withdrawals: only wrong codes and receipts count, however many people share an address."""

import asyncio

import pytest
from house import House
from starlette.testclient import TestClient

from volens.consent import InputError, WithdrawalCode
from volens.service.http import AppState, RateLimiter
from volens.service.http.withdrawal_checks import WRONG_PER_S, WithdrawalChecks

URL = "/v1/withdrawals"


def test_people_who_share_an_address_all_withdraw(client: TestClient, app_state: AppState, house: House) -> None:
    app_state.address_limiter = RateLimiter(0.001, 2, lambda: 0.0)
    people = [house.admit() for _ in range(6)]
    by_code = [client.post(URL, json={"code": one.code}).status_code for one in people[:3]]
    by_receipt = [
        client.post(URL, json={"receipt": one.take_home.to_json().decode()}).status_code for one in people[3:]
    ]
    repeated = [client.post(URL, json={"code": one.code}).status_code for one in people]
    assert {*by_code, *by_receipt, *repeated} == {200}


@pytest.mark.parametrize(("path", "status"), [("/v1/access-requests", 201), ("/v1/decisions/explanations", 200)])
def test_people_who_share_an_address_all_ask_about_themselves(
    client: TestClient, app_state: AppState, house: House, path: str, status: int
) -> None:
    app_state.address_limiter = RateLimiter(0.001, 2, lambda: 0.0)
    people = [house.admit() for _ in range(4)]
    wrong = {"code": WithdrawalCode.generate(lambda size: bytes(range(size))).reveal()}

    assert {client.post(path, json={"code": one.code}).status_code for one in people} == {status}
    assert [client.post(path, json={"code": people[0].code}).status_code for _ in range(2)] == [status, 429]
    assert [client.post(path, json=wrong).status_code for _ in range(3)] == [404, 404, 429]


def test_wrong_tries_are_limited_and_a_right_code_passes_among_them(
    client: TestClient, app_state: AppState, house: House
) -> None:
    app_state.address_limiter = RateLimiter(0.001, 3, lambda: 0.0)
    person, other = house.admit(), house.admit()
    wrong = WithdrawalCode.generate(lambda size: bytes(range(size))).reveal()
    forged = other.take_home.to_json().decode().replace('"receipt": "', '"receipt": "x')

    tries = [{"code": wrong}, {"code": "short"}, {"receipt": forged}, {"code": wrong}, {"receipt": forged}]
    statuses = [client.post(URL, json=shown).status_code for shown in tries]

    assert statuses == [404, 422, 422, 429, 429]
    assert client.post(URL, json={"code": person.code}).status_code == 200
    assert client.post(URL, json={"code": wrong}).status_code == 429
    assert not house.sees(person)
    assert house.sees(other)


def test_beyond_the_overall_bound_wrong_tries_slow_each_other_down(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("volens.service.http.withdrawal_checks.time.sleep", slept.append)
    checks = WithdrawalChecks(workers=2, clock=lambda: 0.0)

    def wrong() -> None:
        raise InputError("wrong")

    async def run() -> str:
        for _ in range(WRONG_PER_S + 1):
            with pytest.raises(InputError):
                await checks.run(wrong)
        return await checks.run(lambda: "right")

    assert asyncio.run(run()) == "right"
    checks.close()
    assert slept == [0.0] * WRONG_PER_S + [2 / WRONG_PER_S]
