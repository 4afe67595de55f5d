"""Claims at doors where the person holds the key: the right claim matches, and each wrong one has its error."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from house import DIMENSION, MODEL, House, Person
from sqlalchemy import func, select

from volens.consent import (
    Badge,
    InputError,
    NoLiveConsentError,
    PersonSecret,
    Purpose,
    ReferenceId,
    RefusedError,
    SiteId,
    TamperError,
    VolensError,
)
from volens.consent.errors import ForeignReceiptError
from volens.erase.proof import verify_certificate
from volens.index import PersonalToken, admit_claim
from volens.store.people import live_candidates, reference_ids, references_in
from volens.store.schema import data_tables as tables


def badge_of(person: Person) -> Badge:
    assert person.badge is not None
    return Badge.parse(person.badge)


@pytest.mark.parametrize("zone", ["lobby", "vault", "gate"])
def test_a_claim_with_the_right_token_matches_only_that_person(doors: House, zone: str) -> None:
    ada, bob = doors.admit(zone), doors.admit(zone)

    match = doors.verify(ada, ada.carried).match

    assert match is not None
    assert match.subject_id == ada.subject_id
    assert match.receipt_id == ada.receipt_id
    assert doors.verify(ada, ada.carried, face=bob.face).match is None


def test_a_badge_needs_no_receipt(doors: House) -> None:
    ada = doors.admit("gate")

    with doors.store.read() as connection:
        assert admit_claim(doors.store, connection, None, badge_of(ada))[0].receipt_id == ada.receipt_id


Wrong = Callable[[House, Person, Person], PersonalToken]
WRONG: dict[str, tuple[str, Wrong, type[VolensError], str]] = {
    "another person's secret": (
        "vault",
        lambda _house, _ada, bob: bob.carried,
        RefusedError,
        "this secret is not the one that goes with this",
    ),
    "a made-up secret": (
        "vault",
        lambda _house, _ada, _bob: PersonSecret(bytes(range(32))),
        RefusedError,
        "this secret is not the one that goes with this receipt",
    ),
    "no secret": ("vault", lambda _house, _ada, _bob: None, InputError, "show the receipt and the person's secret"),
    "a badge where a secret belongs": (
        "vault",
        lambda house, _ada, _bob: badge_of(house.admit("gate")),
        InputError,
        "show the receipt and the person's secret",
    ),
    "another person's badge": (
        "gate",
        lambda _house, _ada, bob: bob.carried,
        RefusedError,
        "this badge goes with another receipt",
    ),
    "no badge": ("gate", lambda _house, _ada, _bob: None, InputError, "show the person's badge"),
    "a secret where a badge belongs": (
        "gate",
        lambda _house, _ada, _bob: PersonSecret(bytes(range(32))),
        InputError,
        "show the person's badge",
    ),
    "another site's badge": (
        "gate",
        lambda _house, ada, _bob: replace(badge_of(ada), site_id=SiteId("0" * 32)),
        ForeignReceiptError,
        "this badge is of another site",
    ),
    "a badge with another's embedding": (
        "gate",
        lambda _house, ada, bob: replace(badge_of(ada), sealed_embedding=badge_of(bob).sealed_embedding),
        TamperError,
        "integrity: this badge is not the",
    ),
    "a badge with another's secret": (
        "gate",
        lambda _house, ada, bob: replace(badge_of(ada), secret=badge_of(bob).secret),
        TamperError,
        "integrity: this badge is not the one",
    ),
    "a badge with another's number": (
        "gate",
        lambda _house, ada, bob: replace(badge_of(ada), reference_id=badge_of(bob).reference_id),
        TamperError,
        "integrity: this badge is not the one that",
    ),
    "a secret at the operator's door": (
        "lobby",
        lambda _house, _ada, _bob: PersonSecret(bytes(range(32))),
        InputError,
        "show the receipt alone, and nothing else",
    ),
    "a badge at the operator's door": (
        "lobby",
        lambda house, _ada, _bob: badge_of(house.admit("gate")),
        InputError,
        "show the receipt alone, and nothing else",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_claim_is_refused_before_a_face_is_detected(doors: House, case: str) -> None:
    zone, make, kind, words = WRONG[case]
    ada, bob = doors.admit(zone), doors.admit(zone)
    carried = make(doors, ada, bob)

    with pytest.raises(kind) as caught, doors.store.read() as connection:
        admit_claim(doors.store, connection, ada.take_home.receipt, carried)

    assert type(caught.value) is kind
    assert words in str(caught.value)
    for private in (ada.receipt_id, ada.subject_id, "Ada"):
        assert private not in str(caught.value)


def test_a_badge_with_the_receipt_id_of_another_person_is_detected(doors: House) -> None:
    ada, bob = doors.admit("gate"), doors.admit("gate")

    with pytest.raises(TamperError, match="integrity: this badge is not the one"), doors.store.read() as connection:
        admit_claim(doors.store, connection, None, replace(badge_of(ada), receipt_id=bob.receipt_id))


def test_every_changed_byte_of_a_badge_is_refused(doors: House) -> None:
    ada = doors.admit("gate")
    data = ada.badge
    assert data is not None

    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(VolensError), doors.store.read() as connection:
            admit_claim(doors.store, connection, None, Badge.parse(bytes(changed)))


def test_a_consent_without_an_issued_badge_is_refused(doors: House) -> None:
    ada, bob = doors.admit("gate"), doors.invite("gate")

    with pytest.raises(RefusedError, match="no badge was issued under this consent"):
        doors.verify(bob, replace(badge_of(ada), receipt_id=bob.receipt_id))


@pytest.mark.parametrize("zone", ["vault", "gate"])
def test_a_second_enrollment_under_one_consent_is_refused(doors: House, zone: str) -> None:
    ada = doors.admit(zone)

    with pytest.raises(RefusedError, match="already has a reference of this model"):
        doors.enroll(ada)


def test_a_badge_that_could_not_be_handed_over_was_never_issued(doors: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def drop(_badge: Badge) -> bytes:
        raise InputError("the disk is full")

    ada = doors.invite("gate")
    with monkeypatch.context() as patch:
        patch.setattr(Badge, "to_bytes", drop)
        with pytest.raises(InputError, match="the disk is full"):
            doors.enroll(ada)

    with doors.store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.badge)) == 0
    assert doors.verify(doors.enroll(ada), badge_of(ada)).match is not None
    doors.site.log.verify()


@pytest.mark.parametrize("zone", ["vault", "gate"])
def test_no_zone_where_the_person_holds_the_key_can_be_searched(doors: House, zone: str) -> None:
    ada = doors.admit(zone)
    purpose = Purpose(zone)
    assert ada.reference_id is not None

    with pytest.raises(RefusedError, match=f"zone '{zone}' has custody .* allows no identification"):
        doors.look_at(ada.face, zone)
    with doors.store.read() as connection:
        # The index refuses a gallery, and the store has no reference for one under any query.
        with pytest.raises(RefusedError, match="allows no identification"):
            doors.galleries.of(connection, purpose, MODEL, DIMENSION)
        everything = [ReferenceId(number) for number in range(10)]
        assert reference_ids(connection, purpose, MODEL) == set()
        assert list(references_in(connection, purpose, MODEL, everything)) == []
        assert live_candidates(connection, purpose, MODEL, everything, doors.store.now()) == {}
    assert doors.galleries.built() == {}


@pytest.mark.parametrize("zone", ["vault", "gate"])
@pytest.mark.parametrize("way", ["withdrawn", "expired"])
def test_a_withdrawal_ends_badge_and_secret_and_the_certificate_counts_them(doors: House, zone: str, way: str) -> None:
    ada = doors.admit(zone)
    other = doors.admit("lobby")
    carried = ada.carried

    if way == "withdrawn":
        erased = doors.withdraw(ada)
    else:
        doors.clock.move(days=89)
        bob = doors.admit(zone)
        doors.clock.move(days=2)
        erased = next(one for one in doors.site.sweep().expired if one.zone == zone)
        assert doors.verify(bob, bob.carried).match is not None

    with pytest.raises(NoLiveConsentError, match=r"no consent is in force|this consent has expired"):
        doors.verify(ada, carried)
    statement = verify_certificate(erased.certificate_path.read_bytes(), doors.site.verifier_key).statement
    rows = {"vault": "commitments to personal secrets", "gate": "badge records"}[zone]
    kept = {"vault": "commitment to the person's secret", "gate": "digest of a badge"}[zone]
    assert statement["destroyed"][rows] == 1
    assert statement["destroyed"]["sealed embedding"] == (1 if zone == "vault" else 0)
    assert {"what": kept, "pieces": 2, "found": 0} in statement["searched"]
    assert "a badge or secret that the person carries stays with the person" in statement["not_promised"]
    with doors.store.read() as connection:
        for table in ("badge", "subject_secret"):
            query = f"SELECT count(*) FROM {table} WHERE receipt_id = '{ada.receipt_id}'"  # noqa: S608
            assert connection.exec_driver_sql(query).scalar() == 0
    assert way == "expired" or doors.sees(other)


def test_the_id_of_a_badge_is_never_in_a_gallery(doors: House) -> None:
    """The first badge and the first reference both have number 1; the end of one is not the end of the other."""
    carrier, other = doors.admit("gate"), doors.admit("lobby")
    assert carrier.reference_id == other.reference_id == 1
    assert doors.sees(other)

    doors.withdraw(carrier)

    assert doors.sees(other)


def test_the_repr_of_a_badge_hides_its_content(doors: House) -> None:
    badge = badge_of(doors.admit("gate"))
    said = f"{badge!r} {badge.secret!r}"

    assert "PersonSecret" not in repr(badge)
    assert badge.secret.reveal() not in said
    assert repr(badge.sealed_embedding) not in said
    badge.wipe()
    assert not any(badge.secret.buffer)
