"""Badges as files and as QR codes: read back exactly, in any order, and refused with a sentence otherwise."""

import pickle
import random

import pytest

from volens.consent import Badge, InputError, ModelId, PersonSecret, ReceiptId, ReferenceId, SiteId
from volens.consent.badge import MAX_PIECE_BYTES

SMALL, LARGE = 128, 512
BITS = random.Random(5)


def badge(dimension: int = SMALL, number: int = 7) -> Badge:
    return Badge(
        SiteId("d97607cbd17d218d63f04680"),
        ReceiptId(BITS.randbytes(16).hex()),
        ReferenceId(number),
        ModelId("sface_2021dec_int8bq@fb143eea"),
        PersonSecret(BITS.randbytes(32)),
        BITS.randbytes(29 + 4 * dimension),
    )


def same(one: Badge, other: Badge) -> bool:
    return one.to_bytes() == other.to_bytes() and one.secret.buffer == other.secret.buffer


@pytest.mark.parametrize("dimension", [SMALL, LARGE])
def test_a_badge_is_read_back(dimension: int) -> None:
    made = badge(dimension)
    read = Badge.parse(made.to_bytes())

    assert same(read, made)
    assert (read.site_id, read.receipt_id, read.reference_id) == (made.site_id, made.receipt_id, made.reference_id)
    assert read.sealed_embedding == made.sealed_embedding


@pytest.mark.parametrize("length", [*range(139), 10**5])
def test_a_badge_file_that_is_cut_off_or_too_long_is_refused(length: int) -> None:
    """From 139 bytes on the sealed embedding is cut off, which the store detects by the digest."""
    data = badge().to_bytes()

    with pytest.raises(InputError, match="not a badge of this version"):
        Badge.parse((data + bytes(length))[:length])


@pytest.mark.parametrize(
    "data",
    [b"", b"VOLENS-BADGE\x02" + bytes(700), b"\x89PNG", b"VOLENS-BADGE\x01" + b"\xff" * 700],
    ids=["empty", "another version", "a picture", "no text"],
)
def test_bytes_that_are_not_a_badge_are_refused(data: bytes) -> None:
    with pytest.raises(
        InputError, match="got a file that is not a badge of this version; use the file as it was written"
    ):
        Badge.parse(data)


def test_a_number_that_is_written_otherwise_is_refused() -> None:
    data = badge(number=7).to_bytes().replace(b"\x00\x017", b"\x00\x0207")

    with pytest.raises(InputError, match="not a badge of this version"):
        Badge.parse(data)


@pytest.mark.parametrize(("dimension", "count"), [(SMALL, 2), (LARGE, 4)])
def test_a_badge_is_read_from_its_qr_codes_in_any_order_and_twice(dimension: int, count: int) -> None:
    made = badge(dimension)
    texts = made.qr_texts()

    assert len(texts) == count
    assert max(len(text) for text in texts) <= 40 + MAX_PIECE_BYTES * 3 // 2
    for _ in range(5):
        BITS.shuffle(texts)
        assert same(Badge.from_qr_texts([*texts, texts[0]]), made)


def test_qr_codes_that_are_not_one_badge_are_refused() -> None:
    mine, other = badge(LARGE).qr_texts(), badge(LARGE).qr_texts()
    letter = "0" if mine[1][60] != "0" else "1"
    misread = mine[1][:60] + letter + mine[1][61:]
    cases = {
        "got 0 badges": ([], "got QR codes of 0 badges"),
        "one missing": (mine[:3], "got 3 of the 4 QR codes of a badge; show the others as well"),
        "of two": ([*mine[:3], other[3]], "got QR codes of 2 badges"),
        "same number twice": ([*mine, other[0]], "several badges"),
        "no badge": (["https://example.org"], "got a QR code that is not of a badge"),
        "misread": ([mine[0], misread, *mine[2:]], "misread"),
        "number above count": ([mine[0].replace(":1/4:", ":5/4:")], "several badges"),
        "letters that are none": ([mine[0][:34] + ":::"], "misread"),
    }
    for texts, words in cases.values():
        with pytest.raises(InputError, match=words):
            Badge.from_qr_texts(texts)


def test_a_badge_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="a Badge is not pickled"):
        pickle.dumps(badge())
