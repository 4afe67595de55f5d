"""The gate: consent becomes a grant here, for this purpose, now, or not at all."""

from datetime import datetime, timedelta

import pytest

from tests.unit.consent.samples import ANN, DOOR, NOW, RECEIPT_ID, SITE, FakeLedger, receipt, zone
from volens.consent import NoLiveConsentError, Purpose, RefusedError, SiteId, VolensError, permit_probe
from volens.consent.errors import ConsentExpiredError, ConsentRestrictedError, ForeignReceiptError
from volens.consent.gate import CLOCK_SKEW, admit
from volens.consent.receipt import verify_receipt

END = NOW + timedelta(days=365)
SECOND = timedelta(seconds=1)


def pass_gate(
    *,
    site_id: SiteId = SITE,
    purpose: Purpose = DOOR,
    ledger: FakeLedger | None = None,
    now: datetime = NOW,
) -> object:
    return admit(
        verify_receipt(receipt(), ANN.public), site_id=site_id, purpose=purpose, ledger=ledger or FakeLedger(), now=now
    )


def test_a_consent_in_force_gives_a_grant_for_that_consent_only() -> None:
    verified = verify_receipt(receipt(), ANN.public)
    ledger = FakeLedger()
    grant = admit(verified, site_id=SITE, purpose=DOOR, ledger=ledger, now=NOW)
    assert grant.receipt_id == RECEIPT_ID
    assert grant.subject_id == ANN.public.subject_id
    assert grant.purpose == DOOR
    assert grant.checked_at == NOW
    assert grant.expires_at == END
    assert grant.receipt_sha256 == verified.sha256
    assert ledger.asked == [(RECEIPT_ID, ANN.public.subject_id, DOOR)]


REFUSALS: dict[str, tuple[dict[str, object], type[VolensError], str]] = {
    "another site": ({"site_id": SiteId("site-0000")}, ForeignReceiptError, "signed for another site"),
    "another zone": ({"purpose": Purpose("vault")}, ForeignReceiptError, "is for zone 'front-door', not for 'vault'"),
    "a receipt from the future": (
        {"now": NOW - CLOCK_SKEW - SECOND},
        RefusedError,
        "dated in the future; check this machine's clock",
    ),
    "an expired receipt": ({"now": END + SECOND}, ConsentExpiredError, "has expired; ask the person for a new one"),
    "a receipt that expires now": ({"now": END}, ConsentExpiredError, "has expired"),
    "no consent in the ledger": ({"ledger": FakeLedger(None)}, NoLiveConsentError, "no consent is in force"),
    "a consent that the person has restricted": (
        {"ledger": FakeLedger(restricted=True)},
        ConsentRestrictedError,
        "the person has paused this consent",
    ),
    "a term that ran out in the ledger": ({"ledger": FakeLedger(NOW - SECOND)}, ConsentExpiredError, "has expired"),
    "a term that runs out now in the ledger": ({"ledger": FakeLedger(NOW)}, ConsentExpiredError, "has expired"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_the_gate_refuses(case: str) -> None:
    changes, kind, words = REFUSALS[case]
    with pytest.raises(kind) as caught:
        pass_gate(**changes)  # type: ignore[arg-type]
    assert type(caught.value) is kind
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"site_id": SiteId("site-0000")},
        {"purpose": Purpose("vault")},
        {"now": END},
        {"now": NOW - CLOCK_SKEW - SECOND},
    ],
)
def test_the_ledger_is_not_asked_about_what_is_refused_before(changes: dict[str, object]) -> None:
    ledger = FakeLedger()
    with pytest.raises(RefusedError):
        pass_gate(ledger=ledger, **changes)  # type: ignore[arg-type]
    assert ledger.asked == []


def test_an_earlier_term_in_the_ledger_ends_the_grant_earlier() -> None:
    earlier = NOW + timedelta(days=30)
    assert pass_gate(ledger=FakeLedger(earlier)).expires_at == earlier  # type: ignore[attr-defined]


def test_a_later_term_in_the_ledger_does_not_extend_the_signed_one() -> None:
    later = NOW + timedelta(days=3650)
    assert pass_gate(ledger=FakeLedger(later)).expires_at == END  # type: ignore[attr-defined]
    with pytest.raises(ConsentExpiredError):
        pass_gate(ledger=FakeLedger(later), now=END)


@pytest.mark.parametrize("now", [NOW - CLOCK_SKEW, NOW, END - SECOND])
def test_a_consent_is_in_force_from_its_date_minus_skew_until_its_end(now: datetime) -> None:
    assert pass_gate(now=now).checked_at == now  # type: ignore[attr-defined]


def test_an_expired_and_a_missing_consent_can_be_handled_as_one() -> None:
    assert issubclass(ConsentExpiredError, NoLiveConsentError)
    assert issubclass(NoLiveConsentError, RefusedError)
    assert issubclass(ForeignReceiptError, RefusedError)


def test_a_probe_permit_is_for_its_zone() -> None:
    assert permit_probe(zone("lab")).purpose == "lab"


def test_a_renewal_passes_although_the_person_has_restricted_the_consent() -> None:
    ledger = FakeLedger(restricted=True)
    verified = verify_receipt(receipt(), ANN.public)
    grant = admit(verified, site_id=SITE, purpose=DOOR, ledger=ledger, now=NOW, even_if_restricted=True)
    assert grant.receipt_id == RECEIPT_ID
