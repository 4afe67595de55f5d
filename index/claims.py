"""Claims (1:1): a person claims to be one data subject, and presents what the custody of the zone requires.

| custody | the person presents | the sealed embedding is |
|---|---|---|
| ``operator`` | the receipt | in the store |
| ``subject_key`` | the person's secret, and the receipt unless the zone is known | in the store |
| ``badge`` | the badge, which names its receipt | in the badge |
"""

from typing import Final, TypeAlias

from sqlalchemy import Connection

from volens.consent import (
    Badge,
    ConsentGrant,
    Custody,
    InputError,
    ModelId,
    NoLiveConsentError,
    PersonSecret,
    Purpose,
    ReceiptId,
    RefusedError,
    ShownFactor,
    UnverifiedReceipt,
    Zone,
)
from volens.consent.errors import ForeignReceiptError
from volens.store import Store
from volens.store.people import SealedReference, admit_receipt, check_person_secret, sealed_references, stored_receipt
from volens.store.people.badges import badge_reference, check_badge_site, is_issued_badge
from volens.store.people.second_factors import badge_owner
from volens.store.people.subject_secrets import receipt_of_secret
from volens.store.promises import zone_of, zones

PersonalToken: TypeAlias = PersonSecret | Badge | None
"""What a person presents besides the receipt."""

_REQUIRED: Final = {
    Custody.OPERATOR: "the receipt alone",
    Custody.SUBJECT_KEY: "the receipt and the person's secret (--secret or --secret-qr)",
    Custody.BADGE: "the person's badge (--badge or --badge-qr)",
}


def admit_claim(
    store: Store,
    connection: Connection,
    receipt: UnverifiedReceipt | None,
    carried: PersonalToken,
    purpose: Purpose | None = None,
) -> tuple[ConsentGrant, Zone]:
    """Check all of a claim that can be checked before a face is detected; return the grant and its zone.

    1. A badge is of this site. Without a receipt, the badge names the receipt that it goes with; a secret names it if
       the caller knows the zone (`purpose`).
    2. The receipt is genuine and its consent in force.
    3. `carried` is what the zone requires, and goes with this receipt (`claimed_references`).

    Raises:
        ZonePausedError: the operator paused the zone.
        InputError: neither receipt nor badge, or 3: another kind of token than the zone requires.
        RefusedError: no consent in force, or 3: another person's secret or badge, or another site's badge.
        ReceiptError, TamperError: the receipt or the badge is not the one recorded.
    """
    # 1.
    if isinstance(carried, Badge):
        check_badge_site(store, carried)
        receipt = receipt or _receipt_of_token(connection, carried.receipt_id)
    elif receipt is None and carried is not None and purpose is not None:
        receipt = _receipt_of_token(connection, receipt_of_secret(connection, purpose, carried))
    if receipt is None:
        raise InputError("got neither a receipt nor a badge; expected one of the two")
    # 2.
    grant = admit_receipt(store, connection, receipt)
    # 3.
    zone = zone_of(connection, grant.purpose)
    zone.check_in_use()
    claimed_references(store, connection, zone, grant, carried)
    return grant, zone


def claim_of_badge_number(store: Store, zone: Zone, badge: ShownFactor, model_id: ModelId) -> UnverifiedReceipt | None:
    """Return the receipt that a badge number stands for, with which `admit_claim` then works; None if there is none.

    None for the badge of a person without a consent in force, with one that is paused, or without a reference of this
    model: then no face is to be compared. Nothing is recorded of the badge.

    Raises:
        TamperError: the rows of that person were changed.
    """
    receipt_id = badge_owner(store, zone.purpose, badge)
    if receipt_id is None:
        return None
    try:
        with store.read() as connection:
            receipt = _receipt_of_token(connection, receipt_id)
            grant, _ = admit_claim(store, connection, receipt, None)
            references = sealed_references(connection, [receipt_id])
    except RefusedError:
        return None
    is_usable = grant.purpose == zone.purpose and any(one.model_id == model_id for one in references)
    return receipt if is_usable else None


def claim_of_code(
    store: Store, zone: Zone, carried: PersonSecret | Badge, model_id: ModelId
) -> UnverifiedReceipt | None:
    """Return the receipt that a secret or a badge stands for in a zone, as `claim_of_badge_number`; None if none.

    Nothing is recorded. A badge that was changed, or replaced by a newer one, stands for none.

    Raises:
        ForeignReceiptError: it is of another site, or for another zone of this one.
        TamperError: the rows of that person were changed.
    """
    with store.read() as connection:
        receipt_id = _receipt_of_code(store, connection, zone, carried)
        if receipt_id is None:
            return None
        try:
            receipt = _receipt_of_token(connection, receipt_id)
            grant, zone = admit_claim(store, connection, receipt, carried, zone.purpose)
            references, _ = claimed_references(store, connection, zone, grant, carried)
        except RefusedError:
            return None
    return receipt if any(one.model_id == model_id for one in references) else None


def _receipt_of_code(
    store: Store, connection: Connection, zone: Zone, carried: PersonSecret | Badge
) -> ReceiptId | None:
    other = ForeignReceiptError("this code is for another zone; show the one for this zone")
    if isinstance(carried, Badge):
        check_badge_site(store, carried)
        known = stored_receipt(connection, carried.receipt_id)
        if known is not None and known.purpose != zone.purpose:
            raise other
        return carried.receipt_id if is_issued_badge(connection, carried) else None
    found = receipt_of_secret(connection, zone.purpose, carried)
    if found is None:
        for one in zones(connection):
            is_possible = one.custody is Custody.SUBJECT_KEY and one.purpose != zone.purpose
            if is_possible and receipt_of_secret(connection, one.purpose, carried) is not None:
                raise other
    return found


def _receipt_of_token(connection: Connection, receipt_id: ReceiptId | None) -> UnverifiedReceipt:
    known = None if receipt_id is None else stored_receipt(connection, receipt_id)
    if known is None:
        raise NoLiveConsentError("no consent is in force for this badge or secret; ask the person for their receipt")
    return UnverifiedReceipt.parse(known.verified().token.encode("ascii"))


def claimed_references(
    store: Store, connection: Connection, zone: Zone, grant: ConsentGrant, carried: PersonalToken
) -> tuple[list[SealedReference], PersonSecret | None]:
    """Return the references, of every model, that a claim is about, and the person's half of their key if there is one.

    Raises:
        InputError: `carried` is not what the zone's custody requires.
        RefusedError: it is another person's.
        TamperError: the badge was changed, or the data file.
    """
    if zone.custody is Custody.BADGE and isinstance(carried, Badge):
        check_badge_site(store, carried)
        return [badge_reference(connection, grant, carried)], carried.secret
    if zone.custody is Custody.SUBJECT_KEY and isinstance(carried, PersonSecret):
        check_person_secret(connection, grant, carried)
        return sealed_references(connection, [grant.receipt_id]), carried
    if zone.custody is Custody.OPERATOR and carried is None:
        return sealed_references(connection, [grant.receipt_id]), None
    raise InputError(
        f"zone {zone.purpose!r} has custody {zone.custody.value!r}; show {_REQUIRED[zone.custody]}, and nothing else"
    )
