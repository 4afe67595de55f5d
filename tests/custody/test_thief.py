"""Attacker model: a thief has the whole server with its root key, and this program; then also the people's secrets."""

import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from house import MODEL, House, Person, no_models

from volens import Site
from volens.consent import Badge, Custody, PersonSecret, TamperError, from_b64url
from volens.consent.json_reader import read_json
from volens.enroll import ReferencePlacement
from volens.index import opened
from volens.store import Store
from volens.store.keys import OVERHEAD_BYTES, GrantSecret, ReferenceKey, open_into, reference_context
from volens.store.keys.root_key import read_root_key_file
from volens.store.people import SealedReference, badge_reference, sealed_references

WINDOW = 8


def stolen(house: House, folder: Path) -> Path:
    """Copy every file of the server."""
    shutil.copytree(house.site.home, folder)
    return folder


def files_with(folder: Path, value: bytes) -> set[str]:
    """Return the files in which any 8 bytes of a value occur."""
    windows = [value[at : at + WINDOW] for at in range(len(value) - WINDOW + 1)]
    return {
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(window in data for data in [path.read_bytes()] for window in windows)
    }


def keys_of(store: Store, home: Path, *more: bytes) -> list[bytes]:
    """Return every 32 bytes of the server that are, or could be, a key; and the other values that the thief has."""
    keyring, keys = store.keyring, store.keyring.unlocked
    found = [bytes(read_root_key_file(home / "root.key").buffer), bytes(keys.store_key.buffer)]
    found += [bytes(keys.site.authentication.buffer), bytes(keys.site.projection.buffer)]
    found += [keys.site.signing.private_bytes_raw(), keyring.projection_seed(MODEL)]
    found += [bytes(key.buffer) for one in keys.key_ids() if (key := keys.bucket_key(one)) is not None]
    with store.read() as connection:
        kept = connection.exec_driver_sql(
            "SELECT commitment FROM subject_secret UNION SELECT badge_sha256 FROM badge "
            "UNION SELECT withdrawal_digest FROM receipt"
        )
        found += [bytes(row[0]) for row in kept]
        own = connection.exec_driver_sql("SELECT subject_key FROM receipt")
        found += [from_b64url(read_json(bytes(row[0]))["x"]) for row in own]
        receipts = [row[0] for row in connection.exec_driver_sql("SELECT receipt_id FROM receipt")]
    for secret in keyring.grant_secrets(receipts).values():
        found.append(bytes(secret.buffer))
    return [*found, *more]


def attempts(reference: SealedReference, keys: list[bytes]) -> Iterator[ReferenceKey]:
    """Yield every key that can be derived from the existing keys, in every role of the derivation."""
    for key in keys:
        yield ReferenceKey(key)
        yield GrantSecret(key).reference_key(reference.receipt.sha256, MODEL)
    for one, other in product(keys, keys):
        whole = GrantSecret(one).joined(PersonSecret(other))
        yield ReferenceKey(bytes(whole.buffer))
        yield whole.reference_key(reference.receipt.sha256, MODEL)


def plundered(reference: SealedReference, keys: list[bytes]) -> bytes | None:
    """Try every key on a sealed embedding; return what was opened."""
    owner = reference.receipt
    context = reference_context(
        reference.reference_id, owner.receipt_id, owner.subject_id, owner.purpose, reference.model_id
    )
    into = bytearray(len(reference.sealed_embedding) - OVERHEAD_BYTES)
    for key in attempts(reference, keys):
        try:
            open_into(reference.sealed_embedding, key, context, into)
        except TamperError:
            continue
        return bytes(into)
    return None


def test_a_stolen_server_opens_no_embedding_whose_key_the_person_holds(doors: House, tmp_path: Path) -> None:
    ada, bob = doors.admit("vault"), doors.admit("vault")
    loot = stolen(doors, tmp_path / "loot")
    with Site.open(loot, load_extractor=no_models, clock=doors.clock) as site:
        store = site.installation.store
        with store.read() as connection:
            (reference,) = sealed_references(connection, [ada.receipt_id])
        # With the program's own code
        assert list(opened(store, [reference])) == []
        with store.keyring.grant_secret(ada.receipt_id) as half, pytest.raises(TamperError, match="does not open"):
            reference.open(half)
        # and with every existing key, another person's secret included.
        assert bob.take_home.secret is not None
        keys = keys_of(store, loot, bytes(bob.take_home.secret.buffer))
        assert len(keys) >= 10
        assert plundered(reference, keys) is None

        # The same with Ada's secret opens: the thief lacked nothing else.
        assert ada.take_home.secret is not None
        assert plundered(reference, [*keys, bytes(ada.take_home.secret.buffer)]) == ada.face.tobytes()
        ((_, vector),) = opened(store, [reference], person=ada.take_home.secret)
        assert not vector.array.any()  # wiped when the iteration ended


def test_a_stolen_server_opens_embeddings_whose_key_the_operator_holds(doors: House, tmp_path: Path) -> None:
    ada = doors.admit("lobby")
    loot = stolen(doors, tmp_path / "loot")
    with Site.open(loot, load_extractor=no_models, clock=doors.clock) as site:
        with site.installation.store.read() as connection:
            (reference,) = sealed_references(connection, [ada.receipt_id])

        assert plundered(reference, keys_of(site.installation.store, loot)) == ada.face.tobytes()


def test_no_file_holds_any_part_of_a_persons_secret(doors: House) -> None:
    ada = doors.admit("vault")
    secret = ada.take_home.secret
    assert secret is not None
    home = doors.site.home
    with doors.store.read() as connection:
        (reference,) = sealed_references(connection, [ada.receipt_id])

    assert files_with(home, reference.sealed_embedding[13:])  # the control: stored values are found
    for value in (bytes(secret.buffer), secret.reveal().partition(":")[2].encode(), secret.buffer.hex().encode()):
        assert files_with(home, value) == set()
    assert files_with(home, ada.face.tobytes()) == set()


def test_no_file_holds_biometrics_of_a_person_with_a_badge(doors: House) -> None:
    ada = doors.admit("gate")
    assert ada.badge is not None
    badge = Badge.parse(ada.badge)
    home = doors.site.home

    assert files_with(home, badge.digest())
    for value in (ada.face.tobytes(), badge.sealed_embedding, bytes(badge.secret.buffer)):
        assert files_with(home, value) == set()
    with doors.store.read() as connection:
        assert sealed_references(connection, [ada.receipt_id]) == []
        assert connection.exec_driver_sql("SELECT count(*) FROM biometric_reference").scalar() == 0


def test_a_badge_opens_only_together_with_its_own_server(doors: House, tmp_path: Path) -> None:
    ada, bob = doors.admit("gate"), doors.admit("gate")
    assert ada.badge is not None
    assert bob.badge is not None
    badge, other = Badge.parse(ada.badge), Badge.parse(bob.badge)
    with doors.store.read() as connection:
        reference = badge_reference(connection, doors.grant(ada), badge)
    carried = bytes(badge.secret.buffer)

    assert plundered(reference, [carried, badge.digest(), bytes(32)]) is None
    loot = stolen(doors, tmp_path / "loot")
    with Site.open(loot, load_extractor=no_models, clock=doors.clock) as site:
        keys = keys_of(site.installation.store, loot)
        assert plundered(reference, [*keys, bytes(other.secret.buffer)]) is None
        # Badge and server together are what a door has.
        assert plundered(reference, [*keys, carried]) == ada.face.tobytes()


@pytest.mark.parametrize("zone", ["vault", "gate"])
def test_after_a_withdrawal_person_and_server_together_cannot_open_it(doors: House, tmp_path: Path, zone: str) -> None:
    ada, bob = doors.admit(zone), doors.admit(zone)
    reference = sealed(doors, ada)
    half = bytes(carried_half(ada).buffer)
    with doors.store.keyring.grant_secret(ada.receipt_id) as secret:
        servers_half = bytes(secret.buffer)
    wrapped = doors.store.keyring.wrapped_secrets([ada.receipt_id]).get(ada.receipt_id)
    assert wrapped is not None
    assert plundered(reference, [servers_half, half]) == ada.face.tobytes()

    doors.withdraw(ada)

    loot = stolen(doors, tmp_path / "loot")
    assert files_with(loot, wrapped[13:]) == set()
    assert files_with(loot, reference.sealed_embedding[13:]) == set()
    with Site.open(loot, load_extractor=no_models, clock=doors.clock) as site:
        assert plundered(reference, keys_of(site.installation.store, loot, half)) is None
    with pytest.raises(TamperError, match="the keyring has no secret"):
        doors.store.keyring.grant_secret(ada.receipt_id)
    assert doors.verify(bob, bob.carried).match is not None


def test_a_custody_changed_in_the_data_file_opens_no_more_embeddings(doors: House) -> None:
    from tests.unit.store.raw import DATA, seal_again, tamper  # noqa: PLC0415  only this thief writes

    ada, bob = doors.admit("vault"), doors.invite("vault")
    tamper(doors.site.home / DATA, "UPDATE zone SET custody = 'operator' WHERE purpose = 'vault'")
    with pytest.raises(TamperError, match="zone 'vault'"):
        doors.look_at(ada.face, "vault")

    seal_again(doors.store)  # even the holder of the keyring opens nothing without the person's half
    with pytest.raises(TamperError, match="does not open"):
        doors.look_at(ada.face, "vault")
    grant = doors.grant(bob)
    with (
        doors.store.read() as connection,
        pytest.raises(TamperError, match="agreed to custody 'subject_key', and the zone now says 'operator'"),
    ):
        ReferencePlacement.of(connection, bob.take_home.receipt, grant, None, None)


def sealed(house: House, person: Person) -> SealedReference:
    with house.store.read() as connection:
        if person.badge is not None:
            return badge_reference(connection, house.grant(person), Badge.parse(person.badge))
        (reference,) = sealed_references(connection, [person.receipt_id])
        assert reference.custody is Custody.SUBJECT_KEY
        return reference


def carried_half(person: Person) -> PersonSecret:
    carried = person.carried
    assert carried is not None
    return carried.secret if isinstance(carried, Badge) else carried
