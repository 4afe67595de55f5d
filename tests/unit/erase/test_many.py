"""Erasure of many people at once: the same result as one by one; a failed one does not delay the others."""

from hashlib import sha256

import pytest
from house import House, Person
from interruptions import before_consents_end, interrupted_after_stop

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
from volens.erase import entries, erase_consents, resume, resume_begun, states_of
from volens.erase.proof import Erased
from volens.store.people import sealed_references


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four, of chunks of two."""
    monkeypatch.setattr("volens.erase.procedure.BATCH", 4)
    monkeypatch.setattr("volens.erase.procedure.STOP_TOGETHER", 2)
    monkeypatch.setattr("volens.erase.procedure.CERTIFY_TOGETHER", 2)
    monkeypatch.setattr("volens.erase.procedure._READ_TOGETHER", 3)


def erase_all(house: House, people: list[Person], calls: list[tuple[int, int]] | None = None) -> list[Erased]:
    reported = [] if calls is None else calls
    ids = [person.receipt_id for person in people]
    return erase_consents(
        house.site.installation,
        ids,
        EndReason.ORDERED,
        lambda done, total: reported.append((done, total)),
    )


def test_many_people_are_erased_like_one_and_the_others_stay(house: House) -> None:
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


def test_results_keep_the_order_of_the_call_and_a_repeated_call_returns_the_same(house: House) -> None:
    people = [house.admit() for _ in range(5)]
    first = erase_all(house, people[3:])

    again = erase_all(house, [*people, people[4]])

    assert again[3:] == [*first, first[1]]
    assert erase_all(house, people) == again[:5]
    assert len(list((house.site.home / "certificates").iterdir())) == 5


def test_an_empty_list_erases_no_person(house: House) -> None:
    assert erase_all(house, []) == []


def test_one_unknown_consent_changes_nothing(house: House) -> None:
    people = [house.admit() for _ in range(3)]
    ids = [*(person.receipt_id for person in people), ReceiptId("f" * 32)]
    with pytest.raises(NoLiveConsentError, match="nothing was changed"):
        erase_consents(house.site.installation, ids, EndReason.ORDERED)
    assert all(house.sees(person) for person in people)


def test_a_copy_found_of_one_person_does_not_delay_the_others(house: House) -> None:
    people = [house.admit() for _ in range(6)]
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [people[1].receipt_id])
    (house.site.home / "copy").write_bytes(reference.sealed_embedding[100:300])

    with pytest.raises(ErasureIncompleteError, match=r"1 of 6 erasures are not finished; the first: found .* in copy"):
        erase_all(house, people)

    assert not any(house.sees(person) for person in people)
    assert house.site.status().unfinished_erasures == 1
    assert len(list((house.site.home / "certificates").iterdir())) == 5
    (house.site.home / "copy").unlink()
    finished, stuck = resume_begun(house.site.installation)
    assert stuck is None
    assert finished == [house.withdraw(people[1])]


def test_resuming_returns_the_finished_erasures_and_the_error_of_the_rest(house: House) -> None:
    people = [house.admit() for _ in range(2)]
    with interrupted_after_stop(), pytest.raises(KeyboardInterrupt):
        erase_all(house, people)
    with house.store.read() as connection:
        begun = states_of(connection, [person.receipt_id for person in people])
    nonce = peek_nonce(house, people[0])
    (house.site.home / "copy").write_bytes(bytes(40) + nonce + bytes(40))

    finished, stuck = resume_begun(house.site.installation)

    assert len(begun) == 2
    assert finished == [house.withdraw(people[1])]
    assert isinstance(stuck, ErasureIncompleteError)


def peek_nonce(house: House, person: Person) -> bytes:
    with house.store.read() as connection:
        found = entries(connection, [person.receipt_id]).get(person.receipt_id)
    assert found is not None
    return bytes.fromhex(found.facts["beginnings"][0]["nonce"])


def test_a_damaged_journal_entry_is_an_error_that_does_not_delay_the_others(house: House) -> None:
    people = [house.admit() for _ in range(4)]
    with interrupted_after_stop(), pytest.raises(KeyboardInterrupt):
        erase_all(house, people)
    ids = [person.receipt_id for person in people]
    tamper(house.site.home / DATA, "UPDATE erasure SET facts = '{' WHERE receipt_id = ?", ids[0])

    with pytest.raises(TamperError, match="integrity: an entry of the erasure journal is damaged"):
        resume(house.site.installation, ids)

    assert len(list((house.site.home / "certificates").iterdir())) == 3


def test_a_store_that_refuses_half_way_leaves_the_rest_in_force_and_counts_them(house: House) -> None:
    people = [house.admit() for _ in range(6)]
    stops: list[int] = []

    def refuse_the_second() -> None:
        stops.append(1)
        if len(stops) == 2:
            raise UnavailableError("the disk is full")

    refused = pytest.raises(ErasureIncompleteError, match="4 of 6 consents are still in force: the disk is full")
    with before_consents_end(refuse_the_second), refused:
        erase_all(house, people)

    assert not any(house.sees(person) for person in people)  # this process obeys
    house.reopen()
    assert [house.sees(person) for person in people] == [False, False, True, True, True, True]
    assert house.site.status().unfinished_erasures == 0
    assert len(list((house.site.home / "certificates").iterdir())) == 2
    assert len(erase_all(house, people)) == 6


def test_the_home_is_read_once_for_a_whole_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [house.admit() for _ in range(4)]
    passes: list[int] = []
    from volens.erase import search_places as plain  # noqa: PLC0415  before it is replaced

    def counted(*arguments: object) -> object:
        passes.append(1)
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("volens.erase.absence.search_places", counted)
    erase_all(house, people)
    assert len(passes) == 1
