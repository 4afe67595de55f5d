"""`volens upgrade`: what its steps say of a schema that needs none, and of one that was expanded."""

from pathlib import Path

import pytest
from said import Command

from volens.store.schema import data_tables


@pytest.mark.parametrize("step", ["expand", "contract"])
def test_a_schema_that_is_complete_stays_as_it_is(volens: Command, lobby: Path, step: str) -> None:
    assert lobby.is_dir()
    said = volens("upgrade", step, "--json")
    assert (said.code, said.json) == (0, {"revision": "baseline", "expanded": False})
    assert "only this release can serve" in volens("upgrade", step).out


def test_an_expanded_schema_is_named_with_the_next_step(
    volens: Command, lobby: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the revision of this release were one that only adds."""
    assert lobby.is_dir()
    monkeypatch.setattr(data_tables, "EXPANSIONS", {"baseline": {"sqlite": "00" * 32}})
    assert "run 'volens upgrade contract'" in volens("upgrade", "expand").out
    (rules,) = [one for one in volens("doctor", "--json").json if one["what"] == "rules"]
    assert rules["ok"] is True
    assert "when no old node serves, run 'volens upgrade contract'" in rules["found"]
