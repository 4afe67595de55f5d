"""Volens: a complete site, with real consents, sealing, keyring, gallery and erasure; no face models."""

import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

from benchmarks.deletion.contestant import THRESHOLD, Contestant, FloatArray, Kept
from benchmarks.enrolling import enroll_face
from volens import Site
from volens.consent import (
    ConsentedEmbedding,
    ModelId,
    ProbeEmbedding,
    Purpose,
    ReceiptId,
    SubjectKey,
    UnitVector,
    permit_probe,
)
from volens.index import Projection, identify
from volens.service.sample_notice import publish_sample_notice
from volens.store.people import sealed_references
from volens.store.promises import zone_of

_MODEL = ModelId("benchmark@00000000")
_ZONE = "door"
_HOME = "site"
_DATA = "volens.db"
_KEYRING = "keyring.db"


class VolensSite(Contestant):
    """A site. The order of enrollment gives the reference ids: person 0 has reference 1."""

    packages: ClassVar[Sequence[str]] = ("numpy", "faiss-cpu", "sqlalchemy", "cryptography")
    kept_as: ClassVar[str] = "sealed; its key, wrapped; a keyed sketch in memory"
    maintenance: ClassVar[str] = "none; everything is done when the withdrawal returns"
    copied: ClassVar[Sequence[str]] = (_DATA,)

    def __init__(self, home: Path, dimension: int) -> None:
        """Open or make the site."""
        if not home.exists():
            with Site.create(home, name="benchmark", contact="tester") as site:
                site.add_zone(
                    _ZONE, custody="operator", justification="measured", alternative="none", retention_days=30
                )
                site.declarations.declare_zone(_ZONE, {"works_agreement": "2024-01-15", "dpia": "2024-01-15"})
                publish_sample_notice(site, _ZONE, more="benchmark")
        self._home = home
        self._dimension = dimension
        self._site = Site.open(home)
        self._codes: dict[int, str] = {}

    @classmethod
    def open(cls, folder: Path, dimension: int) -> Self:
        """See `Contestant`."""
        return cls(folder / _HOME, dimension)

    def enroll(self, person: int, face: FloatArray) -> None:
        """Give consent, and store the face as enrollment does after the photos."""
        site, store = self._site, self._site.installation.store
        key = SubjectKey.from_seed(os.urandom(32))
        take_home = site.give_consent(site.notice(_ZONE), name=f"person {person}", jurisdiction="FR", key=key)
        if take_home.code is None:
            raise RuntimeError("got a consent without a withdrawal code; expected one with")
        embed = partial(ConsentedEmbedding, vector=UnitVector(face), model_id=_MODEL)
        reference_id = enroll_face(store, take_home.receipt, embed)
        if reference_id != person + 1:
            raise RuntimeError(f"got reference {reference_id} for person {person}; expected one more than the person")
        self._codes[person] = take_home.code.reveal()

    def identify(self, probe: FloatArray) -> int | None:
        """See `Contestant`."""
        site, store = self._site, self._site.installation.store
        with store.read() as connection:
            permit = permit_probe(zone_of(connection, Purpose(_ZONE)))
        taken = ProbeEmbedding(permit, UnitVector(probe), _MODEL)
        match = identify(store, site.installation.galleries, taken, THRESHOLD, store.now()).match
        taken.vector.wipe()
        return None if match is None else match.reference_id - 1

    def delete(self, person: int) -> None:
        """Withdraw with the person's code."""
        self._site.withdraw(code=self._codes.pop(person))

    def maintain(self) -> None:
        """Do nothing: the withdrawal has done everything."""

    def backup(self, backup: Path) -> None:
        """Back up the data file, and the other files of a variant, with SQLite's own backup."""
        for name in self.copied:
            with sqlite3.connect(self._home / name) as live, sqlite3.connect(backup / name) as copy:
                live.backup(copy)
            live.close()
            copy.close()

    @classmethod
    def restore(cls, folder: Path, backup: Path) -> None:
        """Copy the files of the backup over those of the site."""
        for name in cls.copied:
            for log in ("-wal", "-shm"):
                (folder / _HOME / f"{name}{log}").unlink(missing_ok=True)
            shutil.copyfile(backup / name, folder / _HOME / name)

    @classmethod
    def witness(cls, folder: Path, dimension: int, faces: Mapping[int, FloatArray]) -> Kept:
        """Return all stored values about a person, and the keys."""
        kinds: dict[str, dict[int, bytes]] = {
            kind: {} for kind in ("sealed embedding", "wrapped secret", "sketch", "grant secret", "reference key")
        }
        with Site.open(folder / _HOME) as site:
            store = site.installation.store
            projection = Projection(store.keyring.projection_seed(_MODEL), dimension)
            by_reference = {}
            with store.read() as connection:
                for receipt_id in _receipts(folder / _HOME / _DATA):
                    for reference in sealed_references(connection, [receipt_id]):
                        by_reference[int(reference.reference_id)] = reference
            for person, face in faces.items():
                reference = by_reference[person + 1]
                receipt_id = reference.receipt.receipt_id
                wrapped = store.keyring.wrapped_secrets([receipt_id]).get(receipt_id)
                with store.keyring.grant_secret(receipt_id) as secret:
                    kinds["grant secret"][person] = bytes(secret.buffer)
                    with secret.reference_key(reference.receipt.sha256, _MODEL) as key:
                        kinds["reference key"][person] = bytes(key.buffer)
                kinds["sealed embedding"][person] = reference.sealed_embedding[13:]
                # Without version, nonce and tag: these 32 bytes and the root key together give the secret.
                kinds["wrapped secret"][person] = (wrapped or b"")[13:45]
                kinds["sketch"][person] = projection.sketch(face).tobytes()
        return kinds

    def facts(self) -> Mapping[str, str]:
        """See `Contestant`."""
        return {"sqlite": sqlite3.sqlite_version, "backup": " and ".join(self.copied)}

    def close(self) -> None:
        """See `Contestant`."""
        self._site.close()


class VolensKeyringCopied(VolensSite):
    """The same, with a backup that includes the keyring, against the advice of the documentation."""

    copied: ClassVar[Sequence[str]] = (_DATA, _KEYRING)


def _receipts(data: Path) -> list[ReceiptId]:
    with sqlite3.connect(data) as connection:
        found = [ReceiptId(row[0]) for row in connection.execute("SELECT receipt_id FROM biometric_reference")]
    connection.close()
    return found
