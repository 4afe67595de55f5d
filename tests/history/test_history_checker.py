"""The checker of histories finds every violation, names its rule, and accepts what could have been right."""

import json
from dataclasses import replace

import pytest

from benchmarks.history.history_checker import Rule, Verdict, check_history
from benchmarks.history.history_report import report_of
from benchmarks.history.operation import FORGED, Operation, What, history_lines, read_history
from volens.audit import consistency_proof, leaf_hash, new_nodes, root

NODES: dict[tuple[int, int], bytes] = {}
for size in range(8):
    for level, index, value in new_nodes(size, leaf_hash(bytes([size])), lambda *at: NODES[at]):
        NODES[level, index] = value


def operation(what: What, began: int, ended: int | None, who: str = "door 1", **values: object) -> Operation:
    return Operation(what=what, who=who, began=began, ended=ended, **values)  # type: ignore[arg-type]


def look(began: int, ended: int | None, *matched: int, face: int = 7, **values: object) -> Operation:
    return operation(What.LOOK, began, ended, face=face, matched=matched, **values)


def checkpoint(at: int, size: int, before: int, **values: object) -> Operation:
    def read(*node: int) -> bytes:
        return NODES[node]  # type: ignore[index]

    proof = tuple(one.hex() for one in consistency_proof(before, size, read))
    seen: dict[str, object] = {"who": "auditor", "size": size, "root": root(size, read).hex(), "proof": proof}
    return operation(What.CHECKPOINT, at, at + 1, **(seen | values))


ENROLLED = operation(What.ENROLL, 10, 20, "desk", person=1, face=7)
WITHDRAWN = operation(What.WITHDRAW, 100, 110, "person", person=1)
EVERYWHERE = operation(What.EVERYWHERE, 120, 150, "person", person=1)
TOLD = operation(What.WEBHOOK, 112, 113, "panel", person=1)
LOG = [checkpoint(1, 3, 0), checkpoint(130, 5, 3), checkpoint(140, 8, 5)]
GOOD = [ENROLLED, look(30, 40, 1), WITHDRAWN, EVERYWHERE, TOLD, *LOG]
SIGSTOP = operation(What.FAULT, 45, 60, "node 1", outcome="stopped")


@pytest.mark.parametrize(
    "more",
    [
        look(15, 35, 1),  # during the enrollment
        look(15, 35),
        look(105, 200, 1),  # the request is older than the end of the withdrawal
        look(110, 200, 1),  # it began when the response came
        look(111, 120, 1, leased=True),  # by a lease, before everywhere
        look(150, 160, 1, leased=True),
        [look(105, 106, 1, leased=True), look(41, 44, leased=True)],  # enrolled after the lease was given
        look(151, 160),
        look(151, None, 1),  # without a response
        look(95, 105),  # during the withdrawal
        look(30, 40, face=8),  # someone who was never enrolled
        look(70, 80, 1),
        checkpoint(150, 8, 8),
        checkpoint(150, 3, 0, who="another auditor"),
        operation(What.CHECKPOINT, 150, 151, "auditor", outcome="503"),
        operation(What.WEBHOOK, 114, 115, "panel", person=1),  # delivered twice
    ],
)
def test_what_could_have_been_right_is_no_violation(more: Operation | list[Operation]) -> None:
    verdict = check_history([*GOOD, *(more if isinstance(more, list) else [more])])
    assert verdict.holds, report_of(verdict, {})


@pytest.mark.parametrize(
    ("history", "rule"),
    [
        pytest.param([*GOOD, look(151, 160, 1, leased=True)], Rule.STOPPED_EVERYWHERE, id="a leased door"),
        pytest.param([*GOOD, look(111, 120, 1)], Rule.STOPPED_ONLINE, id="an online door"),
        pytest.param([*GOOD, look(1, 9, 1)], Rule.NOT_BEFORE_ENROLLMENT, id="before the enrollment"),
        pytest.param([*GOOD, look(30, 40, 1, face=8)], Rule.OWN_FACE, id="another face"),
        pytest.param([*GOOD, look(30, 40, 1, 5)], Rule.OWN_FACE, id="an unknown consent"),
        pytest.param([*GOOD, look(41, 44)], Rule.NO_ONE_LOST, id="not recognised"),
        pytest.param([*GOOD, SIGSTOP, look(61, 64)], Rule.NO_ONE_LOST, id="not recognised after a fault"),
        pytest.param([one for one in GOOD if one is not TOLD], Rule.WEBHOOK_ARRIVES, id="no webhook"),
        pytest.param([*GOOD, checkpoint(150, 5, 5)], Rule.ONE_LOG, id="a log that shrank"),
        pytest.param([*GOOD, checkpoint(150, 8, 8, root="00" * 32)], Rule.ONE_LOG, id="two logs of one size"),
        pytest.param([*GOOD, checkpoint(150, 3, 0, who="b", root="00" * 32)], Rule.ONE_LOG, id="two auditors"),
        pytest.param([*LOG[:2], *GOOD[:5], checkpoint(150, 8, 3)], Rule.ONE_LOG, id="a proof of another log"),
        pytest.param([*LOG[:2], *GOOD[:5], checkpoint(150, 8, 5, proof=("0g",))], Rule.ONE_LOG, id="no proof"),
        pytest.param([*GOOD, checkpoint(150, 8, 8, outcome=FORGED)], Rule.ONE_LOG, id="a forged checkpoint"),
    ],
)
def test_each_broken_rule_is_found_and_named(history: list[Operation], rule: Rule) -> None:
    verdict = check_history(history)
    assert {one.rule for one in verdict.violations} == {rule}
    assert not verdict.holds
    assert f"| {rule} | 1 |" in report_of(verdict, {})


@pytest.mark.parametrize(
    "fault",
    [SIGSTOP, replace(SIGSTOP, began=1, ended=41), replace(SIGSTOP, began=44), replace(SIGSTOP, ended=None)],
)
def test_a_miss_while_something_is_broken_loses_no_one(fault: Operation) -> None:
    assert check_history([*GOOD, fault, look(41, 46)]).holds


def test_an_unanswered_withdrawal_promises_nothing() -> None:
    history = [ENROLLED, replace(WITHDRAWN, ended=None), look(500, 510, 1)]
    assert check_history(history).violations == ()


@pytest.mark.parametrize(
    ("left_out", "gap"),
    [
        (What.ENROLL, None),
        (What.LOOK, "no face was recognised"),
        (What.EVERYWHERE, "a withdrawal was never stopped everywhere"),
        (What.CHECKPOINT, "fewer than two checkpoints were read"),
    ],
)
def test_a_history_that_proves_too_little_does_not_hold(left_out: What, gap: str | None) -> None:
    history = [one for one in GOOD if one.what is not left_out]
    if gap is None:
        with pytest.raises(ValueError, match="was never enrolled"):
            check_history(history)
    else:
        verdict = check_history(history)
        assert gap in verdict.gaps
        assert f"proves too little: {gap}." in report_of(verdict, {})
        assert (verdict.violations, verdict.holds) == ((), False)
    assert len(check_history([]).gaps) == 6


def test_a_history_with_a_lease_must_have_a_match_and_a_withdrawal_during_it() -> None:
    at_once = [replace(one, ended=110) if one is EVERYWHERE else one for one in GOOD]
    seen, missed = look(50, 60, 1, leased=True), look(50, 60, face=8, leased=True)
    assert check_history([*at_once, missed]).gaps == [
        "no face was recognised by a lease",
        "no one withdrew while a door held a lease",
    ]
    assert check_history([*GOOD, seen]).gaps == check_history(at_once).gaps == []


def test_a_history_in_which_nothing_works_after_a_fault_does_not_hold() -> None:
    late = replace(SIGSTOP, began=160, ended=170)
    assert check_history([*GOOD, late]).gaps == ["after the last fault no one matched or withdrew"]
    again = [replace(ENROLLED, person=2, began=171, ended=172), look(180, 190, 2)]
    assert check_history([*GOOD, late, *again]).holds


def test_the_result_counts_what_happened() -> None:
    refused = operation(What.ENROLL, 50, 51, "desk", person=2, face=8, outcome="503")
    verdict = check_history([*GOOD, look(105, 120, 1, leased=True), SIGSTOP, refused])
    assert (verdict.recognised, verdict.recognised_by_lease, verdict.latest_match_ns) == (2, 1, 5)
    assert (verdict.faults["stopped"], verdict.counts[What.ENROLL], verdict.counts[What.LOOK]) == (1, 1, 2)
    report = report_of(verdict, {"responses": {"enroll 503": 1}})
    assert "| of them by a lease | 1 |" in report
    assert "| of them later, because a door held a lease | 1 |" in report
    assert "Responses by HTTP status, 0 for none: enroll 503: 1." in report


def test_a_person_is_enrolled_only_once_in_a_history() -> None:
    with pytest.raises(ValueError, match="enrolled twice"):
        check_history([ENROLLED, ENROLLED])


def test_a_history_file_is_read_as_it_was_written() -> None:
    history = [*GOOD, SIGSTOP, look(60, None, leased=True)]
    lines = list(history_lines({"seed": 4}, history))
    header, found = read_history(lines)
    assert (header["seed"], found) == (4, history)
    assert "proof" not in json.loads(lines[1])
    assert isinstance(check_history(found), Verdict)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{}"], "without the header"),
        ([*history_lines({}, []), "nonsense"], "line 2 is not an operation"),
        ([*history_lines({}, []), '{"what": "flight", "who": "x", "began": 1}'], "line 2 is not an operation"),
        ([*history_lines({}, []), '{"what": "look", "who": "x"}'], "line 2 is not an operation"),
        ([*history_lines({}, []), '{"what": "look", "who": "x", "began": 1, "odd": 2}'], "line 2 is not an operation"),
    ],
)
def test_a_line_that_is_no_operation_is_named(lines: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_history(lines)
