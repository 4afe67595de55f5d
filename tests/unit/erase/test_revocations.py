"""What a sender's message ends, and when its answer may be given."""

import pytest
from house import House

from volens.consent import ErasureIncompleteError, InputError, ReceiptId
from volens.erase.revocations import Revocation, RevocationKind
from volens.store.people import live_receipts
from volens.store.people.consents import consent_ended


def in_force(house: House) -> list[ReceiptId]:
    with house.store.read() as connection:
        return live_receipts(connection)


def test_the_answer_may_be_given_when_matching_has_stopped_and_the_message_is_noted(house: House) -> None:
    person, revocations = house.admit(), house.site.revocations
    sender = revocations.senders.add(label="staff list").sender
    seen: list[tuple[bool, bool]] = []

    meant = revocations.carry_out(
        sender,
        "msg_1",
        Revocation(RevocationKind.TERMINATED, receipt_id=person.receipt_id),
        lambda: seen.append((house.sees(person), revocations.senders.knows(sender, "msg_1"))),
    )

    assert meant == [person.receipt_id]
    assert seen == [(False, True)]
    with house.store.read() as connection:
        ended = consent_ended(connection, person.receipt_id)
    assert ended is not None
    assert ended[0] == "left"


def test_an_erasure_that_cannot_finish_has_answered_all_the_same(house: House) -> None:
    person, revocations, answered = house.admit(), house.site.revocations, []
    sender = revocations.senders.add(label="staff list").sender
    wanted = Revocation(RevocationKind.REVOKED, receipt_id=person.receipt_id)
    with house.store.read() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM live_consent").all()
        with pytest.raises(ErasureIncompleteError):
            revocations.carry_out(sender, "msg_1", wanted, lambda: answered.append(True))
    assert answered == [True]
    assert in_force(house) == []
    house.site.sweep()
    assert house.site.status().unfinished_erasures == 0


def test_what_is_called_when_stopped_cannot_keep_an_erasure_from_its_end(house: House) -> None:
    person, revocations = house.admit(), house.site.revocations
    sender = revocations.senders.add(label="staff list").sender
    wanted = Revocation(RevocationKind.REVOKED, receipt_id=person.receipt_id)

    def fails() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        revocations.carry_out(sender, "msg_1", wanted, fails)
    assert house.site.status().unfinished_erasures == 0
    assert house.store.keyring.wrapped(person.receipt_id) is None


@pytest.mark.parametrize("fields", [{}, {"receipt_id": "0" * 32, "external_id": "1"}, {"external_id": ""}])
def test_a_revocation_says_who_is_meant(fields: dict[str, str]) -> None:
    with pytest.raises(InputError, match="got "):
        Revocation(RevocationKind.REVOKED, **fields)  # type: ignore[arg-type]
