"""The erasure procedure: matching stops first, steps are idempotent and resumed, and leftovers block a certificate."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from house import House, Person, no_models
from interruptions import after_each_write
from sqlalchemy.exc import SQLAlchemyError

from tests.unit.store.raw import DATA, KEYRING, lawless, peek, tamper
from volens import Site, erase, verify_certificate
from volens.consent import EndReason, ErasureIncompleteError, NoLiveConsentError, ReceiptId, TamperError, WithdrawalCode
from volens.erase import ErasureState, Needles, entries, resume
from volens.erase.proof import Erased
from volens.store import Place, Store
from volens.store.people import consent_ended, sealed_references


@pytest.fixture
def second(house: House) -> Iterator[House]:
    """A second process on the same home."""
    with Site.open(house.site.home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes) as site:  # type: ignore[arg-type]
        yield House.of(site)


@contextmanager
def being_read(path: Path) -> Iterator[None]:
    """Hold a snapshot as another process would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield
        other.execute("ROLLBACK")


def state(house: House, person: Person) -> ErasureState | None:
    with house.store.read() as connection:
        found = entries(connection, [person.receipt_id]).get(person.receipt_id)
    return None if found is None else found.state


def rows(house: House) -> list[int]:
    tables = ("live_consent", "biometric_reference", "subject_profile", "consent_end", "erasure", "certificate")
    return [
        count
        for table in tables
        for ((count,),) in [peek(house.site.home / DATA, f"SELECT count(*) FROM {table}")]  # noqa: S608  names of our own
    ]


def verified(house: House, person: Person) -> str:
    """Withdraw again, and verify the certificate."""
    erased = house.withdraw(person)
    return verify_certificate(erased.certificate_path.read_bytes(), house.site.verifier_key).certificate_id


def test_an_erasure_deletes_all_data_of_this_person_only(house: House) -> None:
    leaver, stayer = house.admit(), house.admit()
    assert rows(house) == [2, 2, 2, 0, 0, 0]

    house.withdraw(leaver)

    assert rows(house) == [1, 1, 1, 1, 1, 1]
    assert peek(house.site.home / KEYRING, "SELECT receipt_id FROM grant_secret") == [(stayer.receipt_id,)]
    assert state(house, leaver) is ErasureState.NOTIFIED
    assert not house.sees(leaver)
    assert house.sees(stayer)
    house.site.log.verify()


def test_a_withdrawal_is_idempotent_by_receipt_by_code_and_after_a_restart(house: House) -> None:
    person = house.admit()
    first = house.withdraw(person)
    content, size = first.certificate_path.read_bytes(), house.site.status().log_size

    assert house.withdraw(person) == first
    assert house.site.withdraw(code=person.code).erased == first
    house.reopen()
    assert house.site.withdraw(code=person.code).erased == first

    assert house.site.status().log_size == size
    assert first.certificate_path.read_bytes() == content
    assert len(list(first.certificate_path.parent.iterdir())) == 1


def test_a_lost_certificate_file_is_written_again(house: House) -> None:
    person = house.admit()
    first = house.withdraw(person)
    content = first.certificate_path.read_bytes()
    first.certificate_path.unlink()

    assert house.withdraw(person).certificate_path.read_bytes() == content


def test_a_person_who_was_never_enrolled_can_withdraw(house: House) -> None:
    person = house.invite()
    statement = json.loads(json.dumps(_statement(house, person)))
    assert statement["destroyed"]["sealed embedding"] == 0
    assert statement["destroyed"]["sealed name"] == 1


def _statement(house: House, person: Person) -> dict[str, object]:
    data = house.withdraw(person).certificate_path.read_bytes()
    return dict(verify_certificate(data, house.site.verifier_key).statement)


def test_an_expired_consent_can_be_withdrawn_before_the_sweep(house: House) -> None:
    person = house.admit()
    house.clock.move(days=400)

    assert _statement(house, person)["reason"] == "withdrawn"
    assert house.site.sweep().expired == ()


@pytest.mark.parametrize("by", ["receipt", "code"])
def test_an_unknown_consent_is_refused_and_nothing_is_changed(house: House, tmp_path: Path, by: str) -> None:
    other = House.build(tmp_path / "other", seed=8)
    stranger = other.admit()
    other.site.close()
    person = house.admit()
    before = rows(house), house.site.status()

    with pytest.raises(
        NoLiveConsentError, match="there is no consent for this receipt or code here; nothing was changed"
    ):
        house.withdraw(stranger) if by == "receipt" else house.site.withdraw(code=stranger.code)

    assert (rows(house), house.site.status()) == before
    assert house.sees(person)


def test_an_unknown_id_is_refused(house: House) -> None:
    with pytest.raises(NoLiveConsentError, match="nothing was changed"):
        erase.erase_consents(house.site.installation, [ReceiptId("f" * 32)], EndReason.WITHDRAWN)
    assert rows(house) == [0] * 6


BROKEN = {
    "a sealed embedding of zeros": "UPDATE biometric_reference SET sealed_embedding = zeroblob(541)",
    "a sealed embedding cut off": "UPDATE biometric_reference SET sealed_embedding = x'01'",
    "another model": "UPDATE biometric_reference SET model_id = 'x'",
    "another reference id": "UPDATE biometric_reference SET reference_id = reference_id + 100",
    "a sealed name of zeros": "UPDATE subject_profile SET sealed_name = zeroblob(40)",
    "a changed receipt": "UPDATE receipt SET token = 'a.b.c'",
    "an empty receipt": "UPDATE receipt SET token = ''",
    "another key": "UPDATE receipt SET subject_key = zeroblob(32)",
    "another end": "UPDATE receipt SET expires_at = '2000-01-01T00:00:00Z'",
    "no name": "DELETE FROM subject_profile",
    "no reference": "DELETE FROM biometric_reference",
    "no openings": "DELETE FROM audit_opening",
}


@pytest.mark.parametrize("by", ["receipt", "code"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_row_does_not_prevent_an_erasure(house: House, case: str, by: str) -> None:
    person = house.admit()
    tamper(house.site.home / DATA, BROKEN[case])

    if by == "receipt":
        house.withdraw(person)
    else:
        house.site.withdraw(code=person.code)

    assert rows(house) == [0, 0, 0, 1, 1, 1]
    assert not house.sees(person)
    verified(house, person)


@pytest.mark.parametrize("change", ["DELETE FROM grant_secret", "UPDATE grant_secret SET wrapped = zeroblob(61)"])
def test_a_missing_or_broken_secret_does_not_prevent_an_erasure(house: House, change: str) -> None:
    person = house.admit()
    tamper(house.site.home / KEYRING, change)

    house.withdraw(person)

    assert rows(house) == [0, 0, 0, 1, 1, 1]
    assert peek(house.site.home / KEYRING, "SELECT * FROM grant_secret") == []


def test_matching_stops_at_once_in_another_process(house: House, second: House) -> None:
    person, stayer = house.admit(), house.admit()
    assert second.sees(person)

    house.withdraw(person)

    assert not second.sees(person)
    assert second.sees(stayer)
    with pytest.raises(NoLiveConsentError):
        second.grant(person)


@pytest.mark.parametrize("name", [DATA, KEYRING])
def test_an_erasure_blocked_by_a_reader_is_resumed_afterwards(impatient: House, name: str) -> None:
    house = impatient
    person, stayer = house.admit(), house.admit()
    with being_read(house.site.home / name):
        with pytest.raises(ErasureIncompleteError, match=r"matching has stopped, but .*run 'volens erase resume'"):
            house.withdraw(person)
        assert not house.sees(person)
        assert state(house, person) is ErasureState.REMOVED
        with pytest.raises(ErasureIncompleteError, match="matching has stopped"):
            house.withdraw(person)
        with pytest.raises(ErasureIncompleteError, match="matching has stopped"):
            house.site.sweep()
    assert not list(house.site.home.glob("certificates/*"))

    (erased,) = house.site.sweep().resumed

    assert verified(house, person) == erased.certificate_id
    assert house.sees(stayer)
    assert house.site.status().unfinished_erasures == 0


def box_of(house: House, person: Person) -> bytes:
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [person.receipt_id])
    return reference.sealed_embedding


@pytest.mark.parametrize(
    ("where", "part", "what"),
    [
        ("backup.db", lambda box: box, "sealed embedding"),
        ("deep/down/here.bin", lambda box: bytes(5000) + box + bytes(5000), "sealed embedding"),
        (".hidden", lambda box: box[len(box) - 16 :], "sealed embedding"),
        ("half", lambda box: box[130:300], "sealed embedding"),
        ("nonce", lambda box: box[1:13], "beginning of sealed embedding"),
    ],
)
def test_a_copy_in_the_home_is_found_and_named_and_blocks_until_removed(
    house: House, where: str, part: Callable[[bytes], bytes], what: str
) -> None:
    person = house.admit()
    planted = house.site.home / where
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_bytes(part(box_of(house, person)))

    with pytest.raises(
        ErasureIncompleteError, match=f"found {what} in {where}; remove it, then run 'volens erase resume'"
    ):
        house.withdraw(person)
    assert not house.sees(person)
    assert state(house, person) is ErasureState.SCRUBBED
    assert house.site.status().unfinished_erasures == 1

    planted.unlink()
    (erased,) = house.site.sweep().resumed
    assert verified(house, person) == erased.certificate_id


def test_the_plain_embedding_the_secret_and_the_sketch_are_searched_for(house: House) -> None:
    for what in ("plain embedding", "grant secret", "gallery sketch"):
        person = house.admit()
        assert house.sees(person)
        with house.store.keyring.grant_secret(person.receipt_id) as secret:
            plain = {"plain embedding": person.face.tobytes(), "grant secret": bytes(secret.buffer)}
        (gallery,) = house.galleries.built().values()
        plain["gallery sketch"] = gallery.projection.sketch(person.face).tobytes()
        planted = house.site.home / "core.dump"
        planted.write_bytes(b"\0" * 99 + plain[what])

        with pytest.raises(ErasureIncompleteError, match=f"found {what} in core.dump; remove it"):
            house.withdraw(person)
        planted.unlink()
        house.withdraw(person)


def test_a_sketch_left_in_the_memory_of_a_gallery_is_found(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = house.admit()
    assert house.sees(person)
    (gallery,) = house.galleries.built().values()
    (buffer,) = gallery.engine.buffers()
    sketch = gallery.projection.sketch(person.face).tobytes()
    original = Store.scrub

    def late(store: Store) -> object:
        buffer[640 : 640 + len(sketch)] = sketch
        return original(store)

    monkeypatch.setattr(Store, "scrub", late)
    with pytest.raises(ErasureIncompleteError, match="found gallery sketch in the gallery in memory"):
        house.withdraw(person)
    monkeypatch.undo()


def test_a_gallery_that_still_proposes_the_person_is_not_certified(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = house.admit()
    assert house.sees(person)
    (gallery,) = house.galleries.built().values()
    with monkeypatch.context() as stuck:
        stuck.setattr(type(gallery.engine), "remove", lambda *_: False)
        with pytest.raises(ErasureIncompleteError, match="a gallery still proposes the erased person"):
            house.withdraw(person)
        assert not house.sees(person)


def test_rows_or_secrets_that_reappear_are_not_certified(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as stuck:
        stuck.setattr("volens.store.keys.key_change.remove_secrets", lambda *_: (0, []))
        with pytest.raises(ErasureIncompleteError, match="the keyring still has the erased consent's secret"):
            house.withdraw(house.admit())

    person, original = house.admit(), Store.scrub

    def late(store: Store) -> object:
        with lawless(house.site.home / DATA) as connection:
            connection.execute("INSERT INTO audit_opening VALUES (0, ?, '{}', zeroblob(16))", (person.receipt_id,))
        return original(store)

    with lawless(house.site.home / DATA) as connection:
        connection.execute("DELETE FROM audit_opening WHERE seq = 0")
    with monkeypatch.context() as stuck:
        stuck.setattr(Store, "scrub", late)
        with pytest.raises(ErasureIncompleteError, match="the data still has rows of the erased consent"):
            house.withdraw(person)


def test_an_unreadable_file_is_named_and_blocks_the_erasure(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = house.admit()
    (house.site.home / "foreign").write_bytes(b"x")
    original = Needles.search_place

    def refuse(self: Needles, place: Place) -> object:
        if place.name == "foreign":
            raise PermissionError(13, "Permission denied")
        return original(self, place)

    with monkeypatch.context() as unreadable:
        unreadable.setattr(Needles, "search_place", refuse)
        with pytest.raises(ErasureIncompleteError, match="cannot search foreign: Permission denied; make it readable"):
            house.withdraw(person)
        house.reopen()  # opening the site does not fail
        assert house.site.unfinished is not None
    house.site.sweep()
    verified(house, person)


def test_a_file_that_disappears_during_the_search_is_ignored(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = house.admit()
    (house.site.home / "fleeting").write_bytes(b"x")
    original = Needles.search_place

    def vanish(self: Needles, place: Place) -> object:
        if place.name == "fleeting":
            (house.site.home / "fleeting").unlink()
        return original(self, place)

    monkeypatch.setattr(Needles, "search_place", vanish)
    house.withdraw(person)
    verified(house, person)


def test_a_certificate_that_cannot_be_written_is_written_later(house: House) -> None:
    person = house.admit()
    (house.site.home / "certificates").write_bytes(b"in the way")

    with pytest.raises(ErasureIncompleteError, match=r"the erasure is not finished: cannot make .*certificates"):
        house.withdraw(person)
    assert state(house, person) is ErasureState.CERTIFIED

    (house.site.home / "certificates").unlink()
    (erased,) = house.site.sweep().resumed
    assert verified(house, person) == erased.certificate_id


STEPS = list(ErasureState)


@pytest.mark.parametrize("stop_at", STEPS[:-1])
def test_an_interrupted_erasure_is_finished_by_opening_the_site_again(house: House, stop_at: ErasureState) -> None:
    person, stayer = house.admit(), house.admit()

    def interrupt() -> None:
        if state(house, person) is stop_at:
            raise KeyboardInterrupt

    with after_each_write(Store, interrupt), pytest.raises(KeyboardInterrupt):
        house.withdraw(person)
    assert state(house, person) is stop_at
    assert not house.sees(person)

    house.reopen()

    assert state(house, person) is ErasureState.NOTIFIED
    verified(house, person)
    assert house.sees(stayer)
    assert house.site.log.verify().kinds["erasure.certified"] == 1
    assert house.site.log.verify().kinds["consent.ended"] == 1


@pytest.mark.parametrize("stop_at", STEPS[:-1])
def test_a_step_that_was_done_but_not_recorded_is_repeated_with_the_same_result(
    house: House, stop_at: ErasureState
) -> None:
    person = house.admit()
    certificate_id = house.withdraw(person).certificate_id
    facts = {
        "reference_ids": [1],
        "existed": [],
        "beginnings": [],
        "keys": {"store_key_epoch": 1, "root_key_destroyed": True},
        "search_before": [],
        "times": {},
        "destroyed": {},
        "receipt_sha256": "0" * 64,
        "zone": "lobby",
        "reason": "withdrawn",
        "ended_at": "2099-03-01T12:00:00Z",
        "leases": {"newest": 0, "holders": []},
    }
    more = {"searched": [], "search_after": [], "files": [], "erased_at": "2099-03-01T12:00:00Z"}
    tamper(house.site.home / DATA, "UPDATE erasure SET state = ?, facts = ?", stop_at, json.dumps(facts | more))

    assert house.withdraw(person).certificate_id == certificate_id
    assert house.site.log.verify().kinds["erasure.certified"] == 1


@pytest.mark.parametrize("moment", STEPS[:-1])
def test_two_processes_that_finish_the_same_erasure_issue_one_certificate(
    house: House, second: House, moment: ErasureState
) -> None:
    person, others = house.admit(), list[Erased | None]()

    def overtake() -> None:
        if not others and state(house, person) is moment:
            others.append(None)
            (others[0],) = resume(second.site.installation, [person.receipt_id])

    try:
        with after_each_write(Store, overtake):
            erased = house.withdraw(person)
    except SQLAlchemyError as error:
        pytest.fail(f"the slower process failed: {type(error).__name__}")

    assert others == [erased]
    assert state(house, person) is ErasureState.NOTIFIED
    assert house.site.log.verify().kinds["erasure.certified"] == 1
    verified(house, person)


def test_a_finished_journal_entry_holds_nothing_about_the_person(house: House) -> None:
    person = house.admit()
    house.withdraw(person)

    assert peek(house.site.home / DATA, "SELECT facts FROM erasure") == [('{"reason":"withdrawn","zone":"lobby"}',)]


def test_a_certificate_stays_small_with_thousands_of_certificates(house: House) -> None:
    folder = house.site.home / "certificates"
    folder.mkdir()
    for number in range(2000):
        (folder / f"{number:032x}.json").write_bytes(b"{}")

    statement = _statement(house, house.admit())

    listed = {one["name"]: one for one in statement["searched_in"]}  # type: ignore[attr-defined]
    assert listed["certificates/"] == {"name": "certificates/", "files": 2000, "size_bytes": 4000}


def test_an_ended_consent_without_an_erasure_is_tampering(house: House) -> None:
    person = house.admit()
    house.withdraw(person)
    tamper(house.site.home / DATA, "DELETE FROM erasure")
    with pytest.raises(TamperError, match="integrity: a consent has ended without an erasure"):
        house.withdraw(person)


def test_a_finished_erasure_without_a_certificate_is_tampering(house: House) -> None:
    person = house.admit()
    house.withdraw(person)
    tamper(house.site.home / DATA, "DELETE FROM certificate")
    with pytest.raises(TamperError, match="integrity: a finished erasure has no certificate"):
        house.withdraw(person)


def test_the_end_is_recorded_with_its_reason_and_time(house: House) -> None:
    person = house.admit()
    house.clock.move(days=2)
    house.site.withdraw(code=WithdrawalCode.parse(person.code).qr_text())
    with house.store.read() as connection:
        assert consent_ended(connection, person.receipt_id) == (EndReason.WITHDRAWN, house.store.now())
