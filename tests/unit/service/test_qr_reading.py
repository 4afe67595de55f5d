"""QR codes are read back from the pictures that were written, and from photos of them."""

import random
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from volens.consent import Badge, InputError, ModelId, PersonSecret, ReceiptId, ReferenceId, SiteId
from volens.service.qr_codes import badge_qrs, secret_qr
from volens.service.qr_reading import qr_texts


def badge(seed: int, dimension: int) -> Badge:
    bits = random.Random(seed)
    return Badge(
        SiteId("d97607cbd17d218d63f04680"),
        ReceiptId(bits.randbytes(16).hex()),
        ReferenceId(seed),
        ModelId("sface_2021dec_int8bq@fb143eea"),
        PersonSecret(bits.randbytes(32)),
        bits.randbytes(29 + 4 * dimension),
    )


def save(folder: Path, pictures: list[bytes]) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        path.write_bytes(picture)
    return paths


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dimension", [128, 512])
def test_a_badge_is_read_from_the_pictures_of_its_codes(tmp_path: Path, seed: int, dimension: int) -> None:
    made = badge(seed, dimension)
    paths = save(tmp_path, badge_qrs(made))

    read = Badge.from_qr_texts([text for path in reversed(paths) for text in qr_texts(path)])

    assert read.to_bytes() == made.to_bytes()


def test_both_codes_of_a_badge_are_read_from_one_picture(tmp_path: Path) -> None:
    made = badge(9, 128)
    codes = [Image.open(BytesIO(code)).convert("L") for code in badge_qrs(made)]
    sheet = Image.new("L", (sum(code.width for code in codes), max(code.height for code in codes)), 255)
    sheet.paste(codes[0], (0, 0))
    sheet.paste(codes[1], (codes[0].width, 0))
    sheet.save(tmp_path / "sheet.png")

    assert Badge.from_qr_texts(qr_texts(tmp_path / "sheet.png")).to_bytes() == made.to_bytes()


def test_a_secret_is_read_from_a_photo_of_its_code(tmp_path: Path) -> None:
    secret = PersonSecret(random.Random(3).randbytes(32))
    code = Image.open(BytesIO(secret_qr(secret))).convert("L")
    desk = Image.new("L", (900, 700), 120)
    desk.paste(code, (250, 150))
    noise = np.random.default_rng(1).normal(0, 8, (700, 900))
    photo = np.clip(np.asarray(desk.rotate(7, Image.Resampling.BICUBIC, fillcolor=120)) * 0.8 + 20 + noise, 0, 255)
    Image.fromarray(photo.astype(np.uint8)).save(tmp_path / "photo.jpg", quality=85)

    (text,) = qr_texts(tmp_path / "photo.jpg")

    assert PersonSecret.parse(text) is not None
    assert text == secret.reveal()


def test_a_picture_without_a_code_is_refused(tmp_path: Path) -> None:
    Image.new("L", (200, 200), 255).save(tmp_path / "blank.png")

    with pytest.raises(
        InputError, match=r"found no readable QR code in .*; photograph it flat, close and in good light"
    ):
        qr_texts(tmp_path / "blank.png")
