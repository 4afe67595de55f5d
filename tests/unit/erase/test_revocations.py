"""Revocations of senders: which consents a message ends, and that each is carried out, whatever happens in between."""

import pytest
from house import House, Person

from volens.consent import ErasureIncompleteError, InputError, ReceiptId
from volens.erase import carry_out_pending, carry_out_revocation
from volens.erase.revocations import Revocation, RevocationKind
from volens.store.people import consent_ended, live_receipts
from volens.store.programs import Inbox, ReceivedMessage, Sender


@pytest.fixture
def sender(house: House) -> Sender:
    return house.site.programs.senders.add(label="staff list").sender


def in_force(house: House) -> list[ReceiptId]:
    with house.store.read() as connection:
        return live_receipts(connection)


def received(
    house: House, sender: Sender, person: Person, kind: RevocationKind = RevocationKind.REVOKED
) -> ReceivedMessage:
    revocation = Revocation(kind, receipt_id=person.receipt_id)
    message = house.site.programs.inbox.accept(sender, f"msg_{person.receipt_id}", revocation.to_json())
    assert message is not None
    return message


def test_a_message_is_recorded_when_matching_has_stopped(
    house: House, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = house.admit()
    message = received(house, sender, person, RevocationKind.TERMINATED)
    seen: list[bool] = []
    complete = Inbox.complete

    def noted(inbox: Inbox, message: ReceivedMessage, kind: str, consents: int) -> None:
        seen.append(house.sees(person))
        complete(inbox, message, kind, consents)

    monkeypatch.setattr(Inbox, "complete", noted)
    assert carry_out_revocation(house.site.installation, message) == [person.receipt_id]

    assert seen == [False]
    assert house.site.programs.inbox.pending() == []
    with house.store.read() as connection:
        end = consent_ended(connection, person.receipt_id)
    assert end is not None
    assert end[0] == "left"


@pytest.mark.of_files
def test_an_erasure_that_cannot_finish_has_stopped_matching_and_is_in_the_journal(
    impatient: House, sender: Sender
) -> None:
    house = impatient
    message = received(house, sender, house.admit())
    with house.store.read() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM live_consent").all()
        with pytest.raises(ErasureIncompleteError):
            carry_out_revocation(house.site.installation, message)
    assert in_force(house) == []
    assert house.site.programs.inbox.pending() == []
    house.site.sweep()
    assert house.site.status().unfinished_erasures == 0


def test_what_a_killed_process_had_accepted_is_carried_out_when_the_site_is_opened(
    house: House, sender: Sender
) -> None:
    gone, stays = house.admit(), house.admit()
    received(house, sender, gone)
    assert house.site.status().revocations_since == house.clock.time

    house.reopen()

    assert in_force(house) == [stays.receipt_id]
    assert not house.sees(gone)
    status = house.site.status()
    assert (status.revocations_since, status.unfinished_erasures) == (None, 0)


def test_a_sweep_carries_out_what_was_accepted(house: House, sender: Sender) -> None:
    received(house, sender, house.admit())
    house.site.sweep()
    assert in_force(house) == []


@pytest.mark.of_files
def test_all_messages_are_carried_out_though_one_erasure_cannot_finish(impatient: House, sender: Sender) -> None:
    house = impatient
    for _ in range(3):
        received(house, sender, house.admit())
    with house.store.read() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM live_consent").all()
        with pytest.raises(ErasureIncompleteError):
            carry_out_pending(house.site.installation)
    assert in_force(house) == []


@pytest.mark.parametrize("fields", [{}, {"receipt_id": "0" * 32, "external_id": "1"}, {"external_id": ""}])
def test_a_revocation_has_exactly_one_valid_id(fields: dict[str, str]) -> None:
    with pytest.raises(InputError, match="got "):
        Revocation(RevocationKind.REVOKED, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [{"receipt_id": "0" * 32}, {"external_id": "Zo\u00eb 4711"}])
def test_a_revocation_is_stored_and_read_again(fields: dict[str, str]) -> None:
    revocation = Revocation(RevocationKind.TERMINATED, **fields)  # type: ignore[arg-type]
    assert Revocation.from_json(revocation.to_json()) == revocation
