"""The flat engine: ids and rows are each other's inverse, and nothing of a removed sketch is left in memory."""

import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from patience import PATIENCE_S

from volens.consent import ReferenceId
from volens.index import FlatEngine, Shortlist, SketchArray, flat_engine

BITS = 512
BYTES = BITS // 8


def sketch_of(number: int) -> SketchArray:
    """Return a sketch that only this number has, of which no byte is zero."""
    return np.random.default_rng(number).integers(1, 256, BYTES, dtype=np.uint8)


def holding(*numbers: int) -> FlatEngine:
    engine = FlatEngine(BITS)
    for number in numbers:
        add(engine, number, sketch_of(number))
    return engine


def add(engine: FlatEngine, number: int, sketch: SketchArray) -> None:
    engine.add_many(np.array([number], dtype=np.int64), sketch[None])


def memory(engine: FlatEngine) -> bytes:
    return b"".join(bytes(buffer) for buffer in engine.buffers())


def shortlist(engine: FlatEngine, sketch: SketchArray, k: int) -> Shortlist:
    (found,) = engine.shortlists(sketch[None], k)
    return found


def found(engine: FlatEngine, number: int, k: int = 1) -> list[tuple[int, int]]:
    proposals = shortlist(engine, sketch_of(number), k)
    return list(zip(proposals.ids.tolist(), proposals.distances.tolist(), strict=True))


def consistent(engine: FlatEngine, oracle: dict[int, SketchArray]) -> None:
    """Check every row by itself: ids and rows are inverse, the rest is zero."""
    count = len(engine)
    assert count == len(oracle)
    assert engine.held() == set(oracle)
    codes, ids = np.concatenate(engine._slabs), np.concatenate(engine._ids)
    rows = {number: engine._rows.get(number) for number in oracle}
    assert sorted(row for row in rows.values() if row is not None) == list(range(count))
    for number, row in rows.items():
        assert ids[row] == number
        assert np.array_equal(codes[row], oracle[number])
    assert not codes[count:].any()
    assert not ids[count:].any()
    assert [len(slab) for slab in engine._slabs] == [len(part) for part in engine._ids]


def test_an_empty_engine_proposes_nothing() -> None:
    engine = holding()

    assert (len(engine), engine.held(), found(engine, 1, 5)) == (0, set(), [])
    assert not any(memory(engine))
    assert not engine.remove(ReferenceId(1))


def test_what_was_added_is_found_at_distance_zero() -> None:
    engine = holding(*range(1, 200))
    for number in range(1, 200):
        assert found(engine, number) == [(number, 0)]
        assert ReferenceId(number) in engine
    assert ReferenceId(200) not in engine


def test_proposals_come_nearest_first_with_their_true_distances() -> None:
    engine = holding(*range(1, 80))
    query = sketch_of(1000)
    expected = sorted(int(np.unpackbits(sketch_of(number) ^ query).sum()) for number in range(1, 80))

    proposals = shortlist(engine, query, 30)

    assert isinstance(proposals, Shortlist)
    assert (proposals.ids.dtype, proposals.distances.dtype) == (np.int64, np.int32)
    assert proposals.distances.tolist() == expected[:30]
    for number, distance in zip(proposals.ids.tolist(), proposals.distances.tolist(), strict=True):
        assert distance == np.unpackbits(sketch_of(number) ^ query).sum()


@pytest.mark.parametrize(("k", "count"), [(1, 1), (3, 3), (4, 3), (1000, 3)])
def test_at_most_k_and_at_most_all_are_proposed(k: int, count: int) -> None:
    assert len(found(holding(1, 2, 3), 1, k)) == count


@pytest.mark.parametrize(
    "sketches",
    [
        np.zeros((1, BYTES - 1), dtype=np.uint8),
        np.zeros(BYTES, dtype=np.uint8),
        np.zeros((1, BYTES), dtype=np.int8),
    ],
)
def test_sketches_of_another_shape_or_dtype_are_refused(sketches: SketchArray) -> None:
    for search in (holding(1).shortlists, holding(1).within):
        with pytest.raises(ValueError, match=r"^got sketches u?int8 \(.*\); expected uint8 \(n, 64\)$"):
            search(sketches, 1)


def test_k_below_one_and_a_negative_distance_are_refused() -> None:
    engine, sketches = holding(1), np.zeros((1, BYTES), dtype=np.uint8)
    for k in (0, -1):
        with pytest.raises(ValueError, match=f"got k {k}; expected 1 or more"):
            engine.shortlists(sketches, k)
    with pytest.raises(ValueError, match="got distance -1; expected 0 or more"):
        engine.within(sketches, -1)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("distance", [0, 200, 240, 256, 512])
@pytest.mark.usefixtures("small_slabs")
def test_all_rows_within_the_distance_are_found_and_no_others(
    distance: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat_engine, "_SMALLEST_PART", 10)
    sketches = {number: sketch_of(number) for number in range(1, 401)}
    engine = FlatEngine(BITS, threads=threads)
    engine.add_many(np.array(list(sketches)), np.stack(list(sketches.values())))
    queries = np.stack([sketch_of(1000), sketch_of(7)])

    for query, near in zip(queries, engine.within(queries, distance), strict=True):
        true = {number: int(np.unpackbits(sketch ^ query).sum()) for number, sketch in sketches.items()}
        assert dict(zip(near.ids.tolist(), near.distances.tolist(), strict=True)) == {
            number: far for number, far in true.items() if far <= distance
        }
        assert all(np.array_equal(sketches[n], s) for n, s in zip(near.ids.tolist(), near.sketches, strict=True))


def test_an_empty_engine_has_no_rows_within_any_distance() -> None:
    (near,) = FlatEngine(BITS).within(np.zeros((1, BYTES), dtype=np.uint8), BITS)
    assert len(near.ids) == len(near.sketches) == 0


def test_sketches_are_read_in_any_memory_layout() -> None:
    wide = np.repeat(sketch_of(2), 2)[None, ::2]
    wide.flags.writeable = False
    (proposals,) = holding(1, 2, 3).shortlists(wide, 1)
    assert proposals.ids.tolist() == [2]


def test_an_id_has_one_sketch() -> None:
    engine = holding(1, 2)
    with pytest.raises(ValueError, match="reference 2 is already in the gallery; remove it first"):
        add(engine, 2, sketch_of(3))
    consistent(engine, {1: sketch_of(1), 2: sketch_of(2)})


@pytest.mark.parametrize("victim", [1, 2, 35, 69, 70], ids=["first", "second", "middle", "last but one", "last"])
def test_no_byte_of_a_removed_sketch_is_left(victim: int) -> None:
    engine = holding(*range(1, 71))
    gone = sketch_of(victim).tobytes()
    assert gone in memory(engine)

    assert engine.remove(ReferenceId(victim))

    assert not any(gone[at : at + 8] in memory(engine) for at in range(BYTES - 7))
    assert ReferenceId(victim) not in engine
    assert victim not in [number for number, _ in found(engine, victim, 100)]
    consistent(engine, {number: sketch_of(number) for number in range(1, 71) if number != victim})
    for other in set(range(1, 71)) - {victim}:
        assert memory(engine).count(sketch_of(other).tobytes()) == 1


def test_removing_twice_returns_false_and_changes_nothing() -> None:
    engine = holding(1, 2, 3)
    assert engine.remove(ReferenceId(1))
    before = memory(engine)

    assert not engine.remove(ReferenceId(1))

    assert memory(engine) == before
    consistent(engine, {2: sketch_of(2), 3: sketch_of(3)})


def test_a_removed_reference_can_be_added_again() -> None:
    engine = holding(1, 2, 3)
    engine.remove(ReferenceId(1))
    add(engine, 1, sketch_of(9))

    assert found(engine, 9) == [(1, 0)]
    consistent(engine, {1: sketch_of(9), 2: sketch_of(2), 3: sketch_of(3)})


def test_an_emptied_engine_is_all_zero() -> None:
    engine = holding(*range(1, 130))
    for number in range(129, 0, -1):
        engine.remove(ReferenceId(number))
    consistent(engine, {})
    assert not any(memory(engine))
    assert found(engine, 1) == []


def test_growing_zeroes_the_old_buffer_and_keeps_every_row() -> None:
    engine = FlatEngine(BITS)
    old: list[np.ndarray] = [engine._slabs[0]]
    for number in range(1, 600):
        add(engine, number, sketch_of(number))
        if engine._slabs[0] is not old[-1]:
            old.append(engine._slabs[0])

    assert len(old) >= 4
    assert not any(buffer.any() for buffer in old[:-1])
    consistent(engine, {number: sketch_of(number) for number in range(1, 600)})


def test_the_sketch_given_is_copied() -> None:
    engine, mine = FlatEngine(BITS), sketch_of(1)
    add(engine, 1, mine)
    mine.fill(0)
    assert found(engine, 1) == [(1, 0)]


def test_buffers_are_all_the_memory_unused_rows_included() -> None:
    engine = holding(*range(1, 66))
    (buffer,) = engine.buffers()
    assert len(buffer) == engine._slabs[0].nbytes == 128 * BYTES
    assert np.shares_memory(np.frombuffer(buffer, dtype=np.uint8), engine._slabs[0])


class BesideADict(RuleBasedStateMachine):
    """Any order of adding, removing, doubly removing and adding again, compared with a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.engine, self.oracle = FlatEngine(BITS), dict[int, SketchArray]()
        self.buffers = [self.engine._slabs[0]]

    @rule(number=st.integers(1, 200), seed=st.integers(0, 1000))
    def add(self, number: int, seed: int) -> None:
        if number in self.oracle:
            with pytest.raises(ValueError, match="already in the gallery"):
                add(self.engine, number, sketch_of(seed))
            return
        add(self.engine, number, sketch_of(seed))
        self.oracle[number] = sketch_of(seed)
        if self.engine._slabs[0] is not self.buffers[-1]:
            self.buffers.append(self.engine._slabs[0])

    @rule(count=st.integers(30, 70), start=st.integers(1000, 2000))
    def add_many(self, count: int, start: int) -> None:
        for number in range(start, start + count):
            if number not in self.oracle:
                self.add(number, number)

    @rule(number=st.integers(1, 200))
    def remove_maybe(self, number: int) -> None:
        assert self.engine.remove(ReferenceId(number)) is (self.oracle.pop(number, None) is not None)

    @precondition(lambda self: self.oracle)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.remove_maybe(data.draw(st.sampled_from(sorted(self.oracle))))

    @rule(seed=st.integers(0, 1000), k=st.integers(1, 40))
    def search(self, seed: int, k: int) -> None:
        query = sketch_of(seed)
        expected = sorted(int(np.unpackbits(sketch ^ query).sum()) for sketch in self.oracle.values())
        proposals = shortlist(self.engine, query, k)
        assert proposals.distances.tolist() == expected[:k]
        for number, distance in zip(proposals.ids.tolist(), proposals.distances.tolist(), strict=True):
            assert np.unpackbits(self.oracle[number] ^ query).sum() == distance

    @invariant()
    def ids_and_rows_are_inverse_and_the_rest_is_zero(self) -> None:
        consistent(self.engine, self.oracle)
        assert not any(buffer.any() for buffer in self.buffers[:-1])


TestBesideADict = BesideADict.TestCase
TestBesideADict.settings = settings(max_examples=30, stateful_step_count=30, deadline=None, derandomize=True)


def test_scans_share_the_lock_and_every_change_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, inside, go_on = holding(1, 2, 3), threading.Barrier(3), threading.Event()
    original = flat_engine.faiss.knn_hamming

    def slow(*arguments: object) -> object:
        inside.wait(timeout=PATIENCE_S)  # fails unless two scans are here at once
        go_on.wait(timeout=PATIENCE_S)
        return original(*arguments)

    monkeypatch.setattr(flat_engine.faiss, "knn_hamming", slow)
    scans = [threading.Thread(target=found, args=(engine, 1)) for _ in range(2)]
    for scan in scans:
        scan.start()
    inside.wait(timeout=PATIENCE_S)
    changes: list[Callable[[], object]] = [
        lambda: add(engine, 7, sketch_of(7)),
        lambda: engine.remove(ReferenceId(1)),
    ]
    done = [threading.Event() for _ in changes]
    threads = [
        threading.Thread(target=lambda change=change, event=event: (change(), event.set()))
        for change, event in zip(changes, done, strict=True)
    ]
    for thread in threads:
        thread.start()
    assert not any(event.wait(0.02) for event in done)
    go_on.set()
    for thread in (*scans, *threads):
        thread.join(timeout=PATIENCE_S)

    assert all(event.is_set() for event in done)
    consistent(engine, {2: sketch_of(2), 3: sketch_of(3), 7: sketch_of(7)})


@pytest.fixture
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_engine, "SLAB_ROWS", 128)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("small_slabs")
def test_several_slabs_are_searched_as_one(threads: int) -> None:
    engine = FlatEngine(BITS, threads=threads)
    ids = np.arange(1, 501, dtype=np.int64)
    engine.add_many(ids, np.stack([sketch_of(number) for number in ids.tolist()]))
    assert [len(slab) for slab in engine._slabs] == [128, 128, 128, 128]
    query = sketch_of(1000)
    expected = sorted(int(np.unpackbits(sketch_of(number) ^ query).sum()) for number in range(1, 501))

    assert shortlist(engine, query, 300).distances.tolist() == expected[:300]
    assert [found(engine, number) for number in (1, 128, 129, 500)] == [[(n, 0)] for n in (1, 128, 129, 500)]

    for number in range(500, 200, -1):
        engine.remove(ReferenceId(number))
    assert [len(slab) for slab in engine._slabs] == [128, 128]
    consistent(engine, {number: sketch_of(number) for number in range(1, 201)})


def test_several_sketches_at_once_give_the_same_shortlists() -> None:
    engine = holding(*range(1, 300))
    queries = np.stack([sketch_of(number) for number in (5, 1000, 299)])

    together = engine.shortlists(queries, 20)

    for query, found_together in zip(queries, together, strict=True):
        alone = shortlist(engine, query, 20)
        assert found_together.distances.tolist() == alone.distances.tolist()
        assert set(found_together.ids[:10].tolist()) <= set(alone.ids.tolist())
        for number, sketch in zip(found_together.ids.tolist(), found_together.sketches, strict=True):
            assert np.array_equal(sketch, sketch_of(number))


def test_all_rows_are_added_or_none() -> None:
    engine = holding(1, 2)
    sketches = np.stack([sketch_of(number) for number in (3, 4)])
    for ids, words in (([3, 2], "reference 2 is already in the gallery"), ([3, 3], "got a reference twice")):
        with pytest.raises(ValueError, match=words):
            engine.add_many(np.array(ids, dtype=np.int64), sketches)
    consistent(engine, {1: sketch_of(1), 2: sketch_of(2)})


def test_a_reference_takes_little_more_memory_than_its_sketch() -> None:
    count = 200_000
    engine = FlatEngine(BITS)
    engine.add_many(np.arange(1, count + 1, dtype=np.int64), np.zeros((count, BYTES), dtype=np.uint8))

    assert engine.nbytes() / count < 1.3 * BYTES + 64


def test_scans_during_changes_never_see_half_a_row() -> None:
    """Every proposal has the distance of the sketch that its id has."""
    engine, total, wrong = holding(*range(1, 400)), 3000, list[object]()
    sketches = {number: sketch_of(number) for number in range(1, 400)}
    stop = threading.Event()

    def change(seed: int) -> None:
        numbers = np.random.default_rng(seed)
        mine = [number for number in range(1, 400) if number % 2 == seed]
        for number in numbers.choice(mine, total).tolist():
            if engine.remove(ReferenceId(number)):
                add(engine, number, sketches[number])
        stop.set()

    def scan(seed: int) -> None:
        numbers = np.random.default_rng(seed)
        while not stop.is_set():
            query = sketches[int(numbers.integers(1, 400))]
            proposals = shortlist(engine, query, 5)
            for number, distance in zip(proposals.ids.tolist(), proposals.distances.tolist(), strict=True):
                true = None if number not in sketches else int(np.unpackbits(sketches[number] ^ query).sum())
                if true != distance:
                    wrong.append((number, distance, true))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=change, args=(seed,)) for seed in (0, 1)]
        threads += [threading.Thread(target=scan, args=(seed,)) for seed in (2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)

    assert wrong == []
    consistent(engine, sketches)
