"""A door where people hold the key: the QR code of a secret or badge asks, and is compared 1:1. Embeddings counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest
from house import House, Person

from tests.unit.identify.test_asking_first import MIDDLE, NEAR_PX, stand
from tests.unit.identify.test_door_stream import frame
from volens.consent import Badge, PersonSecret, RefusedError, SiteId
from volens.face import Extractor, RgbImage
from volens.identify import DoorStream
from volens.identify.shown_codes import AGAIN_S, PIECES_GOOD_S, READ_EVERY_S, ShownCodes
from volens.service import samples


@dataclass
class Codes:
    """A reader of QR codes that finds these in every frame, and counts how often it is asked."""

    shown: list[str] = field(default_factory=list)
    reads: int = 0

    def __call__(self, _frame: RgbImage) -> list[str]:
        self.reads += 1
        return self.shown


@pytest.fixture(scope="module")
def near(astronaut: RgbImage) -> np.ndarray:
    return cv2.resize(astronaut.pixels[0:260, 90:350], (NEAR_PX, NEAR_PX), interpolation=cv2.INTER_LINEAR)


@pytest.fixture
def doors(house: House, extractor: Extractor) -> House:
    house.reopen(lambda: extractor)
    for zone, custody in (("vault", "subject_key"), ("cellar", "subject_key"), ("gate", "badge"), ("attic", "badge")):
        house.declare(zone, custody)
    return house


def enrolled(house: House, zone: str) -> tuple[Person, list[str]]:
    """Enroll the astronaut; return the texts of the QR codes that the person carries."""
    person, badges = house.invite(zone), list[Badge]()
    secret = person.take_home.secret
    texts = [] if secret is None else [secret.reveal()]
    photos = samples.views(samples.astronaut(), 3)

    def hand_over(badge: Badge) -> None:
        badges.append(Badge.parse(badge.to_bytes()))
        texts.extend(badge.qr_texts())

    give = None if secret is not None else hand_over
    house.site.enroll(person.take_home.to_json(), photos, secret=secret, hand_over=give)
    return person, texts


Opened = tuple[DoorStream, Codes]


def opened(house: House, zone: str) -> Opened:
    codes = Codes()
    return house.site.watch(zone, read_codes=codes), codes


@pytest.mark.parametrize("zone", ["vault", "gate"])
def test_nothing_is_embedded_before_a_code_and_its_owner_is_recognised_after_it(
    doors: House, extractor: Extractor, near: np.ndarray, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, texts = enrolled(doors, zone)
    stream, codes = opened(doors, zone)
    before, detect = extractor.embeddings_computed, Extractor.detect
    monkeypatch.setattr(Extractor, "detect", lambda *_, **__: pytest.fail("a face was detected"))
    codes.shown = ["https://example.org/poster", *texts[1:]]  # of a badge, all codes but one
    assert not any(one.faces for one in stand(stream, near, 2.0))
    assert codes.reads == pytest.approx(2.0 / READ_EVERY_S, abs=1)
    assert extractor.embeddings_computed == before

    monkeypatch.setattr(Extractor, "detect", detect)
    codes.shown = texts[:1]
    looked = stand(stream, near, 1.5, start_s=2.3)

    matches = [face.match for one in looked for face in one.faces]
    assert len(matches) == 1
    assert matches[0] is not None
    assert matches[0].receipt_id == person.receipt_id
    assert extractor.embeddings_computed - before == 1
    assert doors.galleries.built() == {}
    assert looked[0].threshold == extractor.model.thresholds.claim_value
    asking = stream._asking
    assert (asking._claim, asking._carried, asking._codes and asking._codes._pieces) == (None, None, [])


def test_a_code_without_a_consent_in_force_starts_nothing_and_is_not_kept(
    doors: House, extractor: Extractor, near: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    (paused, paused_codes), (left, left_codes) = enrolled(doors, "vault"), enrolled(doors, "gate")
    invited = doors.invite("vault").take_home.secret
    assert invited is not None
    badge = Badge.from_qr_texts(left_codes)
    changed = replace(badge, sealed_embedding=bytes(len(badge.sealed_embedding))).qr_texts()
    before, taken = extractor.embeddings_computed, list[PersonSecret | Badge]()
    look = ShownCodes.look

    def noted(*arguments: object, **options: object) -> PersonSecret | Badge | None:
        taken.append(look(*arguments, **options))  # type: ignore[arg-type]
        return taken[-1]

    monkeypatch.setattr(ShownCodes, "look", noted)
    monkeypatch.setattr(Extractor, "detect", lambda *_, **__: pytest.fail("a face was detected"))
    doors.site.changes.restrict(paused.receipt_id)
    at_the_gate, at_the_vault = opened(doors, "gate"), opened(doors, "vault")

    def shown(door: Opened, texts: Sequence[str], start_s: float) -> None:
        door[1].shown = list(texts)
        assert not stand(door[0], near, 0.1, start_s=start_s)[0].faces
        assert taken[-1] is not None
        secret = taken[-1].secret if isinstance(taken[-1], Badge) else taken[-1]
        assert not any(secret.buffer)
        asking = door[0]._asking
        assert (asking._claim, asking._carried, asking.is_requested(start_s)) == (None, None, False)
        assert door[0].take_refusal() is None

    shown(at_the_vault, [PersonSecret(bytes(32)).reveal()], 0.0)
    shown(at_the_vault, [invited.reveal()], 10.0)
    shown(at_the_vault, paused_codes, 20.0)
    shown(at_the_gate, changed, 0.0)
    doors.withdraw(left)
    shown(at_the_gate, left_codes, 10.0)
    assert extractor.embeddings_computed == before


WRONG: dict[str, tuple[str, Callable[[House], Sequence[str]], str]] = {
    "a secret for another zone": ("vault", lambda house: enrolled(house, "cellar")[1], "this code is for another zone"),
    "a badge for another zone": ("gate", lambda house: enrolled(house, "attic")[1], "this code is for another zone"),
    "a badge of another site": (
        "gate",
        lambda house: replace(Badge.from_qr_texts(enrolled(house, "gate")[1]), site_id=SiteId("0" * 32)).qr_texts(),
        "this badge is of another site; use it at the site that issued it",
    ),
    "a badge where people keep secrets": (
        "vault",
        lambda house: enrolled(house, "gate")[1],
        "got the QR code of a badge; in this zone people show that of their secret",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_code_of_another_zone_or_site_gets_one_sentence_and_starts_nothing(
    doors: House, extractor: Extractor, near: np.ndarray, case: str
) -> None:
    zone, make, sentence = WRONG[case]
    stream, codes = opened(doors, zone)
    codes.shown = list(make(doors))
    before, said = extractor.embeddings_computed, list[str | None]()
    for number in range(25):
        assert not stream.look(frame((near, *MIDDLE)), number / 10).faces
        said.append(stream.take_refusal())
    assert [one for one in said if one is not None] == [said[0]]
    assert str(said[0]).startswith(sentence)
    assert extractor.embeddings_computed == before


def test_a_stranger_with_the_code_of_another_is_decided_once_until_it_is_read_again(
    doors: House, extractor: Extractor, people: list[RgbImage]
) -> None:
    _, texts = enrolled(doors, "vault")
    stream, codes = opened(doors, "vault")
    codes.shown, before = texts, extractor.embeddings_computed
    stranger = cv2.resize(people[0].pixels, (NEAR_PX, NEAR_PX), interpolation=cv2.INTER_LINEAR)
    found = stand(stream, np.asarray(stranger), 2 * AGAIN_S - 0.2)
    refused = [face for one in found for face in one.faces if face.is_decided and face.is_new]
    assert [(face.match, face.looks) for face in refused] == [(None, 8)] * 2
    assert codes.reads == 2
    assert extractor.embeddings_computed - before == 16
    stream.close()
    assert stream._asking._carried is None


def test_pieces_of_a_badge_are_forgotten_and_those_of_another_replace_them(doors: House) -> None:
    (_, own), (_, others) = enrolled(doors, "gate"), enrolled(doors, "attic")
    empty = RgbImage(np.zeros((32, 32, 3), np.uint8))
    custody = doors.site.zones.get("gate").custody
    codes = Codes()
    shown = ShownCodes(codes)

    def look(texts: Sequence[str], at_s: float) -> PersonSecret | Badge | None:
        codes.shown = list(texts)
        return shown.look(custody, empty, at_s, photo=False)

    assert look(own[:1], 0.0) is None
    assert look(own[1:], PIECES_GOOD_S) is None
    assert look(others[:1], PIECES_GOOD_S + 1) is None
    assert look(own[:1], PIECES_GOOD_S + 2) is None
    found = look(own[1:], PIECES_GOOD_S + 3)
    assert isinstance(found, Badge)
    assert found.qr_texts() == own


def test_a_button_asks_for_no_one_and_without_a_reader_the_zone_is_refused(doors: House, near: np.ndarray) -> None:
    stream, _ = opened(doors, "vault")
    stream.request(0.0)
    assert not any(one.faces for one in stand(stream, near, 0.5))
    assert stream.take_refusal() == "a button asks for no one in zone 'vault'; show the QR code of the secret or badge"
    with pytest.raises(RefusedError, match="allows no identification"):
        doors.site.watch("vault")
