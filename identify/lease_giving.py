"""Giving a lease: what a door needs to decide without a connection, sealed for this lease and signed.

1. The row of the lease is written (`volens.store.programs.leases`): from here on a withdrawal revokes it.
2. The references of the zone are read afterwards. Left out are: people whose receipt says less than the term, or does
   not verify; those whose consent ends within the term, by any clock; those who restricted or stopped it.
3. Each embedding is opened and sealed again under a key of this lease, which is sent and not kept.
4. The lease is signed, with the hash of the sealed references.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from hashlib import sha256
from typing import Final, final

from volens.consent import ModelId, Purpose, ReferenceId, RefusedError, TamperError, Zone
from volens.consent.in_process import InProcess
from volens.consent.lease import LEASE, MAX_LEASED_PEOPLE, LeaseClaims
from volens.index.reference_opener import ReferenceOpener
from volens.store import Store
from volens.store.keys import LeaseKey
from volens.store.keys.lease_boxes import lease_context, pack_entries, seal_entry
from volens.store.people import SealedReference
from volens.store.people.consents import AuthenticConsent, inspect_consents
from volens.store.people.references import live_references_after
from volens.store.programs.leases import Leases
from volens.store.promises.lease_rows import LeaseRow

_ID_BYTES: Final = 16


@final
class GivenLease(InProcess):
    """A lease to send to its holder; the sender wipes the key.

    Attributes:
        token: the signed lease.
        key: opens the references.
        references: sealed, with a handle of each.
    """

    __slots__ = ("claims", "key", "references", "token")

    def __init__(self, token: str, claims: LeaseClaims, key: LeaseKey, references: bytes) -> None:
        self.token = token
        self.claims = claims
        self.key = key
        self.references = references


def give_lease(
    store: Store,
    credential_id: str,
    model_id: ModelId,
    threshold_in: Callable[[Zone], float],
    liveness_in: Callable[[Zone], str] = lambda _zone: "",
) -> GivenLease:
    """Issue the next lease of a door, for a model and its threshold in the zone.

    `liveness_in` returns the liveness detector that the door must use there, or refuses.

    Raises:
        RefusedError, ZonePausedError, UnknownError, UnavailableError: see `Leases.reserve`; or the zone has too many
            people.
        TamperError: the seal of a reference does not hold.

    Cost: 160 us for each person of the zone.
    """
    # 1.
    row, zone = Leases(store).reserve(credential_id, lease_id=store.random(_ID_BYTES).hex(), check=liveness_in)
    of = lease_context(store.site.controller.site_id, zone.purpose, credential_id, row.lease_id, model_id)
    key = LeaseKey.generate(store.random)
    with ExitStack() as on_failure:
        on_failure.callback(key.wipe)
        # 2. and 3.
        entries = _sealed_entries(store, zone.purpose, _leasable(store, model_id, row), key, of)
        references = pack_entries(store.keyring, entries, credential_id, row.lease_id, store.random)
        # 4.
        claims = LeaseClaims(
            lease_id=row.lease_id,
            site_id=store.site.controller.site_id,
            purpose=zone.purpose,
            holder=credential_id,
            generation=row.generation,
            term_seconds=row.term_seconds,
            issued_at=row.given_at,
            model_id=model_id,
            threshold=threshold_in(zone),
            liveness_model=liveness_in(zone),
            after_lease=zone.after_lease,
            trigger=zone.trigger,
            people=len(entries),
            references_sha256=sha256(references).hexdigest(),
        )
        lease = GivenLease(LEASE.sign(store.keyring, claims.to_json()), claims, key, references)
        on_failure.pop_all()
    return lease


def _sealed_entries(
    store: Store, purpose: Purpose, batches: Iterable[list[SealedReference]], key: LeaseKey, of: Sequence[str]
) -> list[tuple[bytes, bytes]]:
    """Open each embedding, and seal it again under the key of the lease; RefusedError if there are too many."""
    entries: list[tuple[bytes, bytes]] = []
    with ReferenceOpener(store) as opener:
        for batch in batches:
            opener.fetch(batch)
            for reference in batch:
                with opener.opened(reference) as vector:
                    if vector is not None:
                        number = len(entries)
                        entries.append(seal_entry(vector, number, reference.reference_id, key, of, store.random))
            if len(entries) > MAX_LEASED_PEOPLE:
                raise RefusedError(
                    f"zone {purpose!r} has more than {MAX_LEASED_PEOPLE} people, too many for a lease; its doors "
                    "decide online only; split the zone, or end its leases with --lease-seconds 0"
                )
    return entries


def _leasable(store: Store, model_id: ModelId, row: LeaseRow) -> Iterator[list[SealedReference]]:
    """Yield the references that a lease may contain, some at a time."""
    after = ReferenceId(0)
    while True:
        with store.read_prepared() as snapshot:
            found = live_references_after(snapshot, row.purpose, model_id, after, store.now())
            known = inspect_consents(snapshot, [one.receipt.receipt_id for one in found])
        if not found:
            return
        after = found[-1].reference_id
        yield [one for one in found if _may_be_leased(store, one, known.get(one.receipt.receipt_id), row)]


def _may_be_leased(
    store: Store,
    reference: SealedReference,
    consent: AuthenticConsent | TamperError | None,
    row: LeaseRow,
) -> bool:
    receipt_id, ends_at = reference.receipt.receipt_id, row.ends_at
    if not isinstance(consent, AuthenticConsent) or consent.is_restricted:
        return False
    if receipt_id in store.stopped or receipt_id in store.paused:
        return False
    if min(consent.ends_at, reference.live_until) <= ends_at + timedelta(seconds=1):
        return False
    if consent.receipt.sha256 != reference.receipt.sha256:
        return False
    try:
        claims = consent.receipt.verified().claims
    except TamperError:
        return False
    is_here = claims.site_id == store.site.controller.site_id and claims.purpose == row.purpose
    return is_here and claims.lease_seconds >= row.term_seconds and claims.expires_at > ends_at
