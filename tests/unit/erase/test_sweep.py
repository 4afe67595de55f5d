"""The sweep: expired consents are erased, begun erasures finished, orphaned secrets deleted."""

import pytest
from house import House

from volens import verify_certificate
from volens.consent import ErasureIncompleteError, ReceiptId
from volens.erase import SweepReport
from volens.store.people import sealed_references

NOTHING = SweepReport((), (), 0)


def test_a_sweep_without_due_work_changes_nothing(house: House) -> None:
    person = house.admit()
    size = house.site.status().log_size
    calls: list[tuple[int, int]] = []

    assert house.site.sweep(lambda done, total: calls.append((done, total))) == NOTHING

    assert calls == []
    assert house.site.status().log_size == size
    assert house.sees(person)


def test_an_expired_consent_is_erased_for_that_reason_and_the_rest_stays(house: House) -> None:
    old = [house.admit(), house.invite()]
    house.clock.move(days=1)
    young = house.admit()
    house.clock.move(days=89)
    assert len(house.site.sweep().expired) == 2

    certificates = [
        verify_certificate(path.read_bytes(), house.site.verifier_key)
        for path in (house.site.home / "certificates").iterdir()
    ]
    assert [certificate.reason for certificate in certificates] == ["expired", "expired"]
    assert house.sees(young)
    assert not house.sees(old[0])
    assert house.site.sweep() == NOTHING


def test_a_consent_is_swept_from_the_second_at_which_it_ends(house: House) -> None:
    house.admit()
    house.clock.move(days=90, seconds=-1)
    assert house.site.sweep() == NOTHING
    house.clock.move(seconds=1)
    (erased,) = house.site.sweep().expired
    assert erased.reason == "expired"


def test_an_erasure_that_was_begun_is_finished_under_its_own_reason(house: House) -> None:
    person = house.admit()
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [person.receipt_id])
    planted = house.site.home / "copy"
    planted.write_bytes(reference.sealed_embedding)
    with pytest.raises(ErasureIncompleteError):
        house.withdraw(person)
    planted.unlink()

    report = house.site.sweep()

    assert [erased.reason for erased in report.resumed] == ["withdrawn"]
    assert report.expired == ()
    assert house.site.sweep() == NOTHING


def test_a_failed_erasure_does_not_keep_the_others_from_being_erased(house: House) -> None:
    stuck, expiring = house.admit(), [house.admit(), house.admit()]
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [stuck.receipt_id])
    planted = house.site.home / "copy"
    planted.write_bytes(reference.sealed_embedding)
    with pytest.raises(ErasureIncompleteError):
        house.withdraw(stuck)
    house.clock.move(days=90)
    calls: list[tuple[int, int]] = []

    with pytest.raises(ErasureIncompleteError, match=r"found .* in copy; remove it"):
        house.site.sweep(lambda done, total: calls.append((done, total)))

    assert calls == sorted(calls)
    assert calls[-1] == (3, 3)
    assert house.site.status().zones[0].live_consents == 0
    assert house.site.status().unfinished_erasures == 1
    for person in expiring:
        assert house.withdraw(person).reason == "expired"
    planted.unlink()
    assert len(house.site.sweep().resumed) == 1
    assert house.site.unfinished is None


def test_progress_counts_up_to_the_total(house: House) -> None:
    for _ in range(3):
        house.invite()
    house.clock.move(days=90)
    calls: list[tuple[int, int]] = []

    house.site.sweep(lambda done, total: calls.append((done, total)))

    assert calls == [(1, 3), (2, 3), (3, 3)]  # stopped, certified, written


def test_orphaned_secrets_are_deleted_after_an_hour_and_those_in_use_never(house: House) -> None:
    person = house.admit()
    stray = ReceiptId("f" * 32)
    house.store.keyring.new_grant_secret(stray, house.bits.randbytes, house.store.now()).wipe()
    house.clock.move(hours=1)
    assert house.site.sweep().stray_secrets == 0
    assert house.store.keyring.wrapped_secrets([stray]).get(stray) is not None

    house.clock.move(seconds=1)

    assert house.site.sweep().stray_secrets == 1
    assert house.store.keyring.wrapped_secrets([stray]).get(stray) is None
    assert house.site.sweep().stray_secrets == 0
    assert house.sees(person)
