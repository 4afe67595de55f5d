"""A decision of a node asks the primary once: what it is told is as of a time after the decision began."""

import threading
from collections.abc import Callable

import pytest
from house import MODEL, THRESHOLD, House, Person
from patience import PATIENCE_S
from postgres_server import PostgresServer

from benchmarks.latency.delaying_proxy import DelayingProxy
from volens.consent import (
    ProbeEmbedding,
    Purpose,
    TamperError,
    UnavailableError,
    UnitVector,
    UnknownError,
    permit_probe,
)
from volens.consent.zone import ZoneState
from volens.index import Decision, identify
from volens.store import read_databases
from volens.store.log.seen_log import LastEntry
from volens.store.postgres import pipelined_reads
from volens.store.primary_read import MOST_NEWS
from volens.store.promises import zone_of

LOBBY = Purpose("lobby")
MESSAGES = {False: 1, True: 2}
"""How many messages ask data and keyring: schemas of one database, or each over a connection of its own."""


@pytest.fixture
def engine() -> str:
    return "server"


def probe_of(node: House, person: Person) -> ProbeEmbedding:
    with node.store.read() as connection:
        permit = permit_probe(zone_of(connection, LOBBY))
    return ProbeEmbedding(permit, UnitVector.normalised(person.face), MODEL)


def decider(node: House, person: Person) -> Callable[[], Decision]:
    """Return a decision about a person at a node that is ready for it."""
    probe = probe_of(node, person)

    def decide() -> Decision:
        return identify(node.store, node.galleries, probe, THRESHOLD, node.store.now())

    decide()
    while node.galleries.fill_hot_sets():
        pass
    decide()
    return decide


def nothing(_house: House) -> None:
    """Commit nothing."""


def a_consent_elsewhere(house: House) -> None:
    house.invite()


@pytest.mark.parametrize("is_keyring_apart", [False, True])
@pytest.mark.parametrize("meanwhile", [nothing, a_consent_elsewhere])
def test_a_decision_is_one_round_trip(
    house: House,
    node: House,
    proxy: DelayingProxy,
    meanwhile: Callable[[House], None],
    is_keyring_apart: bool,  # noqa: FBT001  a parameter of pytest
) -> None:
    messages = MESSAGES[is_keyring_apart]
    ada = house.admit()
    decide = decider(node, ada)
    meanwhile(house)
    decisions: list[Decision] = []
    proxy.hold()
    proxy.count()
    deciding = threading.Thread(target=lambda: decisions.append(decide()))
    deciding.start()
    for _ in range(int(PATIENCE_S / 0.01)):
        if proxy.sent >= messages or not deciding.is_alive():
            break
        deciding.join(0.01)
    assert (proxy.sent, proxy.answered) == (messages, 0)

    proxy.release()
    deciding.join()

    assert decisions[0].match is not None
    assert decisions[0].match.receipt_id == ada.receipt_id
    assert (proxy.sent, proxy.answered) == (messages, messages)


def test_a_zone_of_a_gallery_is_read_in_one_round_trip(house: House, node: House, proxy: DelayingProxy) -> None:
    decider(node, house.admit())
    a_consent_elsewhere(house)
    proxy.count()
    assert node.galleries.zone(LOBBY).state is ZoneState.IN_USE
    assert (proxy.sent, proxy.answered) == (1, 1)

    house.site.zones.pause(LOBBY)

    assert node.galleries.zone(LOBBY).state is ZoneState.PAUSED
    with pytest.raises(UnknownError, match="no zone 'cellar'"):
        node.galleries.zone(Purpose("cellar"))


def test_a_visit_is_written_in_few_round_trips(house: House, node: House, proxy: DelayingProxy) -> None:
    ada = house.admit()
    for _ in range(2):
        node.visit(ada)
        house.clock.move(minutes=1)
    proxy.count()
    node.visit(ada)
    assert 20 < proxy.sent <= 46  # two of them if the schemas are compared again just now
    report = house.site.log.verify()
    assert report.shards.entries == 3


def test_a_decision_waits_for_a_gallery_that_another_thread_builds(house: House, node: House) -> None:
    decide = decider(node, house.admit())
    (gallery,) = node.galleries.built().values()
    gallery.generation = -1
    assert decide().match is not None


def test_a_withdrawal_before_the_decision_is_never_missed(house: House, node: House) -> None:
    ada, bob = house.admit(), house.admit()
    decide, decide_bob = decider(node, ada), decider(node, bob)
    assert decide().match is not None

    house.withdraw(ada)  # the node follows no feed, and gets no signal

    assert decide().match is None
    assert decide_bob().match is not None


def test_a_decision_survives_a_lost_connection(house: House, node: House, proxy: DelayingProxy) -> None:
    decide = decider(node, house.admit())
    proxy.cut()
    assert decide().match is not None
    with proxy.refusing(), pytest.raises(UnavailableError, match="does not answer"):
        decide()
    assert decide().match is not None


def test_many_new_entries_are_read_in_a_transaction(house: House, node: House) -> None:
    decide = decider(node, house.admit())
    with house.store.write() as tx:
        for _ in range(MOST_NEWS + 5):
            tx.log("service.started", {})
    assert decide().match is not None
    (gallery,) = node.galleries.built().values()
    assert gallery.generation == house.store.generation()


def test_a_standby_decides_nothing(house: House, node: House, monkeypatch: pytest.MonkeyPatch) -> None:
    decide = decider(node, house.admit())
    monkeypatch.setattr(pipelined_reads, "_IS_STANDBY", b"SELECT true")
    with pytest.raises(UnavailableError, match="a standby"):
        decide()


def test_a_log_that_became_shorter_matches_no_one(house: House, node: House) -> None:
    decide = decider(node, house.admit())
    (gallery,) = node.galleries.built().values()
    gallery.generation += 2
    with pytest.raises(TamperError, match="lost commits"):
        decide()


@pytest.mark.parametrize("more", [2, 0, -1], ids=["shorter", "another last entry", "longer, and another log"])
def test_a_log_that_is_not_the_one_seen_matches_no_one(house: House, node: House, more: int) -> None:
    decide = decider(node, house.admit())
    seen = node.store.generation()
    house.invite()
    node.store.seen.last = LastEntry(seen + 1 + more, b"{}")
    with pytest.raises(TamperError, match=r"is not the one that this node has seen: .* nothing is matched"):
        decide()


def test_a_keyring_that_remembers_a_longer_log_matches_no_one(
    house: House, node: House, server: PostgresServer
) -> None:
    decide = decider(node, house.admit())
    databases = read_databases(house.site.home)
    assert databases is not None
    schema = node.store.keyring.engine.name.partition("/")[2]
    server.run(f"UPDATE {schema}.keyring SET log_size = log_size + 3", databases.keyring)  # noqa: S608
    with pytest.raises(TamperError, match="lost commits"):
        decide()
