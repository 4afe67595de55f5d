"""Rollback attacks by a program that has no key: older copies of files, and rows cut out with plain SQL.

Each attack is done as an attacker does it, with file copies and sqlite3. It must be noticed, repaired or refused, and
the command that the refusal names must cure it.
"""

import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from house import House, Person, no_models

from tests.unit.store.raw import DATA, KEYRING, lawless, peek, tamper
from volens import Site
from volens.audit import root
from volens.consent import RefusedError, TamperError
from volens.erase import Restored, RestoreOrder
from volens.service.sample_notice import publish_sample_notice
from volens.store.log import is_authentic, log_size, node_reader, remembered_ends
from volens.store.programs import Role

ROOT_KEY = "root.key"  # an erasure may replace it: the thief of yesterday's files has yesterday's root key too
SITE_FILES = (DATA, KEYRING, ROOT_KEY)


def copy_files(source: Path, target: Path, names: Sequence[str] = SITE_FILES) -> Path:
    target.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(source / name, target / name)
    return target


def closed(house: House) -> Path:
    house.site.close()
    return house.site.home


def refused(house: House, words: str) -> str:
    """Open the site, which must be refused; return the sentence."""
    with pytest.raises(TamperError, match=words) as caught:
        Site.open(house.site.home, load_extractor=no_models, clock=house.clock)
    return str(caught.value)


def advised(sentence: str) -> RestoreOrder:
    """Return the restore that an error names."""
    (command,) = re.findall(r"'(volens restore [^']*)'", sentence)
    words = shlex.split(command)[2:]
    assert words.pop(0) == "--in-place"
    certificates = Path(words[words.index("--replay") + 1]) if "--replay" in words else None
    return RestoreOrder(
        None, in_place=True, certificates=certificates, accept_lost="--accept-lost-withdrawals" in words
    )


def restore(house: House, order: RestoreOrder) -> Restored:
    return Site.restore(
        house.site.home, order, clock=house.clock, random=house.bits.randbytes, progress=lambda _done, _total: None
    )


def cured(house: House, sentence: str, *, seen: dict[str, bool]) -> Restored:
    """Do what an error advises; check who matches, and that the site works, twice. Return what was restored."""
    restored = restore(house, advised(sentence))
    by_name: dict[str, Person] = dict(zip(("ada", "bob", "eve"), house.people, strict=False))
    for _ in range(2):
        house.site = Site.open(house.site.home, load_extractor=no_models, clock=house.clock)
        assert {name: house.sees(person) for name, person in by_name.items()} == seen
        house.site.log.verify()
        assert house.site.evidence.check_kept() is not None
        house.invite()
        house.site.close()
    return restored


@pytest.fixture
def people(house: House) -> House:
    """Ada, Bob and Eve are enrolled."""
    for _ in range(3):
        house.admit()
    return house


def withdrawn_since(house: House, tmp_path: Path) -> Path:
    """Copy the files of today; tomorrow Ada withdraws. Return the folder of the copies; the site is closed."""
    yesterday = copy_files(closed(house), tmp_path / "yesterday")
    house.reopen()
    house.withdraw(house.people[0])
    house.site.close()
    return yesterday


def forget_checkpoint(home: Path) -> None:
    (home / "checkpoint").unlink()


def forget_certificates(home: Path) -> None:
    shutil.rmtree(home / "certificates")


EVIDENCE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "all evidence": (lambda _home: None, "the (checkpoint in|certificate) .*--replay .*certificates"),
    "certificates only": (forget_checkpoint, "the certificate .*--replay .*certificates"),
    "a checkpoint only": (forget_certificates, "the checkpoint in .*--accept-lost-withdrawals"),
}


@pytest.mark.parametrize("case", EVIDENCE)
def test_both_files_of_yesterday_are_refused_by_the_evidence_in_the_home(
    people: House, tmp_path: Path, case: str
) -> None:
    forget, words = EVIDENCE[case]
    yesterday = withdrawn_since(people, tmp_path)
    home = copy_files(yesterday, people.site.home)
    forget(home)

    sentence = refused(people, words)

    assert "data file and keyring are older copies, and withdrawals since then would be undone" in sentence
    # Without the certificate nothing proves who withdrew; the option says what it accepts.
    certified = case != "a checkpoint only"
    cured(people, sentence, seen={"ada": not certified, "bob": True, "eve": True})


def test_a_restore_that_proves_nothing_does_not_open_the_files_of_yesterday(people: House, tmp_path: Path) -> None:
    home = copy_files(withdrawn_since(people, tmp_path), people.site.home)
    assert home == people.site.home
    with pytest.raises(RefusedError, match=r"is of a log of \d+ entries, this log has \d+, and withdrawals"):
        restore(people, RestoreOrder(None, in_place=True))
    refused(people, "withdrawals since then would be undone")


def test_the_files_of_yesterday_put_back_a_second_time_are_refused_again(people: House, tmp_path: Path) -> None:
    yesterday = withdrawn_since(people, tmp_path)
    home = copy_files(yesterday, people.site.home)
    restore(people, advised(refused(people, "older copies")))
    copy_files(yesterday, home)

    cured(people, refused(people, "older copies"), seen={"ada": False, "bob": True, "eve": True})


def test_evidence_of_another_branch_is_refused_until_it_is_accepted(people: House, tmp_path: Path) -> None:
    home = copy_files(withdrawn_since(people, tmp_path), people.site.home)
    shutil.move(home / "certificates", tmp_path / "certificates")
    forget_checkpoint(home)
    people.reopen()  # nothing is left that notices it
    assert people.sees(people.people[0])
    for _ in range(3):
        people.invite()
    people.site.close()
    shutil.move(tmp_path / "certificates", home / "certificates")

    sentence = refused(people, r"the certificate .* is of a log whose first \d+ entries differ from this one")

    cured(people, sentence, seen={"ada": False, "bob": True, "eve": True})


def test_a_checkpoint_notices_a_rollback_without_a_withdrawal(people: House, tmp_path: Path) -> None:
    yesterday = copy_files(closed(people), tmp_path / "yesterday")
    people.reopen()
    publish_sample_notice(people.site, "lobby", more="We also keep the time.")
    people.site.close()
    copy_files(yesterday, people.site.home)

    refused(people, "the checkpoint in .*older copies")


def test_files_of_yesterday_under_a_running_site_are_refused_at_the_next_write(people: House, tmp_path: Path) -> None:
    yesterday = copy_files(closed(people), tmp_path / "yesterday")
    people.reopen()
    people.withdraw(people.people[0])
    for name in (DATA, KEYRING):
        shutil.copy(yesterday / name, tmp_path / name)
        (tmp_path / name).replace(people.site.home / name)

    with pytest.raises(Exception, match=r"was moved away or replaced|older"):
        people.invite()

    people.site.close()
    copy_files(yesterday, people.site.home, [ROOT_KEY])
    for name in (DATA, KEYRING):
        for suffix in ("-wal", "-shm"):
            (people.site.home / f"{name}{suffix}").unlink(missing_ok=True)
        shutil.copy(yesterday / name, people.site.home / name)
    refused(people, "older copies")


def test_a_forged_checkpoint_in_the_home_refuses_nothing(people: House) -> None:
    home = closed(people)
    note = (home / "checkpoint").read_text()
    (home / "checkpoint").write_text(note.replace("\n", "\n9", 1))
    people.reopen()
    with pytest.raises(TamperError, match="signature"):
        people.site.evidence.check_kept()
    people.invite()  # the next write replaces it
    assert people.site.evidence.check_kept() is not None


def test_damaged_and_foreign_files_among_the_certificates_refuse_nothing(people: House, tmp_path: Path) -> None:
    other = House.build(tmp_path / "other", seed=9)
    other.withdraw(other.admit())
    other.site.close()
    people.withdraw(people.people[0])
    folder = closed(people) / "certificates"
    shutil.copytree(tmp_path / "other" / "certificates", folder, dirs_exist_ok=True)
    (folder / f"{'0' * 32}.json").write_bytes(b"{")
    (folder / f"{'1' * 32}.json").mkdir()

    people.reopen()

    assert [people.sees(person) for person in people.people] == [False, True, True]


def cut_newest_entry(home: Path) -> None:
    """Cut the newest entry from both files with SQL alone (L1)."""
    with lawless(home / DATA) as data:
        size = data.execute("SELECT count(*) FROM audit_event").fetchone()[0] - 1
        data.execute("PRAGMA foreign_keys = OFF")
        for table in ("audit_opening", "audit_event"):
            data.execute(f"DELETE FROM {table} WHERE seq >= ?", (size,))  # noqa: S608  a name of ours
        data.execute("DELETE FROM audit_checkpoint WHERE size > ?", (size,))
        data.execute("DELETE FROM audit_node WHERE position >= (? >> level)", (size,))
        nodes = {(row[0], row[1]): row[2] for row in data.execute("SELECT level, position, hash FROM audit_node")}
    head = root(size, lambda level, position: nodes[level, position])
    tamper(home / KEYRING, "UPDATE keyring SET log_size = ?, log_root = ?", size, head)
    tamper(home / KEYRING, "DELETE FROM log_leaf WHERE seq >= ?", size)


CHANGED = "integrity: what the keyring remembers of the log and of ended consents was changed by another program"


@pytest.mark.parametrize("withdrawals", [0, 1])
def test_a_log_that_was_cut_in_both_files_is_refused(people: House, withdrawals: int) -> None:
    for person in people.people[:withdrawals]:
        people.withdraw(person)
    people.site.programs.credentials.issue(label="door panel", role=Role.DOOR, zone="lobby")
    home = closed(people)
    cut_newest_entry(home)
    assert is_cut_consistently(home)

    sentence = refused(people, CHANGED)

    cured(people, sentence, seen={"ada": not withdrawals, "bob": True, "eve": True})


def is_cut_consistently(home: Path) -> bool:
    """Return whether the attacker left two files that fit together."""
    ((size, head),) = peek(home / KEYRING, "SELECT log_size, log_root FROM keyring")
    nodes = {(row[0], row[1]): row[2] for row in peek(home / DATA, "SELECT level, position, hash FROM audit_node")}
    return bool(root(size, lambda level, position: nodes[level, position]) == head)


def test_a_log_that_is_cut_under_a_running_site_is_refused_at_the_next_write(people: House) -> None:
    cut_newest_entry(people.site.home)

    with pytest.raises(TamperError, match=CHANGED):
        people.invite()


FORGERIES = {
    "an end is forgotten": ("DELETE FROM ended_consent",),
    "an end of another consent": ("UPDATE ended_consent SET receipt_id = ?", "0" * 32),
    "an end is added": ("INSERT INTO ended_consent SELECT 1, ?, reason, ended_at, 0 FROM ended_consent", "0" * 32),
    "an end is said to be forgotten": ("UPDATE keyring_memory SET forgotten_size = 99",),
    "an end and its count are forgotten": ("UPDATE keyring_memory SET ended_count = 0, ended_digest = zeroblob(32)",),
    "another size": ("UPDATE keyring SET log_size = log_size - 1",),
    "a negative size": ("UPDATE keyring SET log_size = -1",),
    "another root": ("UPDATE keyring SET log_root = zeroblob(32)",),
    "another code": ("UPDATE keyring_memory SET mac = zeroblob(32)",),
    "no memory": ("DELETE FROM keyring_memory",),
    "a restore is marked": ("UPDATE keyring_memory SET restoring = 1",),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_a_memory_that_was_changed_without_the_key_is_refused(people: House, case: str) -> None:
    people.withdraw(people.people[0])
    home = closed(people)
    tamper(home / KEYRING, *FORGERIES[case])

    refused(people, CHANGED)


def test_ends_that_were_forgotten_are_remembered_again_after_the_advised_restore(people: House) -> None:
    ada, bob, eve = people.people
    people.withdraw(ada)
    people.withdraw(bob)
    home = closed(people)
    tamper(home / KEYRING, "DELETE FROM ended_consent WHERE receipt_id = ?", ada.receipt_id)

    cured(people, refused(people, CHANGED), seen={"ada": False, "bob": False, "eve": True})

    people.reopen()
    assert remembered_ends(people.store.keyring).keys() == {ada.receipt_id, bob.receipt_id}
    assert people.sees(eve)


def older_keyring(house: House, tmp_path: Path) -> Path:
    """Put the keyring of before Ada's withdrawal back, to the current data file (X2b)."""
    yesterday = withdrawn_since(house, tmp_path)
    return copy_files(yesterday, house.site.home, [KEYRING, ROOT_KEY])


def secrets_in(home: Path) -> set[str]:
    return {row[0] for row in peek(home / KEYRING, "SELECT receipt_id FROM grant_secret")}


def test_an_older_keyring_is_repaired_at_opening_and_reported(people: House, tmp_path: Path) -> None:
    ada, bob, eve = people.people
    home = older_keyring(people, tmp_path)
    assert ada.receipt_id in secrets_in(home)

    people.reopen()

    assert secrets_in(home) == {bob.receipt_id, eve.receipt_id}
    repair = people.site.keyring_repair
    assert repair is not None
    assert (repair.entries, repair.destroyed_secrets) == (2, 1)
    assert [dict(one.details) for one in people.site.evidence.keyring_repairs()] == [
        {"entries": 2, "destroyed_secrets": 1}
    ]
    assert [people.sees(person) for person in people.people] == [False, True, True]
    assert people.store.keyring.head().size == people.site.status().log_size
    people.reopen()
    assert people.site.keyring_repair is None


def test_a_keyring_that_is_behind_after_a_crash_is_no_repair(people: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("volens.store.store.remember", lambda *_, **_named: None)
        people.withdraw(people.people[0])
        people.admit()
    people.reopen()

    assert people.site.keyring_repair is None
    assert people.site.evidence.keyring_repairs() == []
    assert is_authentic(people.store.keyring)


def test_an_older_keyring_without_secrets_of_people_since_is_refused(people: House, tmp_path: Path) -> None:
    yesterday = copy_files(closed(people), tmp_path / "yesterday")
    people.reopen()
    people.withdraw(people.people[0])
    newcomer = people.admit()
    people.site.close()
    home = copy_files(yesterday, people.site.home, [KEYRING, ROOT_KEY])

    sentence = refused(people, r"is \d+ entries older than the data file, and has no secret for 1 consents in force")

    assert people.people[0].receipt_id not in secrets_in(home)  # destroyed nevertheless
    cured(people, sentence, seen={"ada": False, "bob": True, "eve": True})
    people.reopen()
    assert not people.sees(newcomer)
    people.site.close()


def test_a_lost_secret_is_reported_with_the_advice_that_cures_it(people: House) -> None:
    bob = people.people[1]
    home = closed(people)
    tamper(home / KEYRING, "DELETE FROM grant_secret WHERE receipt_id = ?", bob.receipt_id)
    people.reopen()
    with pytest.raises(TamperError, match="has no secret for a consent in force") as caught:
        people.sees(bob)
    with pytest.raises(TamperError, match="has no secret for a consent in force"):
        people.site.evidence.check_kept()
    people.site.close()

    cured(people, str(caught.value), seen={"ada": True, "bob": False, "eve": True})


def test_a_lost_branch_that_a_restore_gave_up_stays_given_up(people: House, tmp_path: Path) -> None:
    taken_home = people.people[2].take_home.to_json()
    yesterday = copy_files(closed(people), tmp_path / "yesterday")
    people.reopen()
    late = people.admit().take_home.to_json()
    people.withdraw(people.people[0])
    people.site.close()
    copy_files(yesterday, people.site.home)
    restore(people, advised(refused(people, "older copies")))
    people.reopen()
    with people.store.read() as connection:
        assert root(log_size(connection), node_reader(connection))

    # Evidence of before the loss holds; evidence of the lost entries still shows that they are lost.
    assert not people.site.evidence.check(taken_home, "Eve's receipt").given_up
    with pytest.raises(TamperError, match="a receipt is of a log whose first"):
        people.site.evidence.check(late, "a receipt")


def visit(house: House, times: int) -> None:
    for _ in range(times):
        house.clock.move(minutes=1)
        house.visit(house.people[0])


def test_a_data_file_that_lacks_visits_only_is_refused_and_what_is_lost_is_logged(
    people: House, tmp_path: Path
) -> None:
    visit(people, 2)
    yesterday = copy_files(closed(people), tmp_path / "yesterday", [DATA])
    people.reopen()
    size = people.site.log.verify().size
    visit(people, 3)
    assert people.site.log.verify().size == size, "the main log did not grow, so it does not show the rollback"
    home = closed(people)
    copy_files(yesterday, home, [DATA])
    sentence = refused(people, "has 2 entries in a shard of the log, of which the keyring remembers 5")
    assert cured(people, sentence, seen={"ada": True, "bob": True, "eve": True}).lost_shards == 1
    people.reopen()
    visit(people, 1)
    report = people.site.log.verify().shards
    assert ([(one.size, one.is_closed) for one in report.shards], report.lost) == ([(2, True), (1, False)], 1)
    people.reopen()


def test_a_shard_that_was_closed_since_the_data_file_was_copied_gets_no_more_visits(
    people: House, tmp_path: Path
) -> None:
    visit(people, 2)
    yesterday = copy_files(closed(people), tmp_path / "yesterday", [DATA])
    people.reopen()
    people.clock.move(days=31)
    people.site.sweep()
    copy_files(yesterday, closed(people), [DATA])
    cured(people, refused(people, "older data file"), seen={"ada": True, "bob": True, "eve": True})
    people.reopen()
    report = people.site.log.verify().shards
    assert ([(one.size, one.is_closed) for one in report.shards], report.lost) == ([(2, True)], 0)


def test_a_shard_that_was_opened_after_the_data_file_was_copied_is_logged_as_lost(
    people: House, tmp_path: Path
) -> None:
    yesterday = copy_files(closed(people), tmp_path / "yesterday", [DATA])
    people.reopen()
    visit(people, 3)
    copy_files(yesterday, closed(people), [DATA])
    sentence = refused(people, "this is an older data file, and withdrawals since then would be undone")
    cured(people, sentence, seen={"ada": True, "bob": True, "eve": True})
    people.reopen()
    visit(people, 1)
    report = people.site.log.verify().shards
    assert ([one.size for one in report.shards], report.ended, report.lost) == ([1], 0, 1)


def test_a_memory_of_shards_that_was_changed_without_the_key_is_refused(people: House) -> None:
    visit(people, 2)
    tamper(closed(people) / KEYRING, "UPDATE remembered_shard SET size = 1")
    refused(people, "what the keyring remembers .* was changed by another program")
