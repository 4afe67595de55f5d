"""The public library, with the real models and real photos."""

import inspect
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from declared_gates import open_gates

import volens
from benchmarks.group_photo import six_people_photo
from volens import Site, SubjectKey, TakeHome
from volens.consent import NoLiveConsentError, RefusedError
from volens.consent.errors import ForeignReceiptError
from volens.face import AlreadyEnrolledError, Extractor, NoFaceError, RgbImage, TooFewPhotosError
from volens.face.alignment import nose_offset
from volens.identify.identification import FaceDecision
from volens.service import samples as photos
from volens.service.sample_notice import publish_sample_notice


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor.load_default()


def new_site(home: Path, extractor: Extractor) -> Site:
    Site.create(home, name="Example Ltd", contact="privacy@example.org").close()
    site = Site.open(home, load_extractor=lambda: extractor)
    for zone in ("lobby", "lab"):
        site.add_zone(zone, custody="operator", justification="trays", alternative="a badge", retention_days=30)
        open_gates(site, zone)
        publish_sample_notice(site, zone, more="We compare your face at the door.")
    return site


@pytest.fixture
def site(tmp_path: Path, extractor: Extractor) -> Iterator[Site]:
    with new_site(tmp_path / "home", extractor) as site:
        yield site


def consent(site: Site, zone: str = "lobby", name: str = "Ada Example") -> TakeHome:
    key = SubjectKey.from_seed(os.urandom(32))
    return site.give_consent(site.notice(zone), name=name, jurisdiction="FR", key=key)


def test_paths_may_be_text_and_another_type_is_one_sentence(tmp_path: Path, extractor: Extractor) -> None:
    home = str(tmp_path / "home")
    Site.create(home, name="Example Ltd", contact="privacy@example.org").close()
    with Site.open(home, load_extractor=lambda: extractor) as site:
        assert site.home == tmp_path / "home"
        site.add_zone("lobby", custody="operator", justification="a", alternative="b", retention_days=30)
        open_gates(site, "lobby")
        publish_sample_notice(site, "lobby", more="We look.")
        receipt = consent(site).to_json()
        with pytest.raises(TypeError, match="got an image of type str; expected RgbImage; read it with read_image"):
            site.identify("lobby", "door.jpg")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="got a photo of type PosixPath; expected RgbImage or EncodedImage"):
            site.enroll(receipt, [tmp_path / "a.jpg"] * 3)  # type: ignore[list-item]
    for wrong in (7, None, b"home"):
        for call in (Site.open, lambda one: Site.create(one, name="a", contact="b")):
            with pytest.raises(TypeError) as caught:
                call(wrong)  # type: ignore[arg-type, operator]
            assert "\n" not in str(caught.value)


def test_the_example_in_the_documentation_runs(
    tmp_path: Path, extractor: Extractor, capsys: pytest.CaptureFixture[str]
) -> None:
    new_site(tmp_path / "home", extractor).close()
    files = []
    for number, view in enumerate(photos.views(photos.astronaut(), 4)):
        files.append(tmp_path / f"{number}.ppm")
        height, width, _ = view.pixels.shape
        files[-1].write_bytes(b"P6 %d %d 255\n" % (width, height) + view.pixels.tobytes())
    example = inspect.getdoc(volens)
    assert example is not None
    code = textwrap.dedent(example.partition("Example::\n")[2])

    exec(compile(code, "volens.__doc__", "exec"), {"home": tmp_path / "home", "photos": files[:3], "frame": files[3]})  # noqa: S102

    said = capsys.readouterr().out
    assert re.search(r"[A-Za-z0-9_-]{43} 0\.[5-9]", said)
    assert "certificates" in said


def test_without_consent_nothing_is_computed(tmp_path: Path, site: Site, extractor: Extractor) -> None:
    with new_site(tmp_path / "elsewhere", extractor) as elsewhere:
        foreign = consent(elsewhere)
    before = extractor.embeddings_computed

    with pytest.raises(ForeignReceiptError, match="signed for another site"):
        site.enroll(foreign.to_json(), photos.views(photos.astronaut(), 3))
    withdrawn = consent(site)
    site.withdraw(receipt=withdrawn.to_json())
    with pytest.raises(NoLiveConsentError, match="no consent is in force"):
        site.enroll(withdrawn.to_json(), photos.views(photos.astronaut(), 3))

    assert extractor.embeddings_computed == before
    assert site.log.verify().kinds["enrollment.refused"] == 2


def test_a_person_matches_in_a_group_of_strangers_until_they_withdraw(site: Site) -> None:
    receipts = []
    frame = six_people_photo()
    faces = sorted(site.extractor.detect(frame), key=lambda face: abs(nose_offset(face.landmarks)))
    boxes = [face.box for face in faces]
    assert len(boxes) >= 5
    for box in boxes[:3]:
        receipts.append(consent(site).to_json())
        site.enroll(receipts[-1], [photos.around(frame, box)], allow_few=True)

    def matched(zone: str) -> dict[tuple[float, ...], FaceDecision]:
        return {face.box: face for face in site.identify(zone, frame).faces if face.match}

    before = matched("lobby")
    assert before.keys() == set(boxes[:3])
    assert len({face.subject_id for face in before.values()}) == 3
    assert all(face.comparison_score is None for face in site.identify("lobby", frame).faces if face.match is None)
    assert {site.name_of(face.match) for face in before.values() if face.match} == {"Ada Example"}

    site.withdraw(receipt=receipts[1])

    assert matched("lobby").keys() == {boxes[0], boxes[2]}
    assert not matched("lab")
    gone = before[boxes[1]].match
    assert gone is not None
    assert site.name_of(gone) is None


def test_the_same_face_is_not_enrolled_under_two_people_in_one_zone(site: Site) -> None:
    views = photos.views(photos.astronaut(), 3)
    site.enroll(consent(site).to_json(), views)

    with pytest.raises(AlreadyEnrolledError, match="already enrolled under another person in zone 'lobby'"):
        site.enroll(consent(site).to_json(), views)

    assert site.status().zones[1].references == {"sface_2021dec_int8bq@fb143eea": 1}
    site.enroll(consent(site, "lab").to_json(), views)


def test_a_look_alike_is_enrolled_when_the_operator_says_that_they_are_two_people(site: Site) -> None:
    views = photos.views(photos.astronaut(), 3)
    site.enroll(consent(site).to_json(), views, two_people=True)
    assert "enrollment.two_people" not in site.log.verify().kinds, "no one looks alike yet"

    other = consent(site)
    assert site.enroll(other.to_json(), views, two_people=True).subject_id == other.receipt.claims.subject_id

    assert site.log.verify().kinds["enrollment.two_people"] == 1


def test_few_photos_are_accepted_only_on_request_and_reported(site: Site) -> None:
    receipt = consent(site).to_json()
    views = photos.views(photos.astronaut(), 2)

    with pytest.raises(TooFewPhotosError, match="--allow-few"):
        site.enroll(receipt, views)
    assert site.enroll(receipt, views, allow_few=True).few
    with pytest.raises(RefusedError, match="already has a reference of this model"):
        site.enroll(receipt, photos.views(photos.astronaut(), 3))


def test_a_refused_photo_stores_nothing(site: Site) -> None:
    receipt = consent(site).to_json()
    no_face = RgbImage(np.full((200, 200, 3), 127, dtype=np.uint8))

    with pytest.raises(NoFaceError):
        site.enroll(receipt, [*photos.views(photos.astronaut(), 2), no_face])

    assert all(not zone.references for zone in site.status().zones)
    assert site.identify("lobby", no_face).faces == ()
    site.enroll(receipt, photos.views(photos.astronaut(), 3))


def test_a_claim_is_verified_for_its_owner_only(site: Site) -> None:
    receipt = consent(site).to_json()
    site.enroll(receipt, photos.views(photos.astronaut(), 3))

    confirmed = site.verify_claim(receipt, photos.views(photos.astronaut(), 4)[3])
    refused = site.verify_claim(receipt, six_people_photo())

    assert confirmed is not None
    assert confirmed.match is not None
    assert refused is not None
    assert refused.match is None


def test_the_embedding_on_disk_is_not_the_one_that_was_computed(site: Site) -> None:
    photo = photos.astronaut()
    receipt = consent(site).to_json()
    site.enroll(receipt, photos.views(photo, 3))
    store = site.installation.store
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT sealed_embedding, model_licence FROM biometric_reference").all()

    ((box, licence),) = rows

    assert licence == "Apache-2.0"
    assert len(box) == 29 + 128 * 4


def test_a_consent_that_ends_during_enrollment_is_no_tampering(site: Site) -> None:
    receipt = consent(site).to_json()
    views = photos.views(photos.astronaut(), 3)

    def withdrawn(done: int, _total: int) -> None:
        if done == len(views):
            with Site.open(site.home) as elsewhere:
                elsewhere.withdraw(receipt=receipt)

    with pytest.raises(NoLiveConsentError, match="no consent is in force"):
        site.enroll(receipt, views, progress=withdrawn)

    assert all(not zone.references for zone in site.status().zones)
