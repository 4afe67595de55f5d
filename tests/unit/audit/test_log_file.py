"""The exported log: read line by line with the public key alone, and refused once a byte or a line was changed."""

from collections.abc import Callable, Sequence

import pytest

from tests.vectors.build_vectors import worked_example
from volens.audit import Checkpoint, LogFile, VerifierKey, checkpoint_line, open_checkpoint, verify_log_file
from volens.consent import InputError, TamperError
from volens.consent.errors import WrongKeyError

WORKED = worked_example()
LINES = WORKED.log.splitlines(keepends=True)
HEADER, LEAF_0, OPENING_0, NOTE_1, LEAF_1, OPENING_1, NOTE_2, LEAF_2, NOTE_3 = LINES
HEAD = verify_log_file(LINES, WORKED.key).head


def verified(lines: Sequence[bytes], evidence: Sequence[Checkpoint] = ()) -> LogFile:
    return verify_log_file(lines, WORKED.key, evidence)


def head_of(line: bytes) -> Checkpoint:
    note = line.decode().removeprefix('{"checkpoint":"').removesuffix('"}\n').replace("\\n", "\n")
    return open_checkpoint(note, WORKED.key)


def test_a_log_is_verified_with_its_sizes_and_kinds() -> None:
    found = verified(LINES)
    assert (found.head.size, found.checkpoints, found.openings) == (3, 3, 2)
    assert found.kinds == {"site.created": 1, "zone.added": 1, "erasure.certified": 1}
    assert found.head.origin == WORKED.key.name


def test_checkpoints_between_and_openings_may_be_left_out() -> None:
    found = verified([HEADER, LEAF_0, LEAF_1, LEAF_2, NOTE_3])
    assert (found.head, found.checkpoints, found.openings) == (HEAD, 1, 0)


CHANGED: dict[str, list[bytes]] = {
    "the last leaf is missing": [HEADER, LEAF_0, LEAF_1, NOTE_3],
    "it was cut off after a checkpoint": [HEADER, LEAF_0, OPENING_0, NOTE_1],
    "it was cut off after a leaf": [HEADER, LEAF_0, LEAF_1, LEAF_2],
    "it was cut off in a line": [*LINES[:-1], NOTE_3[:-1]],
    "it has a header and nothing else": [HEADER],
    "two leaves are swapped": [HEADER, LEAF_1, LEAF_0, LEAF_2, NOTE_3],
    "a leaf occurs twice": [HEADER, LEAF_0, LEAF_1, LEAF_2, LEAF_2, NOTE_3],
    "a leaf is of another time": [HEADER, LEAF_0.replace(b"2099", b"2098"), LEAF_1, LEAF_2, NOTE_3],
    "a leaf is of another kind": [HEADER, LEAF_0, LEAF_1.replace(b"zone", b"site"), LEAF_2, NOTE_3],
    "a leaf has a space": [HEADER, LEAF_0.replace(b'":', b'": ', 1), LEAF_1, LEAF_2, NOTE_3],
    "an opening has other details": [
        HEADER, LEAF_0, OPENING_0.replace(b"site-5c1e", b"site-5c1f"), LEAF_1, LEAF_2, NOTE_3,
    ],
    "an opening is of another leaf": [HEADER, LEAF_0, LEAF_1, OPENING_0, LEAF_2, NOTE_3],
    "an opening is before every leaf": [HEADER, OPENING_0, LEAF_0, LEAF_1, LEAF_2, NOTE_3],
    "an opening occurs twice": [HEADER, LEAF_0, OPENING_0, OPENING_0, LEAF_1, LEAF_2, NOTE_3],
    "an opening has more members": [
        HEADER, LEAF_0, OPENING_0.replace(b'"salt"', b'"more":1,"salt"'), LEAF_1, LEAF_2, NOTE_3,
    ],
    "a checkpoint is at another place": [HEADER, LEAF_0, LEAF_1, NOTE_1, LEAF_2, NOTE_3],
    "a leaf follows the last checkpoint": [*LINES, LEAF_2],
    "an empty line follows": [*LINES, b"\n"],
    "a line is of another form": [HEADER, LEAF_0, LEAF_1, LEAF_2, b'{"more":1}\n', NOTE_3],
    "a checkpoint is not signed": [*LINES[:-1], checkpoint_line("volens/site-5c1e\n3\nAA==\n")],
}  # fmt: skip


@pytest.mark.parametrize("lines", CHANGED.values(), ids=CHANGED)
def test_a_log_is_refused_if(lines: list[bytes]) -> None:
    with pytest.raises(TamperError, match="integrity: "):
        verified(lines)


@pytest.mark.parametrize("line", range(len(LINES)))
def test_a_log_is_refused_if_any_byte_of_a_line_was_changed(line: int) -> None:
    for place in range(0, len(LINES[line]), 7):
        changed = bytearray(LINES[line])
        changed[place] ^= 1
        with pytest.raises((TamperError, InputError)):
            verified([*LINES[:line], bytes(changed), *LINES[line + 1 :]])


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b"log/1", b"log/2"),
        lambda line: line.replace(b'{"', b'{ "'),
        lambda line: line.replace(b'"format"', b'"form"'),
        lambda _: b"",
        lambda _: b"[]\n",
        lambda _: b"not JSON\n",
        lambda _: b"[" * 100_000 + b"\n",
    ],
)
def test_a_file_with_another_first_line_is_no_exported_log(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InputError, match="this is not an exported audit log; use the file as"):
        verified([change(HEADER), *LINES[1:]])


def test_a_log_is_refused_under_the_key_of_another_site() -> None:
    for other in (VerifierKey("volens/other", WORKED.key.public_key), VerifierKey(WORKED.key.name, bytes(32))):
        with pytest.raises(WrongKeyError, match="this log is of another site than the public key"):
            verify_log_file(LINES, other)


def test_a_log_continues_every_checkpoint_that_was_seen_before() -> None:
    seen = [head_of(NOTE_1), head_of(NOTE_2), head_of(NOTE_3), head_of(NOTE_2)]
    assert verified(LINES, seen).head == HEAD


def test_an_older_log_is_refused_if_a_newer_checkpoint_was_seen() -> None:
    older = [HEADER.replace(NOTE_3.removesuffix(b"}\n")[1:], NOTE_1.removesuffix(b"}\n")[1:]), LEAF_0, NOTE_1]
    assert verified(older).head.size == 1  # the site signed it, once
    with pytest.raises(TamperError, match="the log has 1 entries, and a log of 3 was seen before"):
        verified(older, [HEAD])


def test_a_forked_log_is_refused_if_a_checkpoint_of_the_other_branch_was_seen() -> None:
    for size in (1, 2, 3):
        with pytest.raises(TamperError, match=f"the first {size} entries are not those that were seen before"):
            verified(LINES, [Checkpoint(WORKED.key.name, size, bytes(32))])
