"""One round of faults at two nodes, recorded and checked; and the parts of a run: plan, proxy, clock, report."""

import itertools
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from patience import PATIENCE_S

from benchmarks.history.fault_plan import FaultKind, plan_faults
from benchmarks.history.history_checker import Rule, check_history
from benchmarks.history.history_report import BEGIN, END, PAGE, report_of, write_page
from benchmarks.history.leased_door import LeasedLook
from benchmarks.history.operation import What, history_lines
from benchmarks.history.recorded_run import RunPlan, operations_of, person_of, record_run
from benchmarks.history.severable_proxy import SeverableProxy
from benchmarks.load.actors import actors
from benchmarks.load.checker import Decision, Span, Stay
from benchmarks.load.run import History
from benchmarks.load.service import ROOT
from volens.face import ModelCache


def test_faults_at_two_nodes_break_no_promise(tmp_path: Path) -> None:
    ModelCache.default().pull()
    kinds = tuple(
        kind for kind in FaultKind if kind is not FaultKind.RESTARTED
    )  # another start of a node takes seconds
    plan = RunPlan(seconds=0, doors=2, frames_per_s=3, longest_fault_s=0.6, timeout_s=PATIENCE_S, kinds=kinds)

    recording = record_run(tmp_path, actors(2), plan)

    verdict = check_history(recording.operations)
    assert verdict.holds, report_of(verdict, {"responses": recording.responses})
    assert verdict.faults == Counter(kind.value for kind in kinds)
    assert verdict.counts[What.CHECKPOINT] > 2
    assert min(verdict.recognised_by_lease, verdict.stopped_later) > 0, "a door was cut off, and had a lease"
    far_back = run_with_clock(tmp_path, "-3600")
    assert (far_back.returncode, "set the clock right" in far_back.stderr) == (6, True), far_back.stderr


def run_with_clock(folder: Path, offset_s: str) -> subprocess.CompletedProcess[str]:
    """Run `volens status` at the home of a run, with a clock that was set."""
    clock = folder / "clock"
    clock.write_text(offset_s, encoding="ascii")
    program = [sys.executable, "-m", "benchmarks.history.clocked_program", str(clock)]
    return subprocess.run(
        [*program, "status", "--home", str(folder / "home")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def test_a_load_becomes_a_history_without_ids_of_people() -> None:
    ada = Stay("ada", 3, enrolled=Span(10, 20), withdrawn=Span(100, 110), everywhere_at=110, notified=[130])
    bob = Stay("bob", actor=4, enrolled=Span(30, None))
    late = Decision(Span(111, 120), shown=3, matched=frozenset({"ada"}), door=2)
    odd = Decision(Span(50, 60), shown=4, matched=frozenset({"eve"}))
    history = History([late, odd], {"ada": ada, "bob": bob})

    found = list(operations_of(history))

    verdict = check_history(found)
    assert {one.rule for one in verdict.violations} == {Rule.STOPPED_EVERYWHERE, Rule.STOPPED_ONLINE, Rule.OWN_FACE}
    assert verdict.counts == {What.ENROLL: 1, What.WITHDRAW: 1, What.EVERYWHERE: 1, What.WEBHOOK: 1, What.LOOK: 2}
    assert not any(name in line for line in history_lines({}, found) for name in ('"ada"', '"bob"', '"eve"'))


def test_a_look_with_a_lease_is_of_the_person_of_its_reference() -> None:
    ada = Stay("ada", actor=3, enrolled=Span(10, 20), reference_id=7)
    bob = Stay("bob", actor=3, enrolled=Span(30, None))
    eve = Stay("eve", actor=4, enrolled=Span(30, None))
    history = History([], {"ada": ada, "bob": bob, "eve": eve})

    def person(reference_id: int, began: int) -> int:
        return person_of(reference_id, LeasedLook(Span(began, began + 9), 3, "lease", b""), history)

    assert [person(7, 50), person(8, 50), person(8, 29)] == [1, 2, -1]


def test_a_plan_of_faults_is_repeatable_and_each_round_has_every_kind() -> None:
    rounds = list(itertools.islice(plan_faults(seed=5, nodes=3, longest_s=8), 10))
    assert rounds == list(itertools.islice(plan_faults(seed=5, nodes=3, longest_s=8), 10))
    assert rounds != list(itertools.islice(plan_faults(seed=6, nodes=3, longest_s=8), 10))
    assert all({fault.kind for fault in one} == set(FaultKind) for one in rounds)
    faults = [fault for one in rounds for fault in one]
    assert {fault.node for fault in faults} == {0, 1, 2}
    assert all(2.4 <= seconds <= 8 for fault in faults for seconds in (fault.quiet_s, fault.lasts_s))


def test_a_proxy_that_is_cut_is_silent_and_forwards_later() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as service,
        SeverableProxy(service.getsockname()[1]) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S) as caller,
    ):
        accepted, _ = service.accept()
        caller.sendall(b"one")
        assert accepted.recv(10) == b"one"
        proxy.cut()
        caller.sendall(b"two")
        accepted.settimeout(0.3)
        with pytest.raises(TimeoutError):
            accepted.recv(10)
        proxy.join()
        accepted.settimeout(PATIENCE_S)
        assert accepted.recv(10) == b"two"
        accepted.sendall(b"three")
        assert caller.recv(10) == b"three"
        accepted.close()
        assert caller.recv(10) == b""


def test_a_caller_of_a_node_that_is_down_is_told_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
    with SeverableProxy(port) as proxy, socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S) as caller:
        assert caller.recv(10) == b""


def test_the_report_is_written_between_the_markers_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "history.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_page("new", page)
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    page.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="without the line"):
        write_page("new", page)


def test_the_page_has_a_report_in_which_no_promise_is_broken() -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    rows = [line for line in rest.partition(END)[0].splitlines() if line.startswith("| ")]
    promises = rows[rows.index("| promise | broken |") + 1 :]
    assert [row.split(" | ")[0] for row in promises] == [f"| {rule}" for rule in Rule]
    assert all(row.endswith("| 0 |") for row in promises)
