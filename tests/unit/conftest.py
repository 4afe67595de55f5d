"""Models, two sample photos and capabilities. Without models a test fails with the error that says how to get them."""

from collections.abc import Callable
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from signing import sign_receipt

from benchmarks.group_photo import six_people_photo
from volens.consent import (
    ConsentGrant,
    DataSubjectId,
    Notice,
    Purpose,
    ReceiptId,
    SiteId,
    SubjectKey,
    Zone,
    permit_probe,
)
from volens.consent.gate import admit
from volens.consent.grant import ProbePermit
from volens.consent.receipt import Controller, verify_receipt
from volens.face import Extractor, RgbImage
from volens.service import samples

NOW = datetime(2099, 3, 14, 9, 26, 53, tzinfo=UTC)


class FakeLedger:
    """Everything is in force until the end of the century."""

    def live_until(self, receipt_id: ReceiptId, subject_id: DataSubjectId, purpose: Purpose) -> datetime | None:
        assert len(receipt_id) == 32
        assert len(subject_id) == 43
        assert purpose == "front-door"
        return datetime(2099, 12, 31, tzinfo=UTC)

    def is_restricted(self, receipt_id: ReceiptId) -> bool:
        assert len(receipt_id) == 32
        return False


@pytest.fixture(scope="session")
def zone() -> Zone:
    return Zone.declare(
        "front-door",
        custody="operator",
        justification="bakers come in with dough on both hands",
        alternative="a key, from the desk",
        retention_days=365,
        now=NOW,
    )


@pytest.fixture(scope="session")
def grant(zone: Zone) -> ConsentGrant:
    key = SubjectKey.from_seed(bytes(range(32)))
    site = SiteId("site-5c1e")
    receipt = sign_receipt(
        zone,
        Notice.publish(
            zone.purpose, language="en", version=1, text=b"We keep a number made from your face.\n", now=NOW
        ),
        Controller(site, "Lakeside Bakery", "privacy@lakeside.example"),
        receipt_id=ReceiptId("0123456789abcdef" * 2),
        jurisdiction="FR",
        key=key,
        now=NOW,
    )
    verified = verify_receipt(receipt, key.public)
    return admit(verified, site_id=site, purpose=zone.purpose, ledger=FakeLedger(), now=NOW)


@pytest.fixture(scope="session")
def permit(zone: Zone) -> ProbePermit:
    return permit_probe(zone)


@pytest.fixture(scope="session")
def astronaut() -> RgbImage:
    """One face, 512x512 px, 47 px between the eyes."""
    return samples.astronaut()


@pytest.fixture(scope="session")
def six_people() -> RgbImage:
    """Six faces, 1280x886 px."""
    return six_people_photo()


@pytest.fixture(scope="session")
def loaded() -> Extractor:
    return Extractor.load_default()


@pytest.fixture
def extractor(loaded: Extractor) -> Extractor:
    loaded.embeddings_computed = 0
    return loaded


@pytest.fixture(scope="session")
def people(loaded: Extractor, six_people: RgbImage) -> list[RgbImage]:
    """Each of the six people alone, cut out with some room."""
    pixels = six_people.pixels
    cuts = []
    for face in loaded.detect(six_people):
        x, y, width, height = (round(value) for value in face.box)
        top, left = max(0, y - height // 4), max(0, x - width // 4)
        cuts.append(RgbImage(pixels[top : y + height + height // 4, left : x + width + width // 4]))
    return cuts


@pytest.fixture(scope="session")
def changed() -> Callable[..., RgbImage]:
    """Make another photo of the same scene: brighter or darker, turned, scaled, blurred (sigma in px), moved.

    `moved_px` is the length of a movement while it was taken: to the side, or up and down if negative.
    """

    def change(
        image: RgbImage,
        *,
        gain: float = 1.0,
        turn_degrees: float = 0.0,
        scale: float = 1.0,
        blur_px: float = 0.0,
        moved_px: int = 0,
    ) -> RgbImage:
        pixels = image.pixels
        if turn_degrees:
            matrix = cv2.getRotationMatrix2D((image.width / 2, image.height / 2), turn_degrees, 1.0)
            pixels = cv2.warpAffine(pixels, matrix, (image.width, image.height), borderMode=cv2.BORDER_REPLICATE)
        if scale != 1.0:
            pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if blur_px:
            pixels = cv2.GaussianBlur(pixels, (0, 0), blur_px)
        if moved_px:
            size = (abs(moved_px), 1) if moved_px > 0 else (1, abs(moved_px))
            pixels = cv2.blur(pixels, size, borderType=cv2.BORDER_REPLICATE)
        return RgbImage(np.clip(pixels.astype(np.float64) * gain, 0, 255).astype(np.uint8))

    return change
