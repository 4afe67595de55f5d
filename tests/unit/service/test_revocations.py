"""Revocations by webhook: which consents a sender's message ends, and when it may be answered."""

import pytest
from house import House

from volens.consent import ErasureIncompleteError, InputError, ReceiptId
from volens.service.webhooks import Revocation, RevocationKind, carry_out_revocation
from volens.store.people import consent_ended, live_receipts
from volens.store.programs import Sender


@pytest.fixture
def sender(house: House) -> Sender:
    return house.site.programs.senders.add(label="staff list").sender


def in_force(house: House) -> list[ReceiptId]:
    with house.store.read() as connection:
        return live_receipts(connection)


def test_the_answer_is_sent_when_matching_stopped_and_the_message_is_recorded(house: House, sender: Sender) -> None:
    person, senders = house.admit(), house.site.programs.senders
    seen: list[tuple[bool, bool]] = []

    ended = carry_out_revocation(
        house.site,
        sender,
        "msg_1",
        Revocation(RevocationKind.TERMINATED, receipt_id=person.receipt_id),
        lambda: seen.append((house.sees(person), senders.has_recorded(sender, "msg_1"))),
    )

    assert ended == [person.receipt_id]
    assert seen == [(False, True)]
    with house.store.read() as connection:
        end = consent_ended(connection, person.receipt_id)
    assert end is not None
    assert end[0] == "left"


def test_an_erasure_that_cannot_finish_is_answered_all_the_same(impatient: House, sender: Sender) -> None:
    house = impatient
    person, answered = house.admit(), []
    revocation = Revocation(RevocationKind.REVOKED, receipt_id=person.receipt_id)
    with house.store.read() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM live_consent").all()
        with pytest.raises(ErasureIncompleteError):
            carry_out_revocation(house.site, sender, "msg_1", revocation, lambda: answered.append(True))
    assert answered == [True]
    assert in_force(house) == []
    house.site.sweep()
    assert house.site.status().unfinished_erasures == 0


def test_an_error_of_the_callback_does_not_prevent_the_erasure(house: House, sender: Sender) -> None:
    person = house.admit()
    revocation = Revocation(RevocationKind.REVOKED, receipt_id=person.receipt_id)

    def fails() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        carry_out_revocation(house.site, sender, "msg_1", revocation, fails)
    assert house.site.status().unfinished_erasures == 0
    assert house.store.keyring.wrapped_secrets([person.receipt_id]) == {}


@pytest.mark.parametrize("fields", [{}, {"receipt_id": "0" * 32, "external_id": "1"}, {"external_id": ""}])
def test_a_revocation_has_exactly_one_valid_id(fields: dict[str, str]) -> None:
    with pytest.raises(InputError, match="got "):
        Revocation(RevocationKind.REVOKED, **fields)  # type: ignore[arg-type]
