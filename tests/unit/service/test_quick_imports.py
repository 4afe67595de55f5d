"""Imports without garbage collection: it is off in between only, and what was imported is not looked at again."""

import gc

import pytest

from volens.quick_imports import quick_imports


@pytest.mark.parametrize("fails", [False, True])
def test_garbage_is_collected_again_after_imports_that_worked_or_failed(*, fails: bool) -> None:
    frozen = gc.get_freeze_count()
    try:
        with quick_imports():
            assert not gc.isenabled()
            assert not fails
    except AssertionError:
        assert fails
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen
    gc.unfreeze()
