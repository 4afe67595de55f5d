"""Grant secrets held against consents: secrets that outlive their consent, and consents whose secret is lost."""

from sqlalchemy import Connection, select

from volens.consent import Custody, ReceiptId
from volens.store.keys.keyring import Keyring
from volens.store.schema import data_tables as tables
from volens.store.schema import keyring_tables


def unopenable(connection: Connection, keyring: Keyring) -> list[ReceiptId]:
    """Return the consents in force whose embedding can no longer be opened: the keyring does not have their secret."""
    live = tables.live_consent.c
    query = select(live.receipt_id).join(tables.zone, tables.zone.c.purpose == live.purpose)
    # In the other custody modes the person has the missing half.
    found = connection.scalars(query.where(tables.zone.c.custody == Custody.OPERATOR.value)).all()
    held = _held(keyring)
    return [ReceiptId(one) for one in found if one not in held]


def orphans(connection: Connection, keyring: Keyring) -> list[ReceiptId]:
    """Return the receipt ids of secrets that belong to no consent in force."""
    live = set(connection.scalars(select(tables.live_consent.c.receipt_id)))
    return sorted(_held(keyring) - live)


def returned_secrets(connection: Connection, keyring: Keyring) -> list[ReceiptId]:
    """Return the receipt ids of secrets that were destroyed and are there again: an older keyring was put back.

    The secret of a consent whose erasure has only been begun is left to that erasure.
    """
    state = tables.erasure.c.state
    erased = set(connection.scalars(select(tables.erasure.c.receipt_id).where(state.not_in(("requested", "stopped")))))
    return sorted(_held(keyring) & erased.difference(connection.scalars(select(tables.live_consent.c.receipt_id))))


def _held(keyring: Keyring) -> set[ReceiptId]:
    with keyring.read() as kept:
        return {ReceiptId(one) for one in kept.scalars(select(keyring_tables.grant_secret.c.receipt_id))}
