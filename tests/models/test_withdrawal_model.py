"""docs/models/withdrawal.pml, checked exhaustively by spin; each rule of it is needed, and its goals are reachable."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from patience import PATIENCE_S

MODEL = Path(__file__).parents[2] / "docs" / "models" / "withdrawal.pml"
RULES, GOALS = (
    {name: int(number) for name, number in re.findall(r"^#define ([A-Z_]{9,}) (\d+)$", part, re.MULTILINE)}
    for part in re.split(r"^/\* What must be able to happen", MODEL.read_text("utf-8"), flags=re.MULTILINE)
)
OF_SEVERAL_DOORS = "EVERY_HOLDER_COUNTS"
ONLINE = {"OLD_PRIMARY_IS_FENCED", "STANDBY_HAS_WHAT_IS_CONFIRMED", "CONSENT_READ_AFTER_THE_FACE_CAME"}
ONLY_RUN_IF_A_RULE_IS_LEFT_OUT = re.compile(r"-end-|knew = |Goal|goal==|outstanding\[i\] = 0|i = |i<=|RULE")


def tool(name: str) -> str:
    """Return the path of a program that Debian has."""
    found = shutil.which(name)
    assert found is not None, f"found no {name}; install Debian's packages spin, gcc and libc6-dev ('make checker')"
    return found


def run(folder: Path, *command: str, **environment: str) -> str:
    """Run a program in a folder, and return what it printed."""
    variables = {**os.environ, **environment}
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def one_door(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a compiled verifier: one door that asks twice, and two withdrawals."""
    return compiled(tmp_path_factory.mktemp("spin"))


@pytest.fixture(scope="module")
def two_doors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("spin"), "-DHOLDERS=2", "-DQUESTIONS=1", "-DOWN=1", "-DTERM=3")


def compiled(folder: Path, *size: str) -> Path:
    run(folder, tool("spin"), "-a", *size, str(MODEL))
    run(folder, tool("gcc"), "-O1", "-w", "-DSAFETY", "-DMEMLIM=1000", "-o", "pan", "pan.c")
    return folder


def verify(folder: Path, **environment: int) -> str:
    """Look at every state, and return spin's report."""
    chosen = {name: str(number) for name, number in environment.items()}
    said = run(folder, str(folder / "pan"), "-m100000", "-w20", **chosen)
    assert "max search depth too small" not in said
    return said


def test_with_one_door_every_order_of_steps_keeps_both_promises(one_door: Path) -> None:
    expect_no_violation(verify(one_door))


def test_with_two_doors_every_order_of_steps_keeps_both_promises(two_doors: Path) -> None:
    expect_no_violation(verify(two_doors))
    said = verify(two_doors, WITHOUT=RULES[OF_SEVERAL_DOORS])
    assert "assertion violated" in said


def expect_no_violation(said: str) -> None:
    """Also, every statement was reached that does not stand for a missing rule."""
    assert "errors: 0" in said
    states = re.search(r"(\d+) states, stored", said)
    assert states is not None
    assert int(states[1]) > 50_000
    unreached = [line for line in said.splitlines() if re.match(r"\s+.*pml:\d+, state", line)]
    assert [line for line in unreached if not ONLY_RUN_IF_A_RULE_IS_LEFT_OUT.search(line)] == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != OF_SEVERAL_DOORS])
def test_without_any_one_of_the_rules_a_promise_is_broken(one_door: Path, rule: str) -> None:
    said = verify(one_door, WITHOUT=RULES[rule])
    broken = "stopped_at_primary" if rule in ONLINE else "stopped_everywhere"
    assert re.search(rf"assertion violated\s+!\(\({broken}&&", said), said


@pytest.mark.parametrize("goal", GOALS)
def test_what_the_promises_are_about_can_happen(one_door: Path, goal: str) -> None:
    assert "assertion violated (goal==0)" in verify(one_door, GOAL=GOALS[goal])


def test_the_explanation_lists_the_rules_of_the_model() -> None:
    rows = re.findall(r"^\| (\d+) ", MODEL.with_name("README.md").read_text("utf-8"), re.MULTILINE)
    assert [int(row) for row in rows] == sorted(RULES.values())
    assert len(GOALS) == 4


def test_a_missing_model_checker_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssertionError, match="install Debian's packages spin, gcc and libc6-dev"):
        tool("spin")
