"""Renewal before the end: a new signed receipt takes the place of the one in force, without photos, without a gap.

The key of an embedding is derived from the signed receipt, so the embedding is opened once more under the old consent,
and sealed again under the new one. In one transaction the old consent ends and the new one begins; then the old key is
destroyed, and a certificate is issued, as after every end of a consent.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, final

from sqlalchemy import Connection

from volens.consent import (
    ConsentedEmbedding,
    ConsentGrant,
    Custody,
    ErasureIncompleteError,
    InputError,
    ModelId,
    NoLiveConsentError,
    Notice,
    PersonSecret,
    ReceiptId,
    RefusedError,
    SubjectKey,
    TakeHome,
    UnavailableError,
    UnitVector,
    VerifiedReceipt,
    VolensError,
    WithdrawalCode,
    Zone,
    format_time,
)
from volens.consent.gate import admit
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm
from volens.enroll.giving import check_commitment, zone_of_newest
from volens.enroll.placement import HandOver
from volens.enroll.receipt_submission import accept_receipt, key_to_renew, offer_receipt
from volens.erase.order.order_rows import cohort_receipts, unfinished_cohorts
from volens.erase.procedure import replace_consent
from volens.erase.proof import Erased
from volens.erase.stop import Continued
from volens.index import Installation, PersonalToken
from volens.index.claims import claimed_references
from volens.store import Store, Transaction
from volens.store.keys import GrantSecret
from volens.store.people import StoredReceipt, add_reference, shorten, stored_receipt
from volens.store.people.badges import issue_badge
from volens.store.people.consents import LiveConsents, add_consent, open_name, sealed_name
from volens.store.people.panel_badges import renew_panel_badge, sealed_panel_badge
from volens.store.people.renewed_rows import RenewedRows, add_renewed_rows, count_renewed, enrolled_rows, rows_to_renew
from volens.store.people.restrictions import restricted_since
from volens.store.people.score_counts import ScoreCounts, put_score_counts, score_counts_of
from volens.store.people.subject_secrets import add_commitment
from volens.store.programs import MessageKind, enqueue
from volens.store.promises import Defaults, processing_record
from volens.store.schema.personal_tables import OWNER

_ENDED: Final = "there is no consent in force for this receipt; nothing was changed; record a new consent instead"


@final
@dataclass(frozen=True, slots=True)
class Renewed:
    """A consent that took the place of an older one.

    Attributes:
        references: how many references went on, sealed again under the new receipt.
        ended: the erasure of the old consent, with its certificate; None if it is not finished.
        problem: why it is not finished; the new consent is in force all the same.
    """

    take_home: TakeHome
    references: int
    ended: Erased | None
    problem: ErasureIncompleteError | None


def offer_renewal(
    installation: Installation,
    receipt_id: ReceiptId,
    notice: Notice,
    *,
    form: SignatureForm | None = None,
    valid_days: int | None = None,
) -> ReceiptOffer:
    """Return a receipt for a person whose consent is in force, and who read `notice`, to sign again with the same key.

    The form is ``passkey`` for a receipt that a passkey signed, else ``person_key``; `form` says otherwise.

    Raises:
        InputError: the notice is not the newest, or the term is not valid.
        NoLiveConsentError, ConsentExpiredError: the old consent is not in force any more.
        RefusedError: the zone refuses this form, a passkey has no public address to sign for, or a guardian signed too.
    """
    store = installation.store
    with store.read() as connection:
        zone, _old, verified = _in_force(store, connection, receipt_id, notice)
        record = processing_record(connection, store.site.controller, zone.purpose, verified.claims.jurisdiction)
    own = SignatureForm.PASSKEY if verified.claims.signature.form is SignatureForm.PASSKEY else SignatureForm.PERSON_KEY
    return offer_receipt(
        store,
        record,
        notice,
        public_key=key_to_renew(verified),
        form=form or own,
        valid_days=valid_days,
    )


def accept_renewal(
    installation: Installation,
    receipt_id: ReceiptId,
    notice: Notice,
    signed: bytes,
    *,
    carried: PersonalToken = None,
    new_half: PersonSecret | bytes | None = None,
    hand_over: HandOver | None = None,
    in_transaction: Callable[[Transaction, TakeHome], None] | None = None,
) -> Renewed:
    """Renew the consent of a person who read `notice` and signed again, before the old consent ends.

    1. The old consent is in force, the notice is the newest of its zone, and the new receipt is one that the site
       offers, signed with the same key (`volens.enroll.receipt_submission`). No order to erase the old consent is being
       carried out, and collecting is not stopped.
    2. The new grant secret is stored first; a sweep deletes it if nothing else happens.
    3. In one transaction: the references are opened with the old secret; the old consent ends (reason ``renewed``);
       the new one begins. Name, badge number and references are sealed again under the new secret; second factor,
       staff-list link and leaving date go on unchanged. The visits kept until now are not taken over. `in_transaction`
       is called last.
    4. The old grant secret and every key that wrapped it are destroyed, and the old consent gets its certificate
       (`volens.erase.procedure`).

    Matching does not stop: at every moment exactly one of the two consents is in force, also after a kill. The new
    withdrawal code replaces the old one. Where the person holds the key, `carried` is the secret or the badge that they
    have; they get a new one (`hand_over` takes the badge), because nothing of the old consent may open anything.
    `new_half` is the new secret, if the person made it: the site then makes none, and does not hand it back. Without a
    reference its commitment (32 bytes) is enough, because nothing is sealed.

    Raises:
        InputError: the notice is not the newest, the person did not sign the new receipt, or `carried`, `new_half` or
            `hand_over` is not what the zone's custody needs.
        NoLiveConsentError, ConsentExpiredError: the old consent is not in force any more.
        RefusedError: the key is another one, the receipt is not what the site offers, an order applies, or `carried` is
            another person's.
        TamperError: the rows of the old consent, or what the person carries, were changed.
        UnavailableError: the store cannot be written. Nothing was changed.

    Not checked: that the person read the notice, and is the owner of the key; the operator is responsible for both.
    """
    store = installation.store
    # 1.
    with store.read() as connection:
        zone, old, verified = _in_force(store, connection, receipt_id, notice)
        new = accept_receipt(store, connection, notice, signed)
    if new.claims.subject_key != verified.claims.subject_key:
        raise RefusedError(
            "this key is not the one that signed the receipt; use the person's own key, or end this consent and record "
            "a new one"
        )
    if new.claims.jurisdiction != verified.claims.jurisdiction:
        raise RefusedError("the person signed for another jurisdiction than before; ask for a new offer to renew")
    # 2.
    new_id = new.claims.receipt_id
    half, person = _halves(store, zone, new_id, new_half)
    code, public_url = WithdrawalCode.generate(store.random), Defaults(store).public_url()
    take_home = TakeHome(new.unverified, code, notice.text, person, site=public_url)
    with ExitStack() as secrets:
        old_secret = secrets.enter_context(store.keyring.grant_secret(receipt_id))
        new_secret = secrets.enter_context(store.keyring.new_grant_secret(new_id, store.random, store.now()))
        before = (store, zone, verified, old, new, old_secret, new_secret)
        renewal = _Renewal(*before, carried, half, hand_over, in_transaction, take_home)
        secrets.callback(renewal.wipe)
        try:
            # 3. and 4.
            ended, problem = replace_consent(installation, receipt_id, renewal)
        except UnavailableError:
            raise  # it may have reached the disk all the same; if not, the sweep deletes the secret
        except VolensError:
            store.keyring.discard_secrets([new_id])
            raise
    return Renewed(renewal.take_home, len(renewal.opened), ended, problem)


def renew_consent(
    installation: Installation,
    receipt_id: ReceiptId,
    notice: Notice,
    *,
    key: SubjectKey,
    valid_days: int | None = None,
    carried: PersonalToken = None,
    hand_over: HandOver | None = None,
    in_transaction: Callable[[Transaction, TakeHome], None] | None = None,
) -> Renewed:
    """Offer, sign and accept at the desk, where the person's key is; the receipt says that it was signed there.

    Raises:
        VolensError: see `offer_renewal` and `accept_renewal`.
    """
    offer = offer_renewal(installation, receipt_id, notice, form=SignatureForm.DESK, valid_days=valid_days)
    return accept_renewal(
        installation,
        receipt_id,
        notice,
        offer.sign(key),
        carried=carried,
        hand_over=hand_over,
        in_transaction=in_transaction,
    )


def _halves(
    store: Store, zone: Zone, receipt_id: ReceiptId, given: PersonSecret | bytes | None
) -> tuple[PersonSecret | bytes | None, PersonSecret | None]:
    """Return the person's new half, or the commitment to it, and the secret to hand over if the site makes it.

    Raises:
        InputError: the zone takes none, or its length is wrong.
    """
    if given is None:
        made = PersonSecret.generate(store.random) if zone.custody is Custody.SUBJECT_KEY else None
        return made, made
    check_commitment(zone, given if isinstance(given, bytes) else given.commitment(receipt_id))
    return given, None


def _in_force(
    store: Store, connection: Connection, receipt_id: ReceiptId, notice: Notice
) -> tuple[Zone, StoredReceipt, VerifiedReceipt]:
    """Return the zone of a notice, and the receipt to renew, stored and verified; see `offer_renewal`."""
    zone = zone_of_newest(connection, notice)
    old = stored_receipt(connection, receipt_id)
    if old is None or old.purpose != zone.purpose:
        raise NoLiveConsentError(_ENDED)
    verified = old.verified()
    _check_in_force(store, connection, verified)
    return zone, old, verified


def _check_in_force(store: Store, connection: Connection, receipt: VerifiedReceipt) -> ConsentGrant:
    """Return a grant for a receipt in force.

    Raises:
        NoLiveConsentError, ConsentExpiredError: it is not in force.
    """
    return admit(
        receipt,
        site_id=store.site.controller.site_id,
        purpose=receipt.claims.purpose,
        ledger=LiveConsents(connection),
        now=store.now(),
        even_if_restricted=True,
    )


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """An embedding on its way from the old seal to the new one."""

    vector: UnitVector
    model_id: ModelId
    licence: str
    photo_count: int
    enrolled_at: datetime
    counts: ScoreCounts | None


@final
@dataclass(slots=True, eq=False)
class _Renewal:
    """The successor of one consent; a `volens.erase.stop.Successor`."""

    store: Store
    zone: Zone
    verified: VerifiedReceipt
    old: StoredReceipt
    new: VerifiedReceipt
    old_secret: GrantSecret
    new_secret: GrantSecret
    carried: PersonalToken
    half: PersonSecret | bytes | None
    hand_over: HandOver | None
    in_transaction: Callable[[Transaction, TakeHome], None] | None
    take_home: TakeHome
    name: str = ""
    sealed_number: bytes | None = None
    rows: RenewedRows = field(default_factory=dict)
    opened: list[_Opened] = field(default_factory=list)

    def collect(self, tx: Transaction) -> Continued:
        """See `Successor`."""
        connection = tx.connection
        old_id = self.old.receipt_id
        grant = _check_in_force(self.store, connection, self.verified)
        if old_id in self.store.stopped:  # a withdrawal that the store could not record yet
            raise NoLiveConsentError(_ENDED)
        if old_id in self.store.paused:  # a restriction likewise; it would not go on
            raise UnavailableError("the consent is paused, and that is not recorded yet; renew it in a minute")
        for order in unfinished_cohorts(connection):
            if old_id in cohort_receipts(connection, order.cohort_id):
                raise RefusedError("an order to erase this consent is being carried out; it cannot be renewed")
        self.rows = rows_to_renew(connection, old_id)
        box = sealed_name(connection, old_id)
        self.name = "" if box is None else open_name(self.old, box, self.old_secret)
        self.sealed_number = sealed_panel_badge(connection, old_id)
        self._open(connection, grant)
        kind = "badge" if self.zone.custody is Custody.BADGE else "sealed embedding"
        again = {
            "sealed name": int(box is not None),
            kind: len(self.opened),
            "sealed badge numbers": int(self.sealed_number is not None),
            "score counts": sum(one.counts is not None for one in self.opened),
        }
        return Continued(self.new.sha256.hex(), count_renewed(self.rows), {one: n for one, n in again.items() if n})

    def begin(self, tx: Transaction) -> None:
        """See `Successor`."""
        claims, half = self.new.claims, self.half
        owner = {name: str(getattr(claims, name)) for name in OWNER}
        if self.take_home.code is None:
            raise InputError("got a take-home without a withdrawal code")
        add_consent(tx, self.new, self.take_home.code, self.name, self.new_secret)
        if half is not None:
            add_commitment(tx, self.new, half if isinstance(half, bytes) else half.commitment(claims.receipt_id))
        add_renewed_rows(tx, self.rows, owner)
        if self.sealed_number is not None:
            renew_panel_badge(tx, self.sealed_number, self.old, self.old_secret, self.new, self.new_secret)
        shorten(tx, receipt_id=claims.receipt_id)
        grant = _check_in_force(self.store, tx.connection, self.new)
        for one in self.opened:
            self._seal(tx, ConsentedEmbedding(grant, one.vector, one.model_id), one)
        facts = {"expires_at": format_time(claims.expires_at), "renews": self.old.receipt_id}
        enqueue(tx, MessageKind.CONSENT_GIVEN, {claims.receipt_id: facts})
        if restricted_since(tx.connection, claims.receipt_id) is not None:  # it went on, as one of the renewed rows
            enqueue(tx, MessageKind.CONSENT_RESTRICTED, {claims.receipt_id: {}})
        self.take_home = replace(self.take_home, checkpoint=tx.newest_checkpoint())
        if self.in_transaction is not None:
            self.in_transaction(tx, self.take_home)

    def wipe(self) -> None:
        """Zero the embeddings."""
        for one in self.opened:
            one.vector.wipe()

    def _open(self, connection: Connection, grant: ConsentGrant) -> None:
        rows = enrolled_rows(connection, self.old.receipt_id)
        if not rows:
            return
        if (self.hand_over is not None) != (self.zone.custody is Custody.BADGE):
            raise InputError(
                f"zone {self.zone.purpose!r} has custody {self.zone.custody.value!r}; give a place for the new badge "
                "exactly if it is badge"
            )
        references, half = claimed_references(self.store, connection, self.zone, grant, self.carried)
        counts = {one.model_id: one.open(self.old_secret) for one in score_counts_of(connection, self.old)}
        for reference in references:
            row = rows[reference.reference_id]
            self.opened.append(
                _Opened(
                    reference.open(self.old_secret, half),
                    reference.model_id,
                    row["model_licence"],
                    row["photo_count"],
                    row["enrolled_at"],
                    counts.get(reference.model_id),
                )
            )

    def _seal(self, tx: Transaction, embedding: ConsentedEmbedding, its: _Opened) -> None:
        facts: dict[str, Any] = {"licence": its.licence, "photo_count": its.photo_count}
        if self.hand_over is not None:
            site_id = self.store.site.controller.site_id
            badge = issue_badge(tx, site_id, embedding, self.new_secret, renewed_from=its.enrolled_at, **facts)
            try:
                self.hand_over(badge)
            finally:
                badge.wipe()
        elif isinstance(self.half, PersonSecret):
            with self.new_secret.joined(self.half) as whole:
                add_reference(tx, embedding, whole, renewed_from=its.enrolled_at, **facts)
        elif self.half is not None:
            raise InputError("got the commitment to a new secret alone; send the secret, because photos are enrolled")
        else:
            add_reference(tx, embedding, self.new_secret, renewed_from=its.enrolled_at, **facts)
            if its.counts is not None:
                put_score_counts(tx, embedding.grant, its.model_id, its.counts, self.new_secret)
