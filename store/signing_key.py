"""The replacement of the site's signing key, as far as others see it: in the log and in ``site.pub``.

The keyring decides: one transaction of it makes the new key and stores the statement, signed with the old key, that
introduces it (`volens.store.keys.key_change`). What this module does can be repeated.
"""

from typing import Final

from sqlalchemy import Connection, update

from volens.store.keys.key_change import NewRootKey, SigningKeyChange, change_keys
from volens.store.log import audit_log
from volens.store.public_key_file import published_successors, write_public_key
from volens.store.schema import keyring_tables as tables
from volens.store.store import Store

SIGNING_KEY_ROTATED: Final = "signing_key.rotated"


def replace_signing_key(store: Store, epoch: int) -> None:
    """Make the signing key number `epoch`, the next one, and destroy the one before; note it in `key_rotation`.

    Raises:
        UnavailableError, TamperError: as `change_keys`; nothing was changed.
    """

    def note(connection: Connection, _destroyed_epoch: int) -> None:
        connection.execute(update(tables.key_rotation).values(signing_epoch=epoch))

    # Under the write lock of the data file, so that no process signs a longer log with the old key.
    with store.write() as tx:
        change = SigningKeyChange(store.verifier_key, audit_log.log_size(tx.connection))
        change_keys(
            store.keyring,
            store.random,
            tx.now,
            root_key=NewRootKey.NO,
            new_signing_key=change,
            in_transaction=note,
        )


def announce_successors(store: Store) -> None:
    """Log each replacement of the signing key, and write ``site.pub``, as far as that is not done yet.

    A kill after the change of the keyring, or a data file that was restored, can leave it undone.

    Raises:
        UnavailableError: the disk or another process refuses.
        TamperError: the statements in the keyring do not hold.
    """
    key = store.verifier_key
    if not key.successions:
        return
    details: list[dict[str, str | int]] = [{"epoch": one.epoch, "new_key": one.new_key} for one in key.successions]
    with store.read() as connection:
        is_complete = all(audit_log.has_entry(connection, one) for one in details)
    if not is_complete:
        with store.write() as tx:
            left = [one for one in details if not audit_log.has_entry(tx.connection, one)]
            tx.log_all(SIGNING_KEY_ROTATED, left)
    if published_successors(store.folder, key) < len(key.successions):
        write_public_key(store.folder, key)
