"""The row map, compared with a dict."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from volens.index import PAGE_IDS, RowMap

IDS = st.integers(1, 5 * PAGE_IDS)
CHANGES = st.lists(st.tuples(st.sampled_from(["put", "pop", "put_new"]), IDS, st.integers(0, 2**31 - 1)), max_size=60)


@given(CHANGES)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_row_map_behaves_like_a_dict(changes: list[tuple[str, int, int]]) -> None:
    rows, oracle = RowMap(), dict[int, int]()
    for change, number, row in changes:
        if change == "put":
            rows.put(number, row)
            oracle[number] = row
        elif change == "pop":
            assert rows.pop(number) == oracle.pop(number, None)
        elif new := [n for n in range(number, number + 40) if n not in oracle]:
            rows.put_new(np.array(new, dtype=np.int64), row % 1000)
            oracle |= {n: row % 1000 + at for at, n in enumerate(new)}
    assert {number: rows.get(number) for number in rows.ids()} == oracle
    assert len(rows) == len(oracle)
    assert rows.get(6 * PAGE_IDS) is None


def test_pages_without_ids_are_freed() -> None:
    rows = RowMap()
    rows.put_new(np.arange(1, 3 * PAGE_IDS, dtype=np.int64), 0)
    full = rows.nbytes()
    for number in range(1, 3 * PAGE_IDS):
        rows.pop(number)

    assert full == 3 * PAGE_IDS * 4
    assert (rows.nbytes(), len(rows)) == (0, 0)
