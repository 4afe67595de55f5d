"""Freshness as a pure function: facts in, the first contradiction and its cure out."""

from dataclasses import replace
from hashlib import sha256

import pytest

from volens.audit import Checkpoint
from volens.store.keys.keyring import LogHead
from volens.store.log import Evidence, Facts, find_misfit
from volens.store.log.keyring_memory import EMPTY_DIGEST, Memory, chained


def root(size: int) -> bytes:
    return sha256(f"root of {size}".encode()).digest()


def kept(size: int, log_root: bytes | None = None) -> Evidence:
    return Evidence(f"a receipt of {size}", Checkpoint("volens/site", size, log_root or root(size)))


OTHER = sha256(b"another log").digest()
MEMORY = Memory(LogHead(8, root(8)), 0, EMPTY_DIGEST, restoring=False)
ROOTS = {size: root(size) for size in range(1, 11)}
GOOD = Facts(log_size=10, roots=ROOTS, memory=MEMORY)
IN_PLACE = "run 'volens restore --in-place'"
REPLAY = "'volens restore --in-place --replay home/certificates'"
ACCEPT = "'volens restore --in-place --accept-lost-withdrawals'"

FITTING = {
    "the keyring is behind": GOOD,
    "the keyring is as new": replace(GOOD, memory=replace(MEMORY, head=LogHead(10, root(10)))),
    "evidence of every age": replace(GOOD, evidence=[kept(1), kept(10), kept(5)]),
    "evidence that a restore gave up": replace(
        GOOD, evidence=[kept(12), kept(9, OTHER)], abandoned={(12, root(12)), (9, OTHER)}
    ),
}

CONTRADICTIONS = {
    "a changed memory": (replace(GOOD, memory=None), "was changed by another program", ACCEPT),
    "a changed memory, with certificates": (
        replace(GOOD, memory=None, certificates="home/certificates"),
        "was changed by another program; put the newest keyring.db back",
        REPLAY,
    ),
    "an unfinished restore": (
        replace(GOOD, memory=replace(MEMORY, restoring=True)),
        "a restore of this site was not finished",
        IN_PLACE,
    ),
    "an older data file": (
        replace(GOOD, log_size=7, roots={}),
        "log has 7 entries, the keyring remembers 8; this is an older data file",
        IN_PLACE,
    ),
    "a data file of another log": (
        replace(GOOD, roots=ROOTS | {8: OTHER}),
        "is not the one that the keyring remembers",
        "restore a backup of this site",
    ),
    "an undone end": (
        replace(GOOD, undone=2),
        "has 2 consents in force that the keyring knows to have ended",
        IN_PLACE,
    ),
    "two older files": (
        replace(GOOD, evidence=[kept(9), kept(12)]),
        "a receipt of 12 is of a log of 12 entries, and this log has 10; data file and keyring are older copies",
        ACCEPT,
    ),
    "two older files, with certificates": (
        replace(GOOD, evidence=[kept(12)], certificates="home/certificates"),
        "older copies",
        REPLAY,
    ),
    "a log that went another way": (
        replace(GOOD, evidence=[kept(9, OTHER)]),
        "a receipt of 9 is of a log whose first 9 entries differ from this one",
        "--accept-lost-withdrawals",
    ),
    "another head of the size that a restore gave up": (
        replace(GOOD, evidence=[kept(12, OTHER)], abandoned={(12, root(12))}),
        "older copies",
        ACCEPT,
    ),
}


@pytest.mark.parametrize("case", FITTING)
def test_facts_that_fit_are_accepted(case: str) -> None:
    assert find_misfit(FITTING[case]) is None


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_contradiction_is_reported_with_its_cure(case: str) -> None:
    facts, problem, cure = CONTRADICTIONS[case]
    misfit = find_misfit(facts)
    assert misfit is not None
    sentence = str(misfit.error())
    assert sentence.startswith("integrity: ")
    assert problem in sentence
    assert cure in misfit.advice


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_on_a_server_a_contradiction_names_no_file_of_the_home(case: str) -> None:
    facts, _problem, cure = CONTRADICTIONS[case]
    misfit = find_misfit(replace(facts, on_server=True))
    assert misfit is not None
    assert cure.replace("a backup", "the database") in misfit.advice
    for word in ("keyring.db", "data file", "backup"):
        assert word not in str(misfit.error())


def test_the_digest_of_the_ended_consents_depends_on_every_row_and_on_their_order() -> None:
    rows = [(f"{number:032x}", "withdrawn", "2099-03-01T12:00:00Z", number) for number in range(3)]
    digests = {
        chained(EMPTY_DIGEST, some)
        for some in (
            rows,
            rows[:2],
            rows[1:],
            rows[::-1],
            [(rows[0][0], "expired", *rows[0][2:]), *rows[1:]],
            [(*rows[0][:2], "2099-03-01T12:00:01Z", 0), *rows[1:]],
            [(*rows[0][:3], 7), *rows[1:]],
            [],
        )
    }
    assert len(digests) == 8
    assert chained(chained(EMPTY_DIGEST, rows[:1]), rows[1:]) == chained(EMPTY_DIGEST, rows)
