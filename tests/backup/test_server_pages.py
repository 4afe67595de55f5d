"""What a PostgreSQL server keeps of erased people in heap, TOAST, indexes and write-ahead log, and that it is useless.

The files of the server are scanned page by page, from outside. `pytest -s` on this file prints the table of
docs/deletion.md. The server must run on this machine, as that of the tests does.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psycopg
import pytest
from house import DIMENSION, House, Person
from postgres_server import PostgresServer
from sqlalchemy import make_url

from volens.consent import ModelId, TamperError, UnitVector
from volens.store.keys import sealing
from volens.store.keys.secrets import KEY_BYTES, GrantSecret, Secret
from volens.store.keys.wrapped_keys import bucket_context, read_wrapped_keys, secret_context, store_key_context
from volens.store.people import SealedReference, sealed_references
from volens.store.site_databases import read_databases

PIECE: Final = 16
WIDE: Final = 512
"""Dimensions of an embedding that is too long for a row: the server puts it into a TOAST table."""
KINDS: Final = {"r": "heap", "t": "TOAST", "i": "index"}
EMBEDDING, WIDE_EMBEDDING, SECRET = f"embedding of {DIMENSION}", f"embedding of {WIDE}", "wrapped secret"
ABOVE: Final = ("wrapped bucket key", "wrapped store key")
Found = dict[str, dict[str, int]]


def pieces_in(content: bytes, pieces: set[bytes]) -> set[bytes]:
    """Return which pieces of 16 bytes are in some content, at any place.

    Tables of the first and the second two bytes of all pieces leave few places to compare.
    """
    heads = np.array([np.frombuffer(piece[:4], np.uint16) for piece in pieces])
    first, second = np.zeros(1 << 16, bool), np.zeros(1 << 16, bool)
    first[heads[:, 0]] = second[heads[:, 1]] = True
    found: set[bytes] = set()
    for shift in (0, 1):
        words = np.frombuffer(content[shift : len(content) - (len(content) - shift) % 2], np.uint16)
        places = np.flatnonzero(first[words[:-1]] & second[words[1:]]) * 2 + shift
        found |= {piece for at in places.tolist() if (piece := content[at : at + PIECE]) in pieces}
    return found


@dataclass
class Disk:
    """The files of a site's database on a server, and of the server's write-ahead log."""

    server: PostgresServer
    database: str
    pages: Path
    log: Path
    older: set[tuple[int, int]]

    @classmethod
    def of(cls, server: PostgresServer, house: House) -> "Disk":
        """Find the files; segments of the log that nothing is written to any more are not searched later."""
        databases = read_databases(house.site.home)
        assert databases is not None
        ((folder,),) = server.run("SHOW data_directory")
        ((oid,),) = server.run("SELECT oid FROM pg_database WHERE datname = current_database()", databases.data)
        log = Path(folder) / "pg_wal"
        older = {(one.stat().st_ino, one.stat().st_mtime_ns) for one in log.iterdir()}
        return cls(server, databases.data, Path(folder) / "base" / str(oid), log, older)

    @contextmanager
    def snapshot_of_another_node(self) -> Iterator[None]:
        """Keep a snapshot open, whose rows the server may not remove yet."""
        url = make_url(self.database).set(drivername="postgresql").difference_update_query(["schema"])
        with psycopg.connect(url.render_as_string(hide_password=False)) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            assert reader.execute("SELECT receipt_id FROM volens.biometric_reference").fetchall()
            yield

    def scan(self, wanted: dict[str, bytes]) -> Found:
        """Return how many different pieces of what is wanted are in files of each kind."""
        pieces = {
            what: {box[start : start + PIECE] for start in range(0, len(box) - PIECE + 1, PIECE)}
            for what, box in wanted.items()
        }
        everything = set().union(*pieces.values())
        seen: dict[str, set[bytes]] = {}
        for path, kind in self._files():
            content = path.read_bytes().rstrip(b"\0")
            if len(content) > PIECE:
                seen.setdefault(kind, set()).update(pieces_in(content, everything))
        return {
            what: {kind: count for kind, found in seen.items() if (count := len(found & its))}
            for what, its in pieces.items()
        }

    def _files(self) -> Iterator[tuple[Path, str]]:
        kinds = self.server.run("SELECT pg_relation_filenode(oid)::text, relkind::text FROM pg_class", self.database)
        by_name = {name: KINDS.get(kind, "other") for name, kind in kinds}
        for path in self.pages.iterdir():
            yield path, by_name.get(path.name, "other")
        for path in self.log.iterdir():
            if path.is_file() and (path.stat().st_ino, path.stat().st_mtime_ns) not in self.older:
                yield path, "log"


@dataclass
class Pair:
    """Two people, one with a long embedding, and every box that leads to them, as it is before their erasure."""

    people: list[Person]
    references: list[SealedReference]
    boxes: dict[str, tuple[bytes, bytes]]

    @classmethod
    def of(cls, house: House, people: list[Person]) -> "Pair":
        ids, keyring = [one.receipt_id for one in people], house.store.keyring
        with house.store.read() as connection:
            unsorted = {one.receipt.receipt_id: one for one in sealed_references(connection, ids)}
        with keyring.read() as connection:
            keys = read_wrapped_keys(connection, "the keyring")
        wrapped = keyring.wrapped(ids)[ids[0]]
        bucket, site = wrapped.key_id, keyring.site_id
        boxes = {
            SECRET: (bytes(wrapped.box), secret_context(site, ids[0], bucket)),
            ABOVE[0]: (bytes(keys.buckets[bucket]), bucket_context(site, bucket)),
            ABOVE[1]: (bytes(keys.store_key), store_key_context(site, keys.epoch)),
        }
        return cls(people, [unsorted[one] for one in ids], boxes)

    def wanted(self) -> dict[str, bytes]:
        sealed = [bytes(one.sealed_embedding) for one in self.references]
        return {EMBEDDING: sealed[0], WIDE_EMBEDDING: sealed[1], SECRET: self.boxes[SECRET][0]}

    def opened_by_keys_of(self, house: House) -> set[str]:
        """Try every key that the keyring has, of any kind, on everything; return what opened."""
        found: set[str] = set()
        for key in keys_of(house):
            for what, (box, context) in self.boxes.items():
                with GrantSecret(bytes(KEY_BYTES)) as into, Secret(key) as secret:
                    try:
                        sealing.open_into(box, secret, context, into.buffer)
                    except TamperError:
                        continue
                    found.add(what)
            for what, reference in zip((EMBEDDING, WIDE_EMBEDDING), self.references, strict=True):
                with GrantSecret(key) as secret:
                    try:
                        reference.open(secret).wipe()
                    except TamperError:
                        continue
                    found.add(what)
        return found


def keys_of(house: House) -> list[bytes]:
    """Return the keys that are left: root key, store key, those of site and buckets, and every person's secret."""
    keys = house.store.keyring.unlocked
    buckets = [keys.bucket_key(one) for one in keys.key_ids()]
    secrets = house.store.keyring.grant_secrets([one.receipt_id for one in house.people]).values()
    site = [keys.root_key, keys.store_key, keys.site.authentication, keys.site.projection]
    return [bytes(one.buffer) for one in (*site, *buckets, *secrets) if one is not None]


def admit_pair(house: House) -> list[Person]:
    wide, narrow = house.invite(), house.admit()
    wide.face = UnitVector.normalised(house.faces.standard_normal(WIDE)).array
    usual, house.model_id = house.model_id, ModelId("wide@00000000")
    house.enroll(wide)
    house.model_id = usual
    return [narrow, wide]


def table(rows: list[tuple[str, Found]], whole: dict[str, int]) -> str:
    lines = [["step", *(f"{what} ({count} pieces)" for what, count in whole.items())], ["---"] * (1 + len(whole))]
    for step, found in rows:
        kept = [", ".join(f"{kind} {count}" for kind, count in sorted(one.items())) for one in found.values()]
        lines.append([step, *(cell or "0" for cell in kept)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@pytest.mark.parametrize("engine", ["server"], indirect=True)
def test_what_a_server_keeps_of_erased_people_opens_with_no_key_that_is_left(
    house: House, server: PostgresServer
) -> None:
    disk = Disk.of(server, house)
    # The erased people are among others, whose rows stay in the same pages.
    first, _, second, _ = [admit_pair(house) for _ in range(4)]
    rows: list[tuple[str, Found]] = []

    def look(step: str, pair: Pair, *, checkpoint: bool = True) -> Found:
        if checkpoint:
            server.run("CHECKPOINT")
        rows.append((step, disk.scan(pair.wanted())))
        return rows[-1][1]

    pair = Pair.of(house, first)
    whole = {what: len(box) // PIECE for what, box in pair.wanted().items()}
    # The controls: without them, finding nothing and opening nothing would show nothing.
    logged = disk.scan(pair.wanted())
    assert all(kinds["log"] > whole[what] / 2 for what, kinds in logged.items()), "some pieces are across two pages"
    enrolled = look("enrolled", pair)
    assert enrolled[EMBEDDING]["heap"] == whole[EMBEDDING]
    assert enrolled[WIDE_EMBEDDING]["TOAST"] > whole[WIDE_EMBEDDING] / 2
    assert enrolled[SECRET]["heap"] == whole[SECRET]
    assert pair.opened_by_keys_of(house) == {EMBEDDING, WIDE_EMBEDDING, SECRET, *ABOVE}

    for one in pair.people:
        house.withdraw(one)
    look("erased, before the next CHECKPOINT", pair, checkpoint=False)
    look("erased", pair)

    other = Pair.of(house, second)
    assert other.opened_by_keys_of(house) == {EMBEDDING, WIDE_EMBEDDING, SECRET, *ABOVE}
    with disk.snapshot_of_another_node():
        for one in other.people:
            house.withdraw(one)
        held = look("two others erased while an older snapshot is open", other)
    assert held[EMBEDDING]["heap"] == whole[EMBEDDING], "rows that a snapshot may need are kept"
    assert house.store.scrub().complete
    look("the same after VACUUM", other)
    house.store.compact()
    compacted = look("the same after VACUUM FULL", other)
    assert not [kind for kinds in compacted.values() for kind in kinds if kind != "log"]
    server.run("SELECT pg_switch_wal()")
    look("the same after a new segment of the log", other)

    sys.stdout.write("\n" + table(rows, whole))
    assert pair.opened_by_keys_of(house) == set()
    assert other.opened_by_keys_of(house) == set()
