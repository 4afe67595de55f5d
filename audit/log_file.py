"""The exported audit log: a text file (JSON Lines) that anyone can verify with the site's public key alone.

::

    {"checkpoint":"<the newest signed note>","format":"volens-audit-log/1","key":"<verifier key>"}
    {"at":"2026-11-23T16:00:00Z","commitment":"<base64url>","kind":"zone.added","v":1}
    {"details":{"zone":"lobby"},"salt":"<base64>"}
    {"checkpoint":"<the signed note of this size>"}

The first line is the header. A line that begins with ``{"at":`` is a leaf, byte for byte, in the order of the log. A
line with details and salt opens the leaf above it; few leaves have one. A line with a checkpoint covers the leaves
above it. The header's checkpoint covers all leaves, so a file that was cut off does not verify.

A shard of the log (`volens.audit.shard`) is a file of its own, of the same form; its key line names the shard.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, final

import rfc8785

from volens.audit.checkpoint import Checkpoint, open_checkpoint
from volens.audit.frontier import Frontier
from volens.audit.leaf import open_leaf, read_leaf
from volens.audit.signer import refuse_other_key, refuse_other_signer
from volens.audit.tree import empty_root
from volens.audit.verifier_key import VerifierKey, from_base64, to_base64
from volens.consent import InputError, TamperError
from volens.consent.canonical import loads_canonical

FORMAT: Final = "volens-audit-log/1"
MAX_LINE_BYTES: Final = 256 * 1024
"""Room for a note of the largest size, in which JSON escapes every newline."""

_LEAF: Final = b'{"at":'
_OPENING: Final = b'{"details":'


@final
@dataclass(frozen=True, slots=True)
class LogFile:
    """An exported log that was verified.

    Attributes:
        head: the checkpoint that covers all of it.
        checkpoints: number of signed checkpoints, with the head.
        openings: number of leaves whose details are in the file.
        kinds: number of leaves of each kind.
    """

    head: Checkpoint
    checkpoints: int
    openings: int
    kinds: Mapping[str, int] = field(default_factory=dict)


def header_line(key: VerifierKey, note: str) -> bytes:
    """Return the first line; `note` is the checkpoint that covers all leaves of the file."""
    return _line({"format": FORMAT, "key": key.line(), "checkpoint": note})


def leaf_line(leaf: bytes) -> bytes:
    """Return the line of a leaf."""
    return leaf + b"\n"


def opening_line(details: Mapping[str, str | int], salt: bytes) -> bytes:
    """Return the line that opens the leaf before it."""
    return _line({"details": dict(details), "salt": to_base64(salt)})


def checkpoint_line(note: str) -> bytes:
    """Return the line of a checkpoint over the leaves before it."""
    return _line({"checkpoint": note})


def verify_log_file(lines: Iterable[bytes], key: VerifierKey, evidence: Sequence[Checkpoint] = ()) -> LogFile:
    """Verify an exported log, line by line; memory does not grow with the log.

    1. The header is of this format, of this site, and its checkpoint is signed by the site's key.
    2. Every leaf is well formed. Every opening opens the leaf before it.
    3. Every checkpoint is signed by the key and states the number and the root of the leaves before it.
    4. The last line is the header's checkpoint: no leaf is missing at the end, and none is uncovered.
    5. The log has the size and root of each checkpoint in `evidence`: it continues the logs that others have seen.

    The key is pinned by the caller, never taken from the file; so are the signatures of `evidence` checked before.

    Raises:
        InputError: the file is not an exported log of this version.
        TamperError: 1 to 5 does not hold.

    Not checked: that this is the newest log. The site can export an older one; `evidence` shows that. Of a shard: that
    the main log has the same size and root; its `shard.closed` entry says so.
    """
    remaining = iter(lines)
    # 1.
    head, signer = _read_header(next(remaining, b""), key)
    # 2. to 4.
    found = _read_lines(remaining, signer, evidence)
    if found.head != head:
        raise _tampered(f"the file has {found.head.size} entries under a checkpoint, its header states {head.size}")
    return found


def _read_header(line: bytes, key: VerifierKey) -> tuple[Checkpoint, VerifierKey]:
    """Return the checkpoint of the header, and the key of its log: that of the site, or of one of its shards."""
    try:
        header = _parsed(line)
        # A changed header is another kind of file; a header of another site is a wrong key.
        if header.keys() != {"format", "key", "checkpoint"} or header["format"] != FORMAT:
            raise TypeError  # noqa: TRY301  one answer for every other form
        named, note = str(header["key"]), str(header["checkpoint"])
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InputError("this is not an exported audit log; use the file as 'volens audit export' wrote it") from None
    signer = key if named == key.line() else _key_of_shard(named, key)
    if signer is None:
        with suppress(InputError):
            refuse_other_key("this log", named, key)
        raise _tampered("the log is of another site than the public key")
    try:
        return open_checkpoint(note, signer), signer
    except TamperError:
        refuse_other_signer("this log", note, signer)
        raise


def _key_of_shard(named: str, key: VerifierKey) -> VerifierKey | None:
    """Return the key of a shard of the site's log (`volens.audit.shard`); None if the line is of something else."""
    with suppress(InputError, TamperError):
        found = VerifierKey.parse(named)
        if found.name.startswith(f"{key.name}/") and found.public_key in key.public_keys:
            return found
    return None


def _read_lines(lines: Iterator[bytes], key: VerifierKey, evidence: Sequence[Checkpoint]) -> LogFile:
    seen = Frontier()
    kinds, openings, checkpoints = Counter[str](), 0, 0
    head = Checkpoint(key.name, 0, empty_root())
    roots = defaultdict[int, set[bytes]](set)
    for one in evidence:
        roots[one.size].add(one.root)
    leaf: bytes | None = None
    for line in lines:
        if line.startswith(_LEAF):
            # 2.
            leaf = line.removesuffix(b"\n")
            kinds[read_leaf(leaf)[0]] += 1
            seen.append(leaf)
            # 5.
            if expected := roots.pop(seen.size, None):
                _require_root(seen, expected)
        elif line.startswith(_OPENING) and leaf is not None:
            _check_opening(leaf, line)
            openings, leaf = openings + 1, None
        else:
            # 3.
            head = _read_checkpoint(line, key)
            if head.size != seen.size or head.root != seen.root():
                raise _tampered(f"the first {seen.size} entries are not those of the signed checkpoint {head.size}")
            checkpoints += 1
    # 4.
    if seen.size != head.size:
        raise _tampered(f"the file has {seen.size} entries, its last checkpoint covers {head.size}")
    # 5.
    roots.pop(0, None)  # every log continues the empty one
    if roots:
        raise _tampered(f"the log has {seen.size} entries, and a log of {max(roots)} was seen before; get the newest")
    return LogFile(head, checkpoints, openings, kinds)


def _check_opening(leaf: bytes, line: bytes) -> None:
    try:
        opening = _parsed(line)
        details, salt = opening.pop("details"), from_base64(opening.pop("salt"))
        if opening:
            raise _tampered("an opening of the log has another form")
        open_leaf(leaf, details, salt)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise _tampered("an opening of the log has another form") from None


def _read_checkpoint(line: bytes, key: VerifierKey) -> Checkpoint:
    try:
        document = _parsed(line)
        if document.keys() != {"checkpoint"}:
            raise _tampered("the log has a line of another form")
        note = document["checkpoint"]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise _tampered("the log has a line of another form") from None
    return open_checkpoint(str(note), key)


def _require_root(seen: Frontier, expected: set[bytes]) -> None:
    if expected != {seen.root()}:
        raise _tampered(f"the first {seen.size} entries are not those that were seen before")


def _line(document: Mapping[str, Any]) -> bytes:
    return rfc8785.dumps(dict(document)) + b"\n"


def _parsed(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line; ValueError if it is not canonical, or has no newline."""
    if not line.endswith(b"\n"):
        raise ValueError("the line is cut off")
    document: dict[str, Any] = loads_canonical(line[:-1])
    return document


def _tampered(otherwise: str) -> TamperError:
    return TamperError(f"integrity: {otherwise}; obtain the log again from the site")
