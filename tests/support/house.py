"""Test site: real store, keyring, gallery and erasure; synthetic faces, and a clock that the test sets."""

import os
import random as stdlib_random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
from declared_gates import open_gates
from numpy.typing import NDArray
from postgres_server import PostgresServer

from volens import Site
from volens.consent import (
    Badge,
    ConsentedEmbedding,
    ConsentGrant,
    Custody,
    ModelId,
    ProbeEmbedding,
    Purpose,
    ReceiptId,
    ReferenceId,
    ShownFactor,
    SubjectKey,
    TakeHome,
    UnitVector,
    permit_probe,
)
from volens.enroll import ReferencePlacement
from volens.erase.proof import Erased
from volens.face import Extractor
from volens.index import Decision, Galleries, PersonalToken, admit_claim, identify, verify_claim
from volens.service.sample_notice import publish_sample_notice
from volens.store import Store, server_databases
from volens.store.people import VisitKind, admit_receipt
from volens.store.people.score_counts import ScoreCounts, put_score_counts
from volens.store.promises import zone_of
from volens.store.site_databases import write_databases

MODEL = ModelId("made-up@00000000")
DIMENSION = 128
THRESHOLD = 0.5
# Later than today, because consents must also be in force by the database's own clock.
START = datetime(2099, 3, 1, 12, 0, 0, tzinfo=UTC)


class Clock:
    """A clock that changes only when it is moved."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        self.time += timedelta(**by)


def no_models() -> None:
    raise AssertionError("this test must not load models")


@dataclass
class Person:
    """A person who gave consent, with a synthetic face."""

    take_home: TakeHome
    face: NDArray[np.float32]
    reference_id: ReferenceId | None = None
    badge: bytes | None = None

    @property
    def carried(self) -> PersonalToken:
        """The secret or badge that the person presents at a door with the receipt."""
        return self.take_home.secret if self.badge is None else Badge.parse(self.badge)

    @property
    def receipt_id(self) -> ReceiptId:
        return self.take_home.receipt.claims.receipt_id

    @property
    def subject_id(self) -> str:
        return self.take_home.receipt.claims.subject_id

    @property
    def code(self) -> str:
        assert self.take_home.code is not None
        return self.take_home.code.reveal()


@dataclass
class House:
    """A site, and the operations of tests on it."""

    site: Site
    clock: Clock
    faces: np.random.Generator
    bits: stdlib_random.Random
    people: list[Person] = field(default_factory=list)
    model_id: ModelId = MODEL

    @classmethod
    def build(
        cls,
        home: Path,
        seed: int = 1,
        zones: Sequence[str] = ("lobby",),
        root_key: str = "file:root.key",
        database: str | None = None,
    ) -> Self:
        """Make a site; `database` is the URL of an empty PostgreSQL database for it."""
        clock, bits = Clock(), stdlib_random.Random(seed)
        who = {"name": "Example Ltd", "contact": "privacy@example.org"}
        databases = None if database is None else server_databases(database)
        site = Site.create(home, **who, clock=clock, random=bits.randbytes, root_key=root_key, databases=databases)
        house = cls(site, clock, np.random.default_rng(seed), bits)
        for zone in zones:
            house.declare(zone)
        return house

    @classmethod
    def copied(cls, template: Path, home: Path, database: str | None = None) -> Self:
        """Open a copy of a home; its randomness has another seed, so that no value is drawn twice.

        `database` is the URL of a copy of its database, if that is on a server.
        """
        clock, bits = Clock(), stdlib_random.Random(2)
        shutil.copytree(template, home)
        if database is not None:
            write_databases(home, server_databases(database))
        site = Site.open(home, load_extractor=no_models, clock=clock, random=bits.randbytes)
        return cls(site, clock, np.random.default_rng(1), bits)

    def declare(
        self,
        zone: str,
        custody: str = "operator",
        second_factor: str = "none",
        desk_signature: str = "allowed",
        lease_seconds: int = 0,
    ) -> None:
        """Add a zone that is open to everyone, with its notice."""
        self.site.add_zone(
            zone,
            custody=custody,
            justification="doors without a reader",
            alternative="a badge at the desk",
            retention_days=90,
            second_factor=second_factor,
            desk_signature=desk_signature,
            lease_seconds=lease_seconds,
        )
        open_gates(self.site, zone)
        publish_sample_notice(self.site, zone, more="We compare your face at the door.")

    def let_pass(self, zone: str = "lobby") -> None:
        """Let the doors of a zone identify everyone who passes, and say so in its notice: for tests of what follows."""
        if self.site.zones.get(zone).trigger == "passing":
            return
        publish_sample_notice(self.site, zone, trigger="passing")
        self.site.zones.set_trigger(zone, "passing")

    @classmethod
    def of(cls, site: Site, people: Sequence[Person] = (), seed: int = 2) -> Self:
        """Use an existing site."""
        clock = site.installation.store.clock
        assert isinstance(clock, Clock)
        return cls(site, clock, np.random.default_rng(seed), stdlib_random.Random(os.urandom(8)), list(people))

    @property
    def store(self) -> Store:
        return self.site.installation.store

    @property
    def galleries(self) -> Galleries:
        return self.site.installation.galleries

    def reopen(self, load_extractor: Callable[[], Extractor] = no_models) -> None:
        home = self.site.home
        self.site.close()
        self.site = Site.open(home, load_extractor=load_extractor, clock=self.clock, random=self.bits.randbytes)

    def face(self) -> NDArray[np.float32]:
        """Return a new synthetic face: a random direction, far from all others."""
        return UnitVector.normalised(self.faces.standard_normal(DIMENSION)).array

    def invite(self, zone: str = "lobby", name: str = "Ada Canary Example", jurisdiction: str = "FR") -> Person:
        """Record the consent of a new person."""
        key = SubjectKey.from_seed(self.bits.randbytes(32))
        take_home = self.site.give_consent(self.site.notice(zone), name=name, jurisdiction=jurisdiction, key=key)
        person = Person(take_home, self.face())
        self.people.append(person)
        return person

    def grant(self, person: Person) -> ConsentGrant:
        with self.store.read() as connection:
            return admit_receipt(self.store, connection, person.take_home.receipt)

    def enroll(self, person: Person, grant: ConsentGrant | None = None) -> Person:
        """Store the person's face under their consent, or on their badge, as enrollment does after the photos."""
        grant = grant or self.grant(person)
        embedding = ConsentedEmbedding(grant, UnitVector(person.face), self.model_id)
        badges: list[bytes] = []
        with self.store.read() as connection:
            zone = zone_of(connection, grant.purpose)
        hand_over = (lambda badge: badges.append(badge.to_bytes())) if zone.custody is Custody.BADGE else None
        secret = None if zone.custody is not Custody.SUBJECT_KEY else person.take_home.secret
        keeping = ReferencePlacement(zone, grant, secret, hand_over)
        with self.store.keyring.grant_secret(grant.receipt_id) as kept, self.store.write() as tx:
            person.reference_id = keeping.keep(tx, self.store, embedding, kept, licence="none", photo_count=3)
        embedding.vector.wipe()
        person.badge = badges[0] if badges else None
        return person

    def count_scores(self, person: Person, own: Sequence[float], others: Sequence[float]) -> None:
        """Store counts of scores of the person's photos, as enrollment does."""
        grant, counts = self.grant(person), ScoreCounts.none()
        counts.add(counts.own, np.array(own))
        counts.add(counts.others, np.array(others))
        with self.store.keyring.grant_secret(grant.receipt_id) as secret, self.store.write() as tx:
            put_score_counts(tx, grant, self.model_id, counts, secret)

    def populate(self, people: int, likeness: Callable[[int], float]) -> list[Person]:
        """Admit people with counted scores; the n-th resembles the others at most, and one of them exactly, so much."""
        found = []
        for number in range(people):
            person, most = self.admit(), likeness(number)
            others = np.minimum(self.faces.exponential(0.06, size=3 * number), most)
            self.count_scores(person, own=[0.80, 0.75, 0.78], others=[*others, most] if number else [])
            found.append(person)
        return found

    def admit(self, zone: str = "lobby", jurisdiction: str = "FR") -> Person:
        """Invite and enroll."""
        return self.enroll(self.invite(zone, jurisdiction=jurisdiction))

    def look_at(
        self, face: NDArray[np.float32], zone: str = "lobby", noise: float = 0.05, factor: ShownFactor | None = None
    ) -> Decision:
        """Identify a face at a door, as a camera sees it: a little different each time."""
        with self.store.read() as connection:
            permit = permit_probe(zone_of(connection, Purpose(zone)))
        seen = face + self.faces.standard_normal(DIMENSION).astype(np.float32) * noise
        probe = ProbeEmbedding(permit, UnitVector.normalised(seen), MODEL)
        try:
            return identify(self.store, self.galleries, probe, THRESHOLD, self.store.now(), factor)
        finally:
            probe.vector.wipe()
            seen.fill(0)

    def sees(self, person: Person, zone: str = "lobby") -> bool:
        """Return whether a person matches as themselves."""
        match = self.look_at(person.face, zone).match
        return match is not None and match.subject_id == person.subject_id

    def verify(
        self,
        person: Person,
        carried: PersonalToken = None,
        face: NDArray[np.float32] | None = None,
        factor: ShownFactor | None = None,
    ) -> Decision:
        """Compare a face at a door with that of the person it claims to be (1:1)."""
        with self.store.read() as connection:
            grant, zone = admit_claim(self.store, connection, person.take_home.receipt, carried)
        permit = permit_probe(zone)
        probe = ProbeEmbedding(permit, UnitVector(person.face if face is None else face), MODEL)
        return verify_claim(self.store, grant, probe, THRESHOLD, carried, factor)

    def visit(self, *people: Person, kind: VisitKind = VisitKind.IDENTIFIED, caller: str | None = None) -> None:
        """Record what a door records when people match."""
        receipt_ids = [person.receipt_id for person in people]
        self.site._recognizer.visits.record(receipt_ids, kind, MODEL, caller)

    def withdraw(self, person: Person) -> Erased:
        return self.site.withdraw(receipt=person.take_home.to_json()).erased


def server_home(server: PostgresServer, folder: Path) -> tuple[Path, str]:
    """Make a site in a new database of a server; return its home and the URL of the database; closed."""
    database = server.new_database()
    house = House.build(folder / "home", database=database)
    house.site.close()
    return house.site.home, database
