"""Imports without garbage collection: what they make is no garbage, and looking for some takes a tenth of a start.

Nothing else of Volens is imported here, so that a program uses it first.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Generator[None]:
    """Import inside the `with`; later collections do not look at what there is at its end (`gc.freeze`)."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
