"""The inbox: a message is stored once, carried out once, and what it asks for is gone afterwards."""

import pytest
from house import House

from tests.unit.store.raw import DATA, tamper
from volens.consent import TamperError
from volens.store.log import entries_about_no_person
from volens.store.programs import Inbox, Sender

CANARY = b"canary-personnel-number"


@pytest.fixture
def inbox(house: House) -> Inbox:
    return house.site.programs.inbox


@pytest.fixture
def sender(house: House) -> Sender:
    return house.site.programs.senders.add(label="staff list", zone="lobby").sender


def test_a_message_is_pending_until_it_was_carried_out(house: House, inbox: Inbox, sender: Sender) -> None:
    message = inbox.accept(sender, "msg_1", CANARY)
    assert message is not None
    assert [inbox.open(one) for one in inbox.pending()] == [message]
    with house.store.read() as connection:
        assert inbox.pending_since(connection) == house.clock.time

    inbox.complete(message, "consent.revoked", 2)
    inbox.complete(message, "consent.revoked", 2)

    assert inbox.pending() == []
    with house.store.read() as connection:
        assert inbox.pending_since(connection) is None


def test_a_message_is_stored_once_for_each_sender_for_thirty_days(house: House, inbox: Inbox, sender: Sender) -> None:
    other = house.site.programs.senders.add(label="another").sender
    for one in (sender, other):
        message = inbox.accept(one, "msg_1", CANARY)
        assert message is not None
        assert inbox.accept(one, "msg_1", CANARY) is None
        inbox.complete(message, "consent.revoked", 0)
        assert inbox.accept(one, "msg_1", CANARY) is None

    house.clock.move(days=31)
    assert inbox.accept(sender, "msg_2", CANARY) is not None
    assert inbox.accept(sender, "msg_1", CANARY) is not None


def test_a_message_that_was_not_carried_out_is_not_forgotten(house: House, inbox: Inbox, sender: Sender) -> None:
    inbox.accept(sender, "msg_1", CANARY)
    house.clock.move(days=31)
    inbox.accept(sender, "msg_2", CANARY)
    assert len(inbox.pending()) == 2


def test_what_a_message_asks_for_is_sealed(house: House, inbox: Inbox, sender: Sender) -> None:
    inbox.accept(sender, "msg_1", CANARY)
    for path in house.site.home.rglob("*"):
        if path.is_file():
            assert CANARY not in path.read_bytes(), path.name
    assert "canary" not in repr(inbox.pending()) + repr(inbox.open(inbox.pending()[0]))


def test_a_message_that_was_moved_to_another_sender_does_not_open(house: House, inbox: Inbox, sender: Sender) -> None:
    house.site.programs.senders.add(label="another")
    inbox.accept(sender, "msg_1", CANARY)
    house.site.close()
    another = "UPDATE webhook_message SET sender_id = (SELECT sender_id FROM webhook_sender WHERE label = 'another')"
    tamper(house.site.home / DATA, another)

    house.reopen()  # a planted message does not keep the site closed
    with pytest.raises(TamperError, match="does not open; ask the sender to send its messages again; "):
        house.site.programs.inbox.open(house.site.programs.inbox.pending()[0])
    with pytest.raises(TamperError, match="does not open"):
        house.site.sweep()


def test_a_message_that_was_carried_out_has_one_leaf(house: House, inbox: Inbox, sender: Sender) -> None:
    message = inbox.accept(sender, "msg_1", CANARY)
    assert message is not None
    for _ in range(2):
        inbox.complete(message, "consent.revoked", 3)
    with house.store.read() as connection:
        found = [one.details for one in entries_about_no_person(connection, "revocation.received")]
    assert found == [{"sender": sender.sender_id, "kind": "consent.revoked", "consents": 3}]
