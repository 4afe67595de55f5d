"""QR codes in the frames of a door's camera, with the real reader: for a site here, and for a service."""

import io
import time
from collections.abc import Callable

import cv2
import numpy as np
from house import House
from PIL import Image

from tests.doors.conftest import RecordedEvents
from tests.doors.test_commands import decide
from tests.service.conftest import app_state, bearer, extractor, jpeg
from tests.service.test_stream import door, look, port, said
from volens.consent import Badge
from volens.face import Extractor, RgbImage
from volens.service import samples
from volens.service.door import DecisionReceived, FrameProcessed, InputRejected, Verdict
from volens.service.door.decider import LocalDecider
from volens.service.qr_codes import badge_qrs, secret_qr
from volens.store.programs import Role

__all__ = ["app_state", "bearer", "door", "extractor", "port"]


def scene(*codes: bytes) -> RgbImage:
    """The astronaut before a camera of 1280x720, with QR codes beside the face, as on a phone that is held up."""
    pixels = np.full((720, 1280, 3), 110, dtype=np.uint8)
    near = samples.astronaut().pixels[0:260, 90:350]
    pixels[200:530, 470:800] = cv2.resize(near, (330, 330), interpolation=cv2.INTER_LINEAR)
    for left, code in zip((20, 830), codes, strict=False):
        shown = Image.open(io.BytesIO(code)).convert("RGB").resize((420, 420))
        pixels[150:570, left : left + 420] = np.asarray(shown)
    return RgbImage(pixels)


def test_a_door_reads_the_secret_of_a_person_and_opens_for_its_owner(
    house: House, extractor: Extractor, recorded: RecordedEvents
) -> None:
    house.reopen(lambda: extractor)
    house.declare("vault", "subject_key")
    house.declare("cellar", "subject_key")
    (person, secret), (_, others) = ((one := house.invite(zone), one.take_home.secret) for zone in ("vault", "cellar"))
    assert secret is not None
    assert others is not None
    code, other = secret_qr(secret), secret_qr(others)
    house.site.enroll(person.take_home.to_json(), samples.views(samples.astronaut(), 3), secret=secret)
    decider, before = LocalDecider(house.site, "vault"), extractor.embeddings_computed

    decide(decider, recorded, [scene(), scene(other), scene(), scene(), scene(), scene(code)])

    assert [one.reason for one in recorded.of(InputRejected) if isinstance(one, InputRejected)] == [
        "this code is for another zone; show the one for this zone"
    ]
    (decision,) = [one for one in recorded.of(DecisionReceived) if isinstance(one, DecisionReceived)]
    assert (decision.verdict, decision.subject_id) == (Verdict.MATCH, person.subject_id)
    assert extractor.embeddings_computed - before == 1
    assert [one.faces for one in recorded.of(FrameProcessed) if isinstance(one, FrameProcessed)] == [0] * 5 + [1]


def test_a_service_reads_a_badge_in_the_frames_of_a_door(
    house: House, extractor: Extractor, bearer: Callable[..., dict[str, str]], door: Callable[..., object]
) -> None:
    house.declare("gate", "badge")
    person, badges = house.invite("gate"), list[bytes]()
    photos = samples.views(samples.astronaut(), 3)
    house.site.enroll(person.take_home.to_json(), photos, hand_over=lambda badge: badges.append(badge.to_bytes()))
    codes = badge_qrs(Badge.parse(badges[0]))
    stream = door("gate", bearer(Role.DOOR, "gate"))
    assert said(stream)["trigger"] == "request"
    before = extractor.embeddings_computed

    assert [one["type"] for one in look(stream, jpeg(scene(codes[0])))] == ["frame"]
    assert extractor.embeddings_computed == before
    until = time.monotonic() + 9
    found = look(stream, jpeg(scene(codes[1])))
    while len(found) == 1 and time.monotonic() < until:
        found = look(stream, jpeg(scene(codes[1])))

    assert (found[0]["decision"], found[0]["subject_id"]) == ("match", person.subject_id)
    assert extractor.embeddings_computed == before + 1
