"""Byte search (needles): remains of a value are found whole or in part, in memory and in files of any size."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from volens.erase import PIECE_BYTES, Hit, Needles
from volens.store.files import FilePlace, ReadAt

seeded = random.Random(11)
VALUE = seeded.randbytes(541)


@pytest.fixture
def needles() -> Needles:
    return Needles.of(
        [("face", VALUE), ("secret", b"0123456789abcdef0123456789abcdef"), ("short", b"short!"), ("none", b"")]
    )


def test_a_value_is_found_wherever_it_lies(needles: Needles) -> None:
    for at in (0, 1, 500, 4095):
        haystack = bytearray(seeded.randbytes(5000))
        haystack[at : at + len(VALUE)] = VALUE
        assert needles.search(haystack, "here") == [Hit("face", "here")]
    assert needles.search(b"... short! ...", "here") == [Hit("short", "here")]


def test_any_80_bytes_of_a_value_are_found(needles: Needles) -> None:
    for at in range(len(VALUE) - 79):
        assert needles.search(bytes(40) + VALUE[at : at + 80] + bytes(40), "x"), at
    assert needles.search(VALUE[-PIECE_BYTES:], "x")


def test_nothing_is_found_in_unrelated_bytes(needles: Needles) -> None:
    assert needles.search(seeded.randbytes(100_000), "here") == []
    assert needles.search(b"", "here") == []
    assert needles.search(bytes(10_000), "here") == []


@dataclass(frozen=True)
class SlowPlace:
    """A place that is read in chunks of 64 bytes, as a long file is in longer ones."""

    file: FilePlace
    name: str = "file"

    def size_bytes(self) -> int:
        return self.file.size_bytes()

    @contextmanager
    def reading(self) -> Iterator[ReadAt]:
        with self.file.reading() as read:
            yield lambda buffer, position: read(buffer[:64], position)


@pytest.mark.parametrize("at", range(40, 70))
def test_a_piece_across_two_chunks_of_a_file_is_found(needles: Needles, tmp_path: Path, at: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(at) + VALUE[:PIECE_BYTES] + bytes(300))

    assert needles.search_place(SlowPlace(FilePlace(path, "file"))) == [Hit("face", "file")]


def test_a_file_is_reported_once_for_each_value_in_it(needles: Needles, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes((VALUE + b"short!") * 3)
    assert needles.search_place(FilePlace(path, "file")) == [Hit("face", "file"), Hit("short", "file")]
    path.write_bytes(b"")
    assert needles.search_place(FilePlace(path, "file")) == []


@pytest.mark.parametrize("value", [bytes(541), b"\x01", b"\xff" * 40, b"ab" * 50])
def test_a_value_that_occurs_everywhere_is_not_searched_for(value: bytes) -> None:
    needles = Needles.of([("damaged", value)])
    assert needles.search(value * 3, "here") == []
    assert needles.counts() == {"damaged": 0}


def test_of_a_value_that_is_half_zeros_the_other_half_is_searched_for() -> None:
    needles = Needles.of([("damaged", bytes(256) + VALUE)])
    assert needles.search(bytes(5000), "here") == []
    assert needles.search(VALUE, "here") == [Hit("damaged", "here")]


def test_pieces_are_counted_by_the_name_of_their_value(needles: Needles) -> None:
    assert needles.counts() == {"face": 10, "secret": 2, "short": 1}
    assert Needles.gathered([needles, needles]).counts() == {"face": 20, "secret": 4, "short": 2}


def test_needles_are_copies_that_are_wiped_and_show_no_bytes() -> None:
    mine = bytearray(VALUE)
    own = Needles.of([("face", mine)])
    mine[:] = bytes(len(mine))
    assert own.search(VALUE, "x")
    assert repr(own) == "Needles(1)"

    own.wipe()

    assert not any(own.needles[0].value)


def test_the_haystack_is_not_changed(needles: Needles) -> None:
    haystack = bytearray(VALUE)
    needles.search(haystack, "x")
    assert haystack == VALUE
