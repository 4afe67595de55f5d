"""A claim to be one person: what they show besides their face, by the custody of the zone.

| custody | is shown | the sealed embedding is |
|---|---|---|
| ``operator`` | the receipt | in the store |
| ``subject_key`` | the receipt and the person's secret | in the store |
| ``badge`` | the badge, which names its receipt | in the badge |
"""

from typing import Final, TypeAlias

from sqlalchemy import Connection

from volens.consent import Badge, ConsentGrant, Custody, InputError, NoLiveConsentError, PersonSecret, UnverifiedReceipt
from volens.store import Store
from volens.store.people import SealedReference, admit_receipt, check_person_secret, references_of, stored_receipt
from volens.store.people.badges import badge_reference, check_badge_site
from volens.store.promises import zone_of

Carried: TypeAlias = PersonSecret | Badge | None
"""What a person shows besides the receipt."""

_ASKS_FOR: Final = {
    Custody.OPERATOR: "the receipt alone",
    Custody.SUBJECT_KEY: "the receipt and the person's secret (--secret or --secret-qr)",
    Custody.BADGE: "the person's badge (--badge or --badge-qr)",
}


def admit_claim(
    store: Store, connection: Connection, receipt: UnverifiedReceipt | None, carried: Carried
) -> ConsentGrant:
    """Check all of a claim that can be checked before a face is looked at; see `claimed_references`.

    1. A badge is of this site; where no receipt is shown, the badge says which one it goes with.
    2. The receipt is genuine and its consent in force.
    3. What is carried is what the zone asks for, and goes with this receipt.

    Raises:
        InputError: neither receipt nor badge, or 3: another kind of thing than the zone asks for.
        RefusedError: no consent in force, or 3: another person's secret or badge, or another site's badge.
        ReceiptError, TamperError: the receipt or the badge is not the one recorded.
    """
    # 1.
    if isinstance(carried, Badge):
        check_badge_site(store, carried)
        known = stored_receipt(connection, carried.receipt_id)
        if receipt is None and known is not None:
            receipt = UnverifiedReceipt.parse(known.verified().token.encode("ascii"))
        elif receipt is None:
            raise NoLiveConsentError("no consent is in force for this badge; ask the person for their receipt")
    if receipt is None:
        raise InputError("got neither a receipt nor a badge; expected one of the two")
    # 2.
    grant = admit_receipt(store, connection, receipt)
    # 3.
    claimed_references(store, connection, grant, carried)
    return grant


def claimed_references(
    store: Store, connection: Connection, grant: ConsentGrant, carried: Carried
) -> tuple[list[SealedReference], PersonSecret | None]:
    """Return the references, of every model, that a claim is about, and the person's half of their key if there is one.

    Raises:
        InputError: what is carried is not what the zone's custody asks for.
        RefusedError: it is another person's.
        TamperError: the badge was changed, or the data file.
    """
    zone = zone_of(connection, grant.purpose)
    if zone.custody is Custody.BADGE and isinstance(carried, Badge):
        check_badge_site(store, carried)
        return [badge_reference(connection, grant, carried)], carried.secret
    if zone.custody is Custody.SUBJECT_KEY and isinstance(carried, PersonSecret):
        check_person_secret(connection, grant, carried)
        return references_of(connection, grant.receipt_id), carried
    if zone.custody is Custody.OPERATOR and carried is None:
        return references_of(connection, grant.receipt_id), None
    raise InputError(
        f"zone {zone.purpose!r} has custody {zone.custody.value!r}; show {_ASKS_FOR[zone.custody]}, and nothing else"
    )
