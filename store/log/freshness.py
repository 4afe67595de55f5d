"""Freshness: decides whether data file and keyring are the newest, from what is known of the log.

The facts come from different places: the head that the keyring remembers, the consents that it knows to have ended, and
checkpoints that were kept in the home or elsewhere. A log may be longer than any of them, and must contain each of
them. What does not fit is returned with the advice that cures it.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import final

from volens.audit import Checkpoint
from volens.consent import TamperError
from volens.store.log.keyring_memory import MEMORY_CHANGED, Memory
from volens.store.recovery_advice import PUT_KEYRING_BACK, RECOVER_KEYRING, RESTORE, RESTORE_IN_PLACE


@final
@dataclass(frozen=True, slots=True)
class Evidence:
    """A checkpoint that was kept, and what it was found in, as the subject of a sentence."""

    source: str
    head: Checkpoint


@final
@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one site's log.

    Attributes:
        log_size: entries of the log in the data file.
        roots: the root that this log had at the size of the remembered head and of each evidence, as far as it is that
            long.
        memory: what the keyring remembers; None if it was changed without the key.
        undone: how many consents are in force in the data file, but ended according to the keyring.
        evidence: what was kept; `abandoned` are heads, by size and root, that a restore gave up.
        certificates: a folder with certificates that prove withdrawals; None if there is none.
        on_server: the databases are not files but on a server, which has its own means to set them back.
    """

    log_size: int
    roots: Mapping[int, bytes]
    memory: Memory | None
    undone: int = 0
    evidence: Sequence[Evidence] = ()
    abandoned: AbstractSet[tuple[int, bytes]] = field(default=frozenset())
    certificates: str | None = None
    on_server: bool = False


@final
@dataclass(frozen=True, slots=True)
class Misfit:
    """Two facts that contradict each other, and what the operator does about it."""

    problem: str
    advice: str

    def error(self) -> TamperError:
        """Return it as an error."""
        return TamperError(f"integrity: {self.problem}; {self.advice}")


def find_misfit(facts: Facts) -> Misfit | None:
    """Return the first contradiction; None if all facts fit.

    1. The keyring's memory is authentic, and no restore was interrupted.
    2. The log contains the remembered log: the data file is not older than the keyring.
    3. No consent is in force that the keyring knows to have ended.
    4. The log contains every log of the evidence: data file and keyring are not both older copies.
    """
    found = misfit_of_memory(facts.log_size, facts.memory, facts.certificates, on_server=facts.on_server)
    return found or _undone(facts) or _older_copies(facts)


def data_name(*, on_server: bool) -> str:
    """Return what sentences call the data."""
    return "database" if on_server else "data file"


def newest_keyring(*, on_server: bool) -> str:
    """Return the advice that comes first if the keyring is not the newest, as a clause."""
    return RECOVER_KEYRING if on_server else PUT_KEYRING_BACK


def _or_restore(first: str, proof: str) -> str:
    """Return advice whose second part is for the case that the first cannot be done."""
    return f"{first}; if that cannot be done, run '{RESTORE_IN_PLACE} {proof}'"


def _proof(certificates: str | None) -> str:
    return "--accept-lost-withdrawals" if certificates is None else f"--replay {certificates}"


def _older(certificates: str | None, *, on_server: bool) -> str:
    """Return what the operator does if both are older copies."""
    newest = (
        "recover both on the server to the last commit" if on_server else "put the newest data file and keyring back"
    )
    return _or_restore(newest, _proof(certificates))


def misfit_of_memory(
    log_size: int, memory: Memory | None, certificates: str | None = None, *, on_server: bool = False
) -> Misfit | None:
    """Return what does not hold of 1, and of the sizes in 2; for the arguments see `Facts`."""
    data = data_name(on_server=on_server)
    # 1.
    if memory is None:
        return Misfit(MEMORY_CHANGED, _or_restore(newest_keyring(on_server=on_server), _proof(certificates)))
    if memory.restoring:
        again = "" if on_server else ", with the same backup if it had one"
        return Misfit("a restore of this site was not finished", f"{RESTORE}{again}")
    # 2.
    if log_size < memory.head.size:
        return Misfit(
            f"the {data}'s log has {log_size} entries, the keyring remembers {memory.head.size}; this is an "
            f"older {data}, and withdrawals since then would be undone",
            RESTORE,
        )
    return None


def misfit_of_seen(seen: int, log_size: int, certificates: str | None, *, on_server: bool) -> Misfit:
    """Return what a process says that has seen a log of `seen` entries, if the last of them is gone."""
    data = data_name(on_server=on_server)
    return Misfit(
        f"this process has seen a log of {seen} entries, and the {data}'s log of {log_size} lacks the last of them; "
        f"{data} and keyring were set back, and withdrawals since then would be undone",
        _older(certificates, on_server=on_server),
    )


def _undone(facts: Facts) -> Misfit | None:
    # 2.
    memory, data = facts.memory, data_name(on_server=facts.on_server)
    if memory is not None and facts.roots[memory.head.size] != memory.head.root:
        advice = "restore the database of this site" if facts.on_server else "restore a backup of this site"
        return Misfit(f"the {data}'s log is not the one that the keyring remembers", advice)
    # 3.
    if facts.undone:
        return Misfit(f"the {data} has {facts.undone} consents in force that the keyring knows to have ended", RESTORE)
    return None


def _older_copies(facts: Facts) -> Misfit | None:
    # 4.
    for one in sorted(facts.evidence, key=lambda one: one.head.size, reverse=True):
        head = one.head
        if (head.size, head.root) in facts.abandoned or facts.roots.get(head.size) == head.root:
            continue
        if head.size > facts.log_size:
            problem = (
                f"{one.source} is of a log of {head.size} entries, and this log has {facts.log_size}; "
                f"{data_name(on_server=facts.on_server)} and keyring are older copies, and withdrawals since then "
                "would be undone"
            )
            return Misfit(problem, _older(facts.certificates, on_server=facts.on_server))
        problem = f"{one.source} is of a log whose first {head.size} entries differ from this one"
        return Misfit(problem, _older(None, on_server=facts.on_server))
    return None
