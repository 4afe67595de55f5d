"""The liveness level of a zone: what it refuses, and what a head that turns or a model of the site opens."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brightness_model import LICENCE, written
from house import House, Person
from presentations import turning_head

from volens import FaceDecision
from volens.consent import Purpose, RefusedError, Zone
from volens.face import DetectedFace, Extractor, ModelMissingError, RgbImage
from volens.face.head_turn import RULE, Side
from volens.face.liveness_pack import load_liveness_pack
from volens.identify import DoorStream, FaceVisit, HeadTurnAnswer, Obstacle, Recognizer
from volens.index import Decision
from volens.service import samples
from volens.store.people import add_reference

LOBBY = Purpose("lobby")
IN_ORDER = ("ahead", "left", "ahead", "right")


@pytest.fixture(scope="module")
def heads(loaded: Extractor) -> dict[str, RgbImage]:
    return turning_head(loaded, samples.admiral())


def admitted(house: House, extractor: Extractor, photo: RgbImage) -> Person:
    person = house.invite()
    grant = house.grant(person)
    embedding = extractor.consented(extractor.crop(photo, extractor.detect(photo)[0]), grant)
    with house.store.keyring.grant_secret(grant.receipt_id) as secret, house.store.write() as tx:
        add_reference(tx, embedding, secret, licence="none", photo_count=3)
    return person


@pytest.fixture
def recognizer(house: House, extractor: Extractor) -> Recognizer:
    return Recognizer(house.site.installation, lambda: extractor)


@pytest.fixture
def asking(house: House, extractor: Extractor, heads: dict[str, RgbImage]) -> Person:
    """An admiral who is enrolled in a zone that asks to turn the head."""
    person = admitted(house, extractor, heads["ahead"])
    house.site.zones.set_liveness("lobby", "challenge")
    return person


Asked = Callable[[Sequence[RgbImage]], FaceDecision | Obstacle]


@pytest.fixture
def asked(recognizer: Recognizer, heads: dict[str, RgbImage]) -> Asked:
    """Decide about the admiral at a kiosk, after these earlier pictures; left was asked first."""

    def decide(earlier: Sequence[RgbImage]) -> FaceDecision | Obstacle:
        answer = HeadTurnAnswer(Side.LEFT, 6.0, earlier)
        return recognizer.look_in_front(LOBBY, heads["ahead"], FaceVisit(), 0.0, answer=answer)

    return decide


def test_a_picture_and_a_stream_alone_are_refused_with_what_to_do(
    recognizer: Recognizer, asking: Person, heads: dict[str, RgbImage]
) -> None:
    picture = heads["ahead"]
    before = recognizer.extractor.embeddings_computed
    for decide in (
        lambda: recognizer.identify(LOBBY, picture),
        lambda: recognizer.look_in_front(LOBBY, picture, FaceVisit(), 0.0),
        lambda: recognizer.verify(asking.take_home.receipt, picture, None),
        lambda: DoorStream(recognizer, LOBBY),
    ):
        with pytest.raises(RefusedError, match=r"turn the head.*use the kiosk of the zone or 'volens verify --camera'"):
            decide()
    assert recognizer.extractor.embeddings_computed == before


def test_a_stream_ends_as_soon_as_its_zone_asks_for_the_challenge(
    house: House, recognizer: Recognizer, extractor: Extractor, heads: dict[str, RgbImage]
) -> None:
    admitted(house, extractor, heads["ahead"])
    house.let_pass()
    stream = DoorStream(recognizer, LOBBY)
    stream.look(heads["ahead"], 0.0)
    assert stream.look(heads["ahead"], 0.2).faces[0].match is not None
    house.site.zones.set_liveness("lobby", "challenge")
    with pytest.raises(RefusedError, match="turn the head"):
        stream.look(heads["ahead"], 0.24)


def test_a_head_that_turns_as_asked_opens_the_zone(asking: Person, asked: Asked, heads: dict[str, RgbImage]) -> None:
    found = asked([heads[one] for one in IN_ORDER])
    assert isinstance(found, FaceDecision)
    assert found.match is not None
    assert found.match.receipt_id == asking.receipt_id
    assert (found.looks, found.is_decided) == (2, True)


def test_one_look_ahead_of_a_head_turn_decides_nothing_alone(
    asking: Person, recognizer: Recognizer, heads: dict[str, RgbImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asking.receipt_id
    last, look_once = RgbImage(heads["ahead"].pixels.copy()), recognizer.identify_faces
    matches: list[Decision] = []

    def only_the_last(zone: Zone, image: RgbImage, faces: Sequence[DetectedFace], **others: Any) -> list[Decision]:  # noqa: ANN401
        (found,) = look_once(zone, image, faces, **others)
        if image is last:
            matches.append(found)
            return [found]
        return [Decision(None, found.threshold, 0)]

    monkeypatch.setattr(recognizer, "identify_faces", only_the_last)
    answer = HeadTurnAnswer(Side.LEFT, 6.0, [heads[one] for one in IN_ORDER])
    visit = FaceVisit()
    first = recognizer.look_in_front(LOBBY, last, visit, 0.0, answer=answer)
    again = recognizer.look_in_front(LOBBY, last, visit, 1.0, answer=answer)
    assert [one.match is not None for one in matches] == [True, True]
    for found in (first, again):
        assert isinstance(found, FaceDecision)
        assert (found.outcome, found.looks, found.reason) == ("no_match", 3, None)


@pytest.mark.parametrize(
    "earlier",
    [("ahead",) * 4, ("ahead", "right", "ahead", "left"), ("left", "ahead", "right", "ahead"), ("ahead",), ()],
    ids=["a photo", "the other order", "another begin", "too few", "none"],
)
def test_other_pictures_open_nothing_and_name_no_one(
    asking: Person, asked: Asked, heads: dict[str, RgbImage], earlier: Sequence[str]
) -> None:
    assert asking.receipt_id
    found = asked([heads[one] for one in earlier])
    assert isinstance(found, FaceDecision)
    assert (found.outcome, found.reason, found.decision.sealed_opened) == ("no_match", "not_live", 0)


def test_a_person_who_turns_the_head_for_the_photo_of_another_opens_nothing(
    asking: Person, asked: Asked, heads: dict[str, RgbImage], astronaut: RgbImage
) -> None:
    assert asking.receipt_id
    for earlier in ([astronaut, *(heads[one] for one in IN_ORDER[1:])], [*(heads[one] for one in IN_ORDER)][:2]):
        found = asked(earlier)
        assert isinstance(found, FaceDecision)
        assert found.reason == "not_live"
    assert asked([heads["ahead"], RgbImage(np.full((100, 100, 3), 90, np.uint8))] * 2) is Obstacle.NO_FACE


def test_an_answer_that_took_too_long_opens_nothing(
    recognizer: Recognizer, asking: Person, heads: dict[str, RgbImage]
) -> None:
    late = HeadTurnAnswer(Side.LEFT, RULE.limit_s + 0.1, [heads[one] for one in IN_ORDER])
    found = recognizer.verify(asking.take_home.receipt, heads["ahead"], None, answer=late)
    assert found is not None
    assert found.reason == "not_live"
    in_time = HeadTurnAnswer(Side.LEFT, RULE.limit_s, late.earlier)
    found = recognizer.verify(asking.take_home.receipt, heads["ahead"], None, answer=in_time)
    assert found is not None
    assert found.match is not None


def test_a_zone_with_a_model_compares_what_the_model_takes_for_live(
    house: House,
    recognizer: Recognizer,
    extractor: Extractor,
    heads: dict[str, RgbImage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person = admitted(house, extractor, heads["ahead"])
    house.let_pass()
    stream = DoorStream(recognizer, LOBBY)
    house.site.zones.set_liveness("lobby", "pack")
    bright = heads["ahead"]
    for decide in (
        lambda: recognizer.identify(LOBBY, bright),
        lambda: recognizer.verify(person.take_home.receipt, bright, None),
        lambda: stream.look(bright, 0.0),
    ):
        with pytest.raises(ModelMissingError, match="pass --liveness-pack and --liveness-licence"):
            decide()

    # In place, because the stream has this extractor.
    monkeypatch.setattr(extractor, "liveness", load_liveness_pack(written(tmp_path), accept_licence=LICENCE))
    dark = RgbImage((bright.pixels * 0.6).astype(np.uint8))
    before = extractor.embeddings_computed
    assert [one.reason for one in recognizer.identify(LOBBY, dark).faces] == ["not_live"]
    assert stream.look(dark, 1.0).faces[0].reason == "not_live"
    claim = recognizer.verify(person.take_home.receipt, dark, None)
    assert claim is not None
    assert claim.reason == "not_live"
    assert extractor.embeddings_computed == before


def test_a_face_that_a_model_refuses_asks_on_until_it_is_live(
    house: House,
    recognizer: Recognizer,
    extractor: Extractor,
    heads: dict[str, RgbImage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dark = heads["ahead"]
    live = RgbImage((dark.pixels * 0.5 + 127).astype(np.uint8))  # the model takes what is bright for live
    admitted(house, extractor, live)
    house.site.zones.set_liveness("lobby", "pack")
    house.site.zones.set_trigger("lobby", "request")
    monkeypatch.setattr(extractor, "liveness", load_liveness_pack(written(tmp_path), accept_licence=LICENCE))
    stream = DoorStream(recognizer, LOBBY)
    assert stream.look(live, 0.0).faces == ()
    stream.request(0.1)
    before = extractor.embeddings_computed
    refused = [stream.look(dark, 0.2 * number).faces[0] for number in range(1, 12)]  # longer than a visit may last
    assert {(one.reason, one.match) for one in refused} == {("not_live", None)}
    assert extractor.embeddings_computed == before
    assert stream.look(live, 2.4).faces[0].outcome == "looking"
    assert stream.look(live, 2.6).faces[0].outcome == "match"
