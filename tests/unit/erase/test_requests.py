"""Data subject requests: deadline and extension, an answer before the request is closed, people not found."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from house import House
from sqlalchemy import select

from tests.unit.erase.orders import FRENCH, carry_out, desk_alone, planned
from volens.consent import InputError, NoLiveConsentError, RefusedError, SubjectKey, UnavailableError
from volens.erase.order import receipts_with_open_requests
from volens.rights import Outcome, is_about, verify_answer
from volens.store.schema import data_tables as tables


def test_a_request_is_due_in_a_month_and_overdue_after_it(house: House) -> None:
    house.clock.time = datetime(2100, 1, 31, 9, 30, tzinfo=UTC)
    request = house.site.rights.open("access", [house.invite().receipt_id])

    assert request.due_at == datetime(2100, 2, 28, 9, 30, tzinfo=UTC)
    house.clock.time = request.due_at
    assert house.site.rights.overdue() == []
    house.clock.move(seconds=1)
    assert house.site.rights.overdue() == [request]


def test_a_request_is_extended_once_and_only_in_the_first_month(house: House) -> None:
    rights = house.site.rights
    first, second = rights.open("access", []), rights.open("access", [])
    house.clock.move(days=20)
    extended = rights.extend(first.request_id, "complex")
    assert extended.due_at == datetime(2099, 6, 1, 12, tzinfo=UTC)
    with pytest.raises(RefusedError, match="extended already"):
        rights.extend(first.request_id, "many")
    house.clock.move(days=20)
    with pytest.raises(RefusedError, match="the first month is over"):
        rights.extend(second.request_id, "many")
    with pytest.raises(InputError, match="got an unknown reason"):
        rights.extend(second.request_id, "because Ada moved")
    assert [one.request_id for one in rights.overdue()] == [second.request_id]


def test_an_answer_is_on_disk_before_the_request_is_closed(house: House, tmp_path: Path) -> None:
    rights, person = house.site.rights, house.admit()
    request = rights.open("portability", [person.receipt_id])
    with pytest.raises(UnavailableError):
        rights.answer(request.request_id, tmp_path / "nowhere" / "answer.zip")
    assert rights.requests() == [request]

    path = tmp_path / "answer.zip"
    assert rights.answer(request.request_id, path).held == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify_answer(path.read_bytes(), house.site.verifier_key)["holds_anything"] is True
    (closed,) = rights.requests(closed=True)
    assert (closed.outcome, closed.closed_at) == (Outcome.ANSWERED, house.clock())
    with pytest.raises(RefusedError, match="closed"):
        rights.answer(request.request_id, tmp_path / "again.zip")


def test_an_answer_covers_all_consents_of_the_person(house: House, tmp_path: Path) -> None:
    house.declare("lab")
    key = SubjectKey.from_seed(house.bits.randbytes(32))
    one, two = (
        house.site.give_consent(house.site.notice(zone), name="Ada", jurisdiction="FR", key=key).receipt.claims
        for zone in ("lobby", "lab")
    )
    other = house.invite()
    request = house.site.rights.open("access", [one.receipt_id])

    with house.store.read() as connection:
        asked = receipts_with_open_requests(connection, [two.receipt_id, other.receipt_id])
    assert asked == [two.receipt_id]
    answerer = house.site.rights.answer_all
    assert answerer([other.receipt_id], tmp_path / "answers") == 0
    assert answerer([two.receipt_id], tmp_path / "answers") == 1
    data = (tmp_path / "answers" / f"{request.request_id}.zip").read_bytes()
    assert len(verify_answer(data, house.site.verifier_key)["searched"]) == 2


def test_a_person_not_found_is_answered_that_nothing_is_held(house: House, tmp_path: Path) -> None:
    request = house.site.rights.open("access", [])
    with house.store.read() as connection:
        (row,) = connection.execute(select(tables.access_request)).all()
    assert (row.receipt_id, row.kind) == (None, "access")
    path = tmp_path / "answer.zip"
    with pytest.raises(InputError, match="the answer must state what was searched for"):
        house.site.rights.answer(request.request_id, path)
    house.site.rights.answer(request.request_id, path, searched_for="Eve Example")
    assert is_about(verify_answer(path.read_bytes(), house.site.verifier_key), "eve example")
    (closed,) = house.site.rights.requests(closed=True)
    assert closed.outcome is Outcome.NOTHING_HELD


def test_somebody_who_is_found_is_never_answered_that_nothing_is_held(house: House, tmp_path: Path) -> None:
    person, rights = house.admit(), house.site.rights
    house.site.link_external_id(person.receipt_id, "4711-A")
    request = rights.open("access", [])
    for text in ("ada  CANARY example", person.receipt_id.upper(), person.subject_id, " 4711\N{NON-BREAKING HYPHEN}a"):
        with pytest.raises(RefusedError, match="a person is found by this text"):
            rights.answer(request.request_id, tmp_path / "answer.zip", searched_for=text)
    house.admit()  # of the same name: the search finds two people
    with pytest.raises(RefusedError, match="a person is found by this text"):
        rights.answer(request.request_id, tmp_path / "answer.zip", searched_for="Ada Canary Example")
    assert not (tmp_path / "answer.zip").exists()
    assert rights.requests() == [request]
    known = rights.open("access", [person.receipt_id])
    with pytest.raises(InputError, match="is known; answer it without a text"):
        rights.answer(known.request_id, tmp_path / "answer.zip", searched_for="Eve Example")


def test_a_person_who_asks_at_the_desk_gets_a_certificate_with_that_reason(house: House) -> None:
    asked, requested, stays = house.admit(), house.admit(), house.admit()
    request = house.site.rights.open("erasure", [requested.receipt_id])

    (erased,) = house.site.rights.erase_at_once([asked.receipt_id])
    (carried_out,) = house.site.rights.carry_out(request.request_id)

    assert (erased.reason, carried_out.reason) == ("requested", "requested")
    assert [house.sees(one) for one in (asked, requested, stays)] == [False, False, True]
    with pytest.raises(NoLiveConsentError, match="nothing was changed"):
        house.site.rights.erase_at_once([asked.receipt_id])


def test_an_access_request_is_not_closed_without_its_file(house: House) -> None:
    rights = house.site.rights
    access, erasure = rights.open("access", []), rights.open("erasure", [])
    for outcome in ("answered", "nothing held", "carried out"):
        with pytest.raises(RefusedError, match="is closed by its answer"):
            rights.close(access.request_id, outcome)
    rights.close(access.request_id, "refused")
    rights.close(erasure.request_id, "carried out")
    with pytest.raises(RefusedError, match="closed already"):
        rights.close(erasure.request_id, "refused")
    with pytest.raises(InputError, match="no request of this number"):
        rights.close("0" * 32, "refused")
    assert rights.requests() == []


def test_an_order_answers_access_requests_first_and_ignores_erasure_requests(house: House) -> None:
    rights = house.site.rights
    ada, bea = house.admit(), house.admit()
    access = rights.open("access", [ada.receipt_id])
    rights.open("erasure", [bea.receipt_id])

    desk_alone(house)
    done = carry_out(house, planned(house, FRENCH), answer_requests=rights.answer_all)

    assert done.cohort.facts["before"]["requests_answered"] == 1
    (answer,) = (house.site.home.parent / "answers").iterdir()
    assert answer.name == f"{access.request_id}.zip"
    assert verify_answer(answer.read_bytes(), house.site.verifier_key)["holds_anything"] is True
    assert not house.sees(ada)


def test_an_answer_interrupted_before_the_request_was_closed_is_made_again(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = house.site.rights.open("access", [(person := house.admit()).receipt_id])

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("volens.rights.request_rows.close_request", dies)
    with pytest.raises(KeyboardInterrupt):
        house.site.rights.answer_all([person.receipt_id], tmp_path / "answers")
    monkeypatch.undo()
    assert house.site.rights.requests() == [request]
    assert house.site.rights.answer_all([person.receipt_id], tmp_path / "answers") == 1
    assert house.site.rights.requests() == []
