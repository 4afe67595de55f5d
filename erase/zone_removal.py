"""Removal of a zone: for ever, and only once no one has a consent in force there."""

from volens.consent import EndReason, Purpose, RefusedError, Zone
from volens.consent.zone import ZoneState
from volens.erase.procedure import Progress, erase_consents
from volens.erase.proof import Erased
from volens.index import Installation
from volens.store.people import count_live
from volens.store.people.invitation_rows import cancel_invitations
from volens.store.people.people_list import ConsentFilter, consent_ids
from volens.store.promises import set_zone_state, zone_of


def remove_zone(
    installation: Installation, purpose: Purpose, *, erase_everyone: bool = False, progress: Progress | None = None
) -> tuple[Zone, list[Erased]]:
    """Remove a zone; return it and the erasures of its people.

    1. Without `erase_everyone`, a zone with people is refused, and nothing is changed.
    2. The zone is paused, so that no one is matched or enrolled there any more.
    3. Its consents end, and their data is erased, each with a certificate.
    4. It is removed, in one transaction with the check that no consent came in meanwhile. Open invitations are
       cancelled.

    A process that is killed leaves the zone paused, with fewer people; a repeated call goes on.

    Raises:
        UnknownError: there is no such zone.
        RefusedError: 1, or it was removed already, or a consent was given during 3.
        ErasureIncompleteError: an erasure could not be finished; the zone stays paused.
    """
    store = installation.store
    with store.read() as connection:
        zone_of(connection, purpose).check_not_removed()
        ids = consent_ids(connection, ConsentFilter(zone=purpose))
    # 1.
    if ids and not erase_everyone:
        raise _has_people(purpose, len(ids))
    erased: list[Erased] = []
    if ids:
        # 2.
        with store.write() as tx:
            set_zone_state(tx, purpose, ZoneState.PAUSED)
        # 3.
        erased = erase_consents(installation, ids, EndReason.ZONE_REMOVED, progress)
    # 4.
    with store.write() as tx:
        if left := count_live(tx.connection, purpose):
            raise _has_people(purpose, left)
        cancel_invitations(tx, lambda one: one.purpose == purpose)
        return set_zone_state(tx, purpose, ZoneState.REMOVED), erased


def _has_people(purpose: Purpose, count: int) -> RefusedError:
    people = "1 person has" if count == 1 else f"{count} people have"
    return RefusedError(
        f"{people} a consent in force for zone {purpose!r}; pass --erase-everyone to end them all and erase their data"
    )
