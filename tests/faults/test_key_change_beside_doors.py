"""Erasures in other processes replace the keys again and again; a door decides meanwhile, and never fails."""

import shutil
from pathlib import Path

import dying
import pytest
from house import Clock, House, no_models
from patience import PATIENCE_S
from transit import TOKEN, transit

from volens import Site

LEAVERS = 6


def check_a_door_beside_withdrawals(home: Path, url: str) -> None:
    house = House.build(home, root_key=url)
    leavers = [house.admit() for _ in range(2 * LEAVERS)]
    stayers = [house.admit() for _ in range(2)]
    house.site.close()
    door = House.of(Site.open(home, load_extractor=no_models, clock=Clock()), [*leavers, *stayers])
    processes = [
        dying.begin(dying.withdraw_many, home, [person.code for person in leavers[start::2]]) for start in range(2)
    ]
    decisions = 0
    try:
        while any(process.is_alive() for process in processes):
            for person in stayers:
                assert door.sees(person), f"decision {decisions}"
                decisions += 1
            newcomer = door.admit()
            assert door.sees(newcomer)
    finally:
        for process in processes:
            process.join(timeout=PATIENCE_S)
    assert [process.exitcode for process in processes] == [0, 0]
    assert decisions > LEAVERS
    assert [door.sees(person) for person in leavers] == [False] * len(leavers)
    # A step that was done but not recorded is repeated, and then makes new keys once more.
    assert door.store.keyring.epoch >= 1 + len(leavers)
    door.site.close()


def test_a_door_decides_while_two_processes_withdraw_people(tmp_path: Path) -> None:
    check_a_door_beside_withdrawals(tmp_path / "home", "file:root.key")


def test_a_door_decides_while_a_key_service_replaces_the_root_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    (tmp_path / "token").write_text(TOKEN)
    with transit() as vault:
        check_a_door_beside_withdrawals(tmp_path / "home", vault.url(token_file=str(tmp_path / "token")))
    shutil.rmtree(tmp_path / "home")
