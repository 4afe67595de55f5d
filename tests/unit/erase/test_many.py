"""Many at once: the same as one by one, in chunks; who is stuck or unknown holds nobody else up."""

from hashlib import sha256

import pytest
from house import House, Person

from tests.unit.store.raw import DATA, tamper
from volens import verify_certificate
from volens.consent import (
    EndReason,
    ErasureIncompleteError,
    NoLiveConsentError,
    ReceiptId,
    TamperError,
    UnavailableError,
)
from volens.erase import erase_consents, resume_begun
from volens.erase.journal import entry, states_of
from volens.erase.procedure import resume_all
from volens.erase.proof import Erased
from volens.store.people import references_of


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four, of chunks of two."""
    monkeypatch.setattr("volens.erase.procedure.BATCH", 4)
    monkeypatch.setattr("volens.erase.procedure.STOP_TOGETHER", 2)
    monkeypatch.setattr("volens.erase.procedure.CERTIFY_TOGETHER", 2)
    monkeypatch.setattr("volens.erase.procedure._READ_TOGETHER", 3)


def erase_all(house: House, people: list[Person], calls: list[tuple[int, int]] | None = None) -> list[Erased]:
    told = [] if calls is None else calls
    ids = [person.receipt_id for person in people]
    return erase_consents(
        house.store,
        house.galleries,
        house.site.home,
        ids,
        EndReason.ORDERED,
        lambda done, total: told.append((done, total)),
    )


def test_many_are_erased_as_one_is_and_the_others_stay(house: House) -> None:
    leavers, stayers = [house.admit() for _ in range(7)], [house.admit() for _ in range(2)]
    assert house.sees(leavers[0])
    calls: list[tuple[int, int]] = []

    erased = erase_all(house, leavers, calls)

    assert len({one.certificate_id for one in erased}) == 7
    for person, one in zip(leavers, erased, strict=True):
        certificate = verify_certificate(one.certificate_path.read_bytes(), house.site.verifier_key)
        assert certificate.receipt_sha256 == sha256(person.take_home.receipt.token.encode()).hexdigest()
        assert certificate.statement["destroyed"]["sealed embedding"] == 1
        assert certificate.statement["search_before"][0]["rank"] == 1
        assert {each["what"] for each in certificate.statement["searched"]} >= {"plain embedding", "gallery sketch"}
    assert not any(house.sees(person) for person in leavers)
    assert all(house.sees(person) for person in stayers)
    assert house.site.log.verify().kinds["erasure.certified"] == 7
    assert calls == sorted(calls)
    assert calls[-1] == (7, 7)


def test_the_answers_are_in_the_order_asked_and_the_same_when_asked_again(house: House) -> None:
    people = [house.admit() for _ in range(5)]
    first = erase_all(house, people[3:])

    again = erase_all(house, [*people, people[4]])

    assert again[3:] == [*first, first[1]]
    assert erase_all(house, people) == again[:5]
    assert len(list((house.site.home / "certificates").iterdir())) == 5


def test_nobody_is_nothing(house: House) -> None:
    assert erase_all(house, []) == []


def test_somebody_unknown_among_them_changes_nothing(house: House) -> None:
    people = [house.admit() for _ in range(3)]
    ids = [*(person.receipt_id for person in people), ReceiptId("f" * 32)]
    with pytest.raises(NoLiveConsentError, match="nothing was changed"):
        erase_consents(house.store, house.galleries, house.site.home, ids, EndReason.ORDERED)
    assert all(house.sees(person) for person in people)


def test_somebody_of_whom_a_copy_is_found_holds_nobody_up(house: House) -> None:
    people = [house.admit() for _ in range(6)]
    with house.store.read() as connection:
        (reference,) = references_of(connection, people[1].receipt_id)
    (house.site.home / "copy").write_bytes(reference.sealed_embedding[100:300])

    with pytest.raises(ErasureIncompleteError, match=r"1 of 6 erasures are not finished; the first: found .* in copy"):
        erase_all(house, people)

    assert not any(house.sees(person) for person in people)
    assert house.site.status().unfinished_erasures == 1
    assert len(list((house.site.home / "certificates").iterdir())) == 5
    (house.site.home / "copy").unlink()
    finished, stuck = resume_begun(house.store, house.galleries, house.site.home)
    assert stuck is None
    assert finished == [house.withdraw(people[1])]


def test_what_could_be_finished_is_told_beside_what_could_not(house: House) -> None:
    people = [house.admit() for _ in range(2)]
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr("volens.erase.procedure._Batch.finish", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            erase_all(house, people)
    with house.store.read() as connection:
        begun = states_of(connection, [person.receipt_id for person in people])
    nonce = peek_fingerprint(house, people[0])
    (house.site.home / "copy").write_bytes(bytes(40) + nonce + bytes(40))

    finished, stuck = resume_begun(house.store, house.galleries, house.site.home)

    assert len(begun) == 2
    assert finished == [house.withdraw(people[1])]
    assert isinstance(stuck, ErasureIncompleteError)


def peek_fingerprint(house: House, person: Person) -> bytes:
    with house.store.read() as connection:
        found = entry(connection, person.receipt_id)
    assert found is not None
    return bytes.fromhex(found.facts["existed"][0]["fingerprint"])


def test_a_damaged_entry_of_the_journal_is_an_alarm_that_holds_nobody_up(house: House) -> None:
    people = [house.admit() for _ in range(4)]
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr("volens.erase.procedure._Batch.finish", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            erase_all(house, people)
    ids = [person.receipt_id for person in people]
    tamper(house.site.home / DATA, "UPDATE erasure SET facts = '{' WHERE receipt_id = ?", ids[0])

    with pytest.raises(TamperError, match="integrity: an entry of the erasure journal is damaged"):
        resume_all(house.store, house.galleries, house.site.home, ids)

    assert len(list((house.site.home / "certificates").iterdir())) == 3


def test_a_store_that_refuses_in_the_middle_leaves_the_others_in_force_and_says_how_many(house: House) -> None:
    people = [house.admit() for _ in range(6)]
    stops: list[int] = []

    def refuse(*arguments: object) -> None:
        stops.append(1)
        if len(stops) == 2:
            raise UnavailableError("the disk is full")
        plain(*arguments)  # type: ignore[arg-type]

    from volens.erase.procedure import stop as plain  # noqa: PLC0415  before it is replaced

    with pytest.MonkeyPatch.context() as full:
        full.setattr("volens.erase.procedure.stop", refuse)
        with pytest.raises(ErasureIncompleteError, match="4 of 6 consents are still in force: the disk is full"):
            erase_all(house, people)

    assert [house.sees(person) for person in people] == [False, False, True, True, True, True]
    assert house.site.status().unfinished_erasures == 0
    assert len(list((house.site.home / "certificates").iterdir())) == 2
    assert len(erase_all(house, people)) == 6


def test_the_home_is_read_once_for_all_of_a_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [house.admit() for _ in range(4)]
    passes: list[int] = []
    from volens.erase.places import search_places as plain  # noqa: PLC0415  before it is replaced

    def counted(*arguments: object) -> object:
        passes.append(1)
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("volens.erase.absence.search_places", counted)
    erase_all(house, people)
    assert len(passes) == 1


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
