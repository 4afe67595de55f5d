"""Witnesses on loopback that cosign the public log: honest, forgetful, lying, slow or gone."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from house import House
from receiver import Behaviour, Receiver, answer, receiver
from small_witness import SmallWitness
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey

from tests.unit.rights.test_static_tiles import OnDisk
from tests.unit.store.raw import DATA, tamper
from volens import Site
from volens.audit import open_checkpoint
from volens.audit.cosignature import WitnessKey, cosignatures_of, require_quorum
from volens.consent import InputError, RefusedError, TamperError, UnknownError
from volens.service.cosigning import WitnessCollector, WitnessResult
from volens.service.webhooks import Resolve, look_up
from volens.store.programs.processes import TURN
from volens.store.rollout import SILENT

AT_ONCE, DAY = timedelta(), timedelta(days=1)


@contextmanager
def known(house: House, witness: SmallWitness, behaviour: Behaviour | None = None) -> Iterator[Receiver]:
    """Serve a witness that trusts the site, and that the site asks."""
    witness.trust(house.site.verifier_key.newest.line())
    with receiver(behaviour or witness.behave) as here:
        house.site.log.witnesses.add(witness.name, url=here.url, key=witness.vkey, allow_private=True)
        yield here


def ask(
    house: House, period: timedelta = AT_ONCE, timeout_s: float = 15, resolve: Resolve = look_up
) -> list[WitnessResult]:
    public = house.site.log.public(period)
    with closing(WitnessCollector(house.site, public, timeout_s=timeout_s, resolve=resolve)) as collector:
        return collector.collect()


def problem(house: House) -> str:
    (asked,) = ask(house)
    assert asked.problem is not None
    return asked.problem


def published(house: House) -> str:
    return house.site.log.public(AT_ONCE).checkpoint()


def grow(house: House, leaves: int = 3) -> None:
    with house.store.write() as tx:
        tx.log_all("decisions.counted", [{"number": number} for number in range(leaves)])


def test_two_witnesses_cosign_each_new_checkpoint_and_readers_see_it(house: House, tmp_path: Path) -> None:
    one, two = SmallWitness("witness.example/one", 1), SmallWitness("witness.example/two", 2)
    keys = [WitnessKey.parse(witness.vkey) for witness in (one, two)]
    with known(house, one) as first, known(house, two) as second:
        for _ in range(3):
            assert [asked.problem for asked in ask(house)] == [None, None]
            assert require_quorum(published(house), keys, 2)
            grow(house)
        assert len(ask(house)) == 2
        assert ask(house) == [], "asked once for each checkpoint"
    assert [len(here.got) for here in (first, second)] == [4, 4]
    assert first.got[0].path == "/hook/add-checkpoint"
    assert first.got[0].body.startswith(b"old 0\n\nvolens/")
    assert not first.got[1].body.startswith(b"old 0\n")

    note = published(house)
    head = open_checkpoint(note, house.site.verifier_key)
    assert one.seen == two.seen == {house.site.verifier_key.name: (head.size, head.root)}
    house.site.log.write_tiles(tmp_path / "www", AT_ONCE)
    assert (tmp_path / "www/checkpoint").read_text("utf-8") == note
    # The reader of others accepts the note with its cosignatures.
    theirs = TilesReader(OnDisk(tmp_path / "www")).get_checkpoint()
    theirs.verify(Vkey.from_string(house.site.verifier_key.line()))
    assert (theirs.size, theirs.root_hash) == (head.size, head.root)
    assert [(state.witness.name, state.size) for state in house.site.log.witnesses.all()] == [
        ("witness.example/one", head.size),
        ("witness.example/two", head.size),
    ]
    house.site.log.verify()


def test_a_witness_sees_the_public_log_and_nothing_of_today(house: House) -> None:
    witness = SmallWitness()
    with known(house, witness) as here:
        house.admit()
        assert [asked.size for asked in ask(house, DAY)] == [1]
        grow(house)
        assert ask(house, DAY) == []
        house.clock.move(days=1)
        assert [asked.size for asked in ask(house, DAY)] == [house.site.log.verify().size]
    assert len(here.got) == 2


def test_a_witness_that_forgot_is_asked_again_from_the_size_that_it_knows(house: House) -> None:
    witness = SmallWitness()
    with known(house, witness) as here:
        assert ask(house)[0].problem is None
        grow(house)
        witness.seen.clear()
        assert ask(house)[0].problem is None
    assert [one.body.partition(b"\n")[0] for one in here.got][-1] == b"old 0"
    assert len(here.got) == 3


def test_a_witness_that_is_ahead_of_the_sites_memory_is_asked_from_its_size(house: House) -> None:
    """As after a restore, or when the response was lost."""
    witness = SmallWitness()
    with known(house, witness) as here:
        ask(house)
        grow(house)
        here.behaviour = lambda handler, received: (
            witness.add_checkpoint(received.body),
            answer(500)(handler, received),
        )[1]
        assert problem(house) == "it answered with status 500"
        here.behaviour = witness.behave
        assert ask(house)[0].problem is None, "of the same size: the witness cosigns it again"
        grow(house)
        assert ask(house)[0].problem is None


def test_a_fork_gets_no_cosignature_and_the_sentence_says_so(house: House) -> None:
    witness, origin = SmallWitness(), house.site.verifier_key.name
    with known(house, witness):
        ask(house)
        size, root = witness.seen[origin]
        witness.seen[origin] = size, bytes(32)
        grow(house)
        assert "refuses the proof that the log only grew (422); it may have seen another log" in problem(house)
        head = open_checkpoint(published(house), house.site.verifier_key)
        witness.seen[origin] = head.size, bytes(32)
        assert f"it has cosigned another log of {head.size} entries: the log was forked" in problem(house)
        witness.seen[origin] = head.size + 5, bytes(32)
        assert "the data was rolled back, or another site uses the same key" in problem(house)
        witness.seen[origin] = size, root
        assert ask(house)[0].problem is None


def test_a_witness_that_saw_more_than_is_published_waits(house: House) -> None:
    with known(house, SmallWitness()):
        grow(house)
        ask(house)
        (asked,) = ask(house, DAY)
        assert asked.problem is not None
        assert "more than the 1 that are published by now" in asked.problem


LYING = {
    "404": (answer(404), "does not know this log (404); give its operator the site's site.pub"),
    "403": (answer(403), "not the key that signs it now"),
    "400": (answer(400), "does not understand the request"),
    "a redirect": (answer(302, b"", Location="http://127.0.0.1:1/"), "it answered with status 302"),
    "no size": (answer(409, b"hello"), "409 without the size"),
    "always a conflict": (answer(409, b"0\n"), "it contradicts itself"),
    "no line": (answer(200, b"thanks\n"), "a signature line is malformed"),
    "nothing": (answer(200), "is not signature lines"),
    "too much": (answer(200, b"x" * 70_000), "a response that is too large"),
}


@pytest.mark.parametrize(("behaviour", "words"), LYING.values(), ids=LYING)
def test_a_witness_that_does_not_cosign_is_a_problem_in_one_sentence(
    house: House, behaviour: Behaviour, words: str
) -> None:
    with known(house, SmallWitness(), behaviour):
        assert words in problem(house)
    assert published(house).count("\N{EM DASH}") == 1


def test_a_cosignature_by_another_key_or_of_another_checkpoint_is_not_stored(house: House) -> None:
    witness, other = SmallWitness(), SmallWitness("witness.example/w1", 9)
    with known(house, witness) as here:
        text = published(house).partition("\n\n")[0] + "\n"
        here.behaviour = answer(200, other.cosign(text).encode())
        assert "no cosignature by this witness's key" in problem(house)
        here.behaviour = answer(200, witness.cosign(text.replace("volens/", "other/")).encode())
        assert "does not match the checkpoint" in problem(house)
    assert cosignatures_of(published(house), [WitnessKey.parse(witness.vkey)]) == []


def test_a_slow_and_an_absent_witness_keep_no_other_from_cosigning(house: House) -> None:
    slow, good = SmallWitness("witness.example/a-slow", 2), SmallWitness("witness.example/b-good", 3)
    with known(house, slow) as here, known(house, good):
        here.behaviour = here.hang
        first, second = ask(house, timeout_s=0.5)
    assert (first.problem, second.problem) == ("no response in time", None)
    assert [asked.problem for asked in ask(house, timeout_s=0.5)] == ["no connection"]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1"])
def test_an_address_in_a_private_network_is_refused_as_for_webhooks(house: House, address: str) -> None:
    witness = SmallWitness()
    house.site.log.witnesses.add("w", url="https://witness.example/x", key=witness.vkey)
    (asked,) = ask(house, resolve=lambda _host, _port: [address])
    assert asked.problem is not None
    assert "private or reserved network" in asked.problem or "metadata service" in asked.problem


def test_the_background_thread_asks_and_ends(house: House) -> None:
    witness, seen = SmallWitness(), list[WitnessResult]()
    with known(house, witness) as here:
        collector = WitnessCollector(house.site, house.site.log.public(AT_ONCE))
        collector.start(seen.append)
        here.wait_for(1)
        collector.close()
    assert [asked.problem for asked in seen] == [None]
    assert published(house).count("\N{EM DASH}") == 2


def test_one_process_of_a_site_asks_at_a_time_and_all_take_turns(house: House) -> None:
    with known(house, SmallWitness()) as here, closing(Site.open(house.site.home, clock=house.clock)) as other:
        here.behaviour = answer(404)
        processes = {"a" * 16: house.site, "b" * 16: other}
        for name, site in processes.items():
            site.installation.store.process_id = name
            site.programs.processes.report(name, house.clock(), 0, 0)
        asked = list[str]()
        for _ in range(4):
            house.clock.move(seconds=TURN.total_seconds())
            for name, site in processes.items():
                site.programs.processes.report(name, house.clock(), 0, 0)
            for name, site in processes.items():
                with closing(WitnessCollector(site, site.log.public(AT_ONCE))) as collector:
                    seen = list[WitnessResult]()
                    collector.collect_in_turn(seen.append)
                    asked += [name] * len(seen)
        assert sorted(asked) == ["a" * 16, "a" * 16, "b" * 16, "b" * 16]
        assert asked[:2] == asked[2:]
        house.clock.move(seconds=SILENT.total_seconds() + 1)
        other.programs.processes.report("b" * 16, house.clock(), 0, 0)
        assert other.programs.processes.has_turn(), "the only one that is left"
        assert not house.site.programs.processes.has_turn()


def test_a_witness_is_added_and_removed_once(house: House) -> None:
    witness, witnesses = SmallWitness(), house.site.log.witnesses
    added = witnesses.add("Works council", url="https://witness.example/x/", key=witness.vkey)
    assert (added.url, added.key.line()) == ("https://witness.example/x", witness.vkey)
    with pytest.raises(RefusedError, match="a witness of this name or key is there already"):
        witnesses.add("works council", url="https://other.example", key=SmallWitness("other", 2).vkey)
    with pytest.raises(RefusedError, match="a witness of this name or key is there already"):
        witnesses.add("another", url="https://other.example", key=witness.vkey)
    with pytest.raises(InputError, match="of another type"):
        witnesses.add("another", url="https://other.example", key=house.site.verifier_key.line())
    witnesses.remove("Works Council")
    with pytest.raises(UnknownError, match="no witness of this name; 'volens witness list' shows them"):
        witnesses.remove("Works council")
    assert (witnesses.all(), len(witnesses.all(removed=True))) == ([], 1)
    witnesses.add("Works council", url="https://witness.example/y", key=witness.vkey)
    kinds = [event.kind for event in house.site.log.opened() if event.kind.startswith("witness.")]
    assert kinds == ["witness.added", "witness.removed", "witness.added"]
    for number in range(2, 16):
        witnesses.add(f"w{number}", url="https://witness.example/y", key=SmallWitness("w", number).vkey)
    with pytest.raises(RefusedError, match="as many as a checkpoint has room for"):
        witnesses.add("one more", url="https://witness.example/y", key=SmallWitness("w", 16).vkey)


def test_a_witness_that_another_program_wrote_is_not_asked(house: House) -> None:
    """Its row has no seal, or one that does not hold."""
    with known(house, SmallWitness()) as here:
        tamper(house.site.home / DATA, "UPDATE witness SET url = ?", "http://127.0.0.1:1")
        with pytest.raises(TamperError, match="witness"):
            ask(house)
    assert here.got == []


def test_a_stored_line_that_was_changed_is_left_out(house: House) -> None:
    with known(house, SmallWitness()):
        ask(house)
    good = published(house)
    other = SmallWitness().cosign("volens/other\n1\nAA==\n")
    tamper(house.site.home / DATA, "UPDATE cosignature SET line = ?", other)
    assert published(house) == good.partition("\N{EM DASH} witness")[0]
