"""The audit log in the data file: a change of any row is detected with the public key."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from counted_queries import CountedQueries
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from house import House

from tests.unit.store.raw import DATA, lawless, peek, tamper
from volens.audit import Checkpoint, Event, VerifierKey, leaf_bytes, leaf_hash, new_nodes, root, sign_checkpoint
from volens.audit.frontier import Frontier
from volens.consent import TamperError, VolensError
from volens.consent.errors import DamagedDataError
from volens.store.log import log_size, node_reader, verify_log


@pytest.fixture
def house(house: House) -> House:
    """A house with some history: 2 + 1 + 2 * 2 + 2 + 1 leaves, of which the last is of an unsealed zone."""
    house.admit()
    house.withdraw(house.admit())
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=1)
    return house


def path(house: House) -> Path:
    return house.site.home / DATA


def refused(house: House, words: str) -> None:
    with pytest.raises(VolensError, match=words) as caught:
        house.site.log.verify()
    assert type(caught.value) in {TamperError, DamagedDataError}


def test_a_valid_log_is_reported_in_numbers(house: House) -> None:
    report = house.site.log.verify()

    assert report.origin == f"volens/{house.store.site.controller.site_id}"
    assert report.kinds == {
        "site.created": 1,
        "zone.added": 2,
        "site.declared": 1,
        "zone.declared": 2,
        "notice.published": 1,
        "consent.given": 2,
        "consent.offered": 2,
        "reference.enrolled": 2,
        "consent.ended": 1,
        "erasure.certified": 1,
    }
    assert report.size == sum(report.kinds.values()) == house.site.status().log_size
    assert report.openings == report.size - 2  # the two leaves about the person who left
    assert report.checkpoints == report.size - 2  # an offer at the desk is logged with its consent
    ((note,),) = peek(path(house), "SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
    assert note.splitlines()[1] == str(report.size)


def test_the_nodes_of_a_root_and_of_the_next_leaf_are_read_with_one_query(house: House) -> None:
    leaves = [leaf for (leaf,) in peek(path(house), "SELECT leaf FROM audit_event ORDER BY seq")]
    seen = Frontier()
    with house.store.read_prepared() as snapshot:
        queries = CountedQueries(snapshot)
        for size, leaf in enumerate(leaves[:-1], 1):
            seen.append(leaf)
            queries.count = 0
            read = node_reader(queries, size)
            assert root(size, read) == seen.root()
            new_nodes(size, leaf_hash(leaves[size]), read)
            assert queries.count == 1
    assert len(leaves) > 10


def another_leaf(_house: House) -> bytes:
    event = Event("consent.given", _house.store.now(), {"zone": "lobby"}, bytes(32))
    return leaf_bytes(event)


def change_leaf(house: House) -> None:
    tamper(path(house), "UPDATE audit_event SET leaf = ? WHERE seq = 3", another_leaf(house))


def garble_leaf(house: House) -> None:
    tamper(path(house), "UPDATE audit_event SET leaf = x'00' WHERE seq = 3")


def swap_leaves(house: House) -> None:
    with lawless(path(house)) as connection:
        for new, old in ((-1, 3), (3, 4), (4, -1)):
            connection.execute("UPDATE audit_event SET seq = ? WHERE seq = ?", (new, old))


def remove_leaf(house: House) -> None:
    tamper(path(house), "DELETE FROM audit_event WHERE seq = 3")


def remove_first_leaf(house: House) -> None:
    tamper(path(house), "DELETE FROM audit_event WHERE seq = 0")


def change_node(house: House) -> None:
    tamper(path(house), "UPDATE audit_node SET hash = zeroblob(32) WHERE level = 1 AND position = 1")


def remove_node(house: House) -> None:
    tamper(path(house), "DELETE FROM audit_node WHERE level = 2 AND position = 0")


def add_node(house: House) -> None:
    tamper(path(house), "INSERT INTO audit_node VALUES (9, 9, zeroblob(32))")


def change_leaf_and_nodes(house: House) -> None:
    """Rewrite history as far as possible without the site's key."""
    rewrite(house, 3, another_leaf(house))


def rewrite(house: House, seq: int, leaf: bytes) -> None:
    from volens.audit import leaf_hash, new_nodes  # noqa: PLC0415

    nodes: dict[tuple[int, int], bytes] = {}
    with lawless(path(house)) as connection:
        connection.execute("UPDATE audit_event SET leaf = ? WHERE seq = ?", (leaf, seq))
        connection.execute("DELETE FROM audit_node")
        for index, one in connection.execute("SELECT seq, leaf FROM audit_event ORDER BY seq").fetchall():
            new = new_nodes(index, leaf_hash(one), lambda level, at: nodes[level, at])
            nodes.update({(level, at): node for level, at, node in new})
        rows = [(level, at, node) for (level, at), node in nodes.items()]
        connection.executemany("INSERT INTO audit_node VALUES (?, ?, ?)", rows)


def change_leaf_and_nodes_and_leave_one_note(house: House) -> None:
    """Rewrite history, and delete every signed head but the last, so that no consistency can be checked."""
    change_leaf_and_nodes(house)
    tamper(path(house), "DELETE FROM audit_checkpoint WHERE size < (SELECT max(size) FROM audit_checkpoint)")


def change_note(house: House) -> None:
    ((note,),) = peek(path(house), "SELECT note FROM audit_checkpoint WHERE size = 4")
    tamper(path(house), "UPDATE audit_checkpoint SET note = ? WHERE size = 4", note.replace("\n4\n", "\n5\n"))


def forge_note(house: House) -> None:
    """Sign with another key, under the site's name."""
    origin = house.store.origin
    note = sign_checkpoint(Checkpoint(origin, 4, bytes(32)), Ed25519PrivateKey.from_private_bytes(bytes(32)))
    tamper(path(house), "UPDATE audit_checkpoint SET note = ? WHERE size = 4", note)


def sign_another_root(house: House) -> None:
    """Sign a wrong root with the site's own key: the site cannot do that either."""
    note = house.store.keyring.sign_checkpoint(Checkpoint(house.store.origin, 4, bytes(32)))
    tamper(path(house), "UPDATE audit_checkpoint SET note = ? WHERE size = 4", note)


def move_note(house: House) -> None:
    ((note,),) = peek(path(house), "SELECT note FROM audit_checkpoint WHERE size = 4")
    tamper(path(house), "UPDATE audit_checkpoint SET note = ? WHERE size = 5", note)


def remove_last_note(house: House) -> None:
    tamper(path(house), "DELETE FROM audit_checkpoint WHERE size = (SELECT max(size) FROM audit_checkpoint)")


def remove_all_notes(house: House) -> None:
    tamper(path(house), "DELETE FROM audit_checkpoint")


def cut_tail(house: House) -> None:
    """Remove the last leaf with its opening and its nodes."""
    with lawless(path(house)) as connection:
        (last,) = connection.execute("SELECT max(seq) FROM audit_event").fetchone()
        connection.execute("DELETE FROM audit_event WHERE seq = ?", (last,))
        connection.execute("DELETE FROM audit_opening WHERE seq = ?", (last,))
        connection.execute("DELETE FROM audit_node WHERE (position + 1) << level > ?", (last,))


def change_opening(house: House) -> None:
    ((details,),) = peek(path(house), "SELECT details FROM audit_opening WHERE seq = 1")
    other = json.dumps(json.loads(details) | {"retention_days": 3000})
    tamper(path(house), "UPDATE audit_opening SET details = ? WHERE seq = 1", other)


def change_salt(house: House) -> None:
    tamper(path(house), "UPDATE audit_opening SET salt = zeroblob(32) WHERE seq = 1")


def opening(value: str) -> Callable[[House], None]:
    def change(house: House) -> None:
        tamper(path(house), "UPDATE audit_opening SET details = ? WHERE seq = 1", value)

    return change


def move_opening(house: House) -> None:
    tamper(path(house), "UPDATE audit_opening SET seq = 99 WHERE seq = 1")


NOT_ITS_OPENING = "integrity: the leaf was not made from these details and this salt"
NO_OPENING = "integrity: the opening of leaf 1 does not match it"
CHANGES: dict[str, tuple[Callable[[House], None], str]] = {
    "a changed leaf": (change_leaf, "the stored nodes of the audit log are not those of its leaves"),
    "a leaf that is none": (garble_leaf, "integrity: got 1 bytes that are not a Volens audit leaf"),
    "two leaves exchanged": (swap_leaves, "the stored nodes of the audit log are not those of its leaves"),
    "a missing leaf": (remove_leaf, "integrity: leaf 3 of the audit log is missing"),
    "a missing first leaf": (remove_first_leaf, "integrity: leaf 0 of the audit log is missing"),
    "a changed node": (change_node, "the stored nodes of the audit log are not those of its leaves"),
    "a missing node": (remove_node, "the stored nodes of the audit log are not those of its leaves"),
    "a node too many": (add_node, "the stored nodes of the audit log are not those of its leaves"),
    "a leaf changed with all nodes above it": (change_leaf_and_nodes, "integrity: "),
    "a leaf changed with all nodes above it under the last checkpoint alone": (
        change_leaf_and_nodes_and_leave_one_note,
        "leaves are not those of the signed checkpoint",
    ),
    "a changed checkpoint": (change_note, "integrity: the checkpoint's signature does not match"),
    "a forged checkpoint": (forge_note, "integrity: got 1 signatures, none by the log's key"),
    "a checkpoint of another root by the site itself": (sign_another_root, "integrity: "),
    "a checkpoint in the place of another": (
        move_note,
        "integrity: the log has .* leaves, a signed checkpoint states 4",
    ),
    "a missing last checkpoint": (remove_last_note, "leaves, the last signed checkpoint covers"),
    "no checkpoints": (remove_all_notes, "leaves, the last signed checkpoint covers 0"),
    "a truncated tail": (cut_tail, "integrity: the log has .* leaves, a signed checkpoint states"),
    "a changed opening": (change_opening, NOT_ITS_OPENING),
    "a changed salt": (change_salt, NOT_ITS_OPENING),
    "an opening that is no JSON": (opening("{"), NO_OPENING),
    "an opening that is a list": (opening("[]"), NO_OPENING),
    "an opening that is a number": (opening("1"), NO_OPENING),
    "an opening of a leaf that is not there": (move_opening, "integrity: the opening of leaf 99 does not match it"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_log_does_not_verify(house: House, case: str) -> None:
    change, words = CHANGES[case]
    change(house)

    refused(house, words)


def test_the_key_of_another_site_does_not_verify_the_log(house: House) -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    with house.store.read() as connection:
        for key in (
            VerifierKey(house.store.origin, stranger),
            VerifierKey("volens/other", house.store.site.public_key),
        ):
            with pytest.raises(TamperError, match="none by the log's key"):
                verify_log(connection, key)


def test_the_keyring_detects_a_truncated_log_with_matching_checkpoints(house: House) -> None:
    cut_tail(house)
    remove_last_note(house)
    house.site.log.verify()  # a shorter log is a log; that it was longer only the keyring knows
    house.site.close()

    with pytest.raises(TamperError, match="this is an older data file"):
        house.reopen()


def test_a_log_verifies_after_openings_are_erased(house: House) -> None:
    before = house.site.log.verify()
    tamper(path(house), "DELETE FROM audit_opening")

    after = house.site.log.verify()

    assert (after.size, after.root, after.openings) == (before.size, before.root, 0)


def test_openings_are_erased_with_their_consent_only(house: House) -> None:
    stayer, leaver = house.admit(), house.admit()
    about = "SELECT count(*) FROM audit_opening WHERE receipt_id = ?"
    assert peek(path(house), about, leaver.receipt_id) == peek(path(house), about, stayer.receipt_id) == [(2,)]

    house.withdraw(leaver)

    assert peek(path(house), about, leaver.receipt_id) == [(0,)]
    assert peek(path(house), about, stayer.receipt_id) == [(2,)]
    openings = "SELECT details FROM audit_opening"
    assert not any(leaver.receipt_id in details for (details,) in peek(path(house), openings))
    assert not any(leaver.subject_id in details for (details,) in peek(path(house), openings))


def test_a_leaf_contains_no_personal_data(house: House) -> None:
    person = house.admit()

    leaves = b"".join(leaf for (leaf,) in peek(path(house), "SELECT leaf FROM audit_event"))

    for secret in (person.receipt_id, person.subject_id, "lobby", "Ada"):
        assert secret.encode() not in leaves


def test_a_missing_node_is_an_error_of_the_reader(house: House) -> None:
    with house.store.read() as connection:
        assert log_size(connection) == house.site.status().log_size
        with pytest.raises(TamperError, match="integrity: a node of the audit log is missing; "):
            node_reader(connection)(40, 0)
