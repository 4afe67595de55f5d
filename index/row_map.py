"""A compact map from reference id to row: 4 bytes for each id, where a dict would take more than the sketch itself."""

from collections.abc import Iterator
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from volens.consent import ReferenceId

PAGE_IDS: Final = 4096
_NONE: Final = -1


@final
class RowMap:
    """A map from reference id to row, in pages of neighbouring ids. Ids count upwards and are never reused."""

    def __init__(self) -> None:
        self._pages: dict[int, NDArray[np.int32]] = {}
        self._held: dict[int, int] = {}
        self._count = 0

    def get(self, reference_id: int) -> int | None:
        """Return the row of an id, or None."""
        number, at = divmod(reference_id, PAGE_IDS)
        page = self._pages.get(number)
        row = _NONE if page is None else int(page[at])
        return None if row == _NONE else row

    def put(self, reference_id: int, row: int) -> None:
        """Set the row of an id, whether the id is new or not."""
        number, at = divmod(reference_id, PAGE_IDS)
        page = self._page(number)
        if page[at] == _NONE:
            self._count += 1
            self._held[number] += 1
        page[at] = row

    def put_new(self, reference_ids: NDArray[np.int64], first_row: int) -> None:
        """Set the rows of new ids, counting up from `first_row`."""
        numbers = reference_ids // PAGE_IDS
        rows = np.arange(first_row, first_row + len(reference_ids), dtype=np.int32)
        for number in np.unique(numbers).tolist():
            chosen = numbers == number
            self._page(number)[reference_ids[chosen] % PAGE_IDS] = rows[chosen]
            self._held[number] += int(chosen.sum())
        self._count += len(reference_ids)

    def pop(self, reference_id: int) -> int | None:
        """Remove an id; return its row, or None."""
        row = self.get(reference_id)
        if row is not None:
            number, at = divmod(reference_id, PAGE_IDS)
            self._pages[number][at] = _NONE
            self._count -= 1
            self._held[number] -= 1
            if not self._held[number]:
                del self._pages[number], self._held[number]
        return row

    def ids(self) -> Iterator[ReferenceId]:
        """Yield the ids, in no particular order."""
        for number, page in self._pages.items():
            for at in np.flatnonzero(page != _NONE).tolist():
                yield ReferenceId(number * PAGE_IDS + at)

    def nbytes(self) -> int:
        """Return the memory that the pages use, in bytes."""
        return sum(page.nbytes for page in self._pages.values())

    def __contains__(self, reference_id: int) -> bool:
        return self.get(reference_id) is not None

    def __len__(self) -> int:
        return self._count

    def _page(self, number: int) -> NDArray[np.int32]:
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = np.full(PAGE_IDS, _NONE, dtype=np.int32)
            self._held[number] = 0
        return page
