"""Processes that are killed, or run out of disk, at a chosen durable step. A fork server runs them, not pytest."""

import io
import itertools
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import command_line
from house import Clock, no_models
from patience import PATIENCE_S
from sqlalchemy import Connection

import volens.erase.procedure
import volens.erase.proof.certify
import volens.store.keys.root_key.key_file as root_key_file
import volens.store.keys.root_key.wrapped_key as wrapped_root_key
import volens.store.store
from volens import Site
from volens.consent import (
    EndReason,
    ErasureIncompleteError,
    ReceiptId,
    SubjectKey,
    TakeHome,
    UnavailableError,
    VolensError,
)
from volens.enroll import NewPhotos, PhotoChange
from volens.service import samples
from volens.service.cli import import_commands
from volens.store.keys.root_key import VaultTransit
from volens.store.people import live_receipts
from volens.store.sqlite import SqliteEngine

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["dying"])


def run(target: Callable[..., None], *arguments: object) -> int | None:
    """Run a function of this module in a separate process; return the exit code, negative for a signal."""
    process = begin(target, *arguments)
    process.join(timeout=PATIENCE_S)
    return process.exitcode


def begin(target: Callable[..., None], *arguments: object) -> "multiprocessing.process.BaseProcess":
    """Start a function of this module in a process of its own."""
    process = _context.Process(target=target, args=arguments)
    # The fork server imports this module once, so it must be on its path.
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
        process.start()
    return process


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_step(
    nth: int, before: Callable[[], None], after: Callable[[], None], more: Sequence[tuple[Any, str]] = ()
) -> Callable[[], int]:
    """Patch every durable operation of this process; call back around the nth. Returns a counter of steps so far.

    `more` are further durable functions, each by its owner and name.
    """
    count = itertools.count()
    seen: list[int] = []

    def step() -> bool:
        seen.append(next(count))
        return seen[-1] == nth

    original_write = SqliteEngine.write

    @contextmanager
    def write(self: SqliteEngine, *, wait: bool = True) -> Generator[Connection]:
        with original_write(self, wait=wait) as connection:
            yield connection
            now = step()
            if now:
                before()
        if now:
            after()

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401  replaces any function
            now = step()
            if now:
                before()
            result = function(*arguments, **options)
            if now:
                after()
            return result

        return wrapped

    SqliteEngine.write = write  # type: ignore[method-assign]
    SqliteEngine.scrub = around(SqliteEngine.scrub)  # type: ignore[method-assign]
    volens.erase.proof.certify.write_public_files = around(volens.erase.proof.certify.write_public_files)
    for owner, name in more:
        setattr(owner, name, around(getattr(owner, name)))
    return lambda: len(seen)


def _open(home: Path) -> Site:
    return Site.open(home, load_extractor=no_models, clock=Clock())


def count_steps(home: Path, code: str, result: Path) -> None:
    """Withdraw without a fault; record the number of durable steps."""
    site = _open(home)
    steps = at_step(-1, die, die, _OF_KEYS)
    site.withdraw(code=code)
    result.write_text(str(steps()))


def withdraw_and_die(home: Path, code: str, nth: int, moment: str) -> None:
    """Withdraw, and be killed at the nth durable step: not persisted, or persisted but not reported."""
    site = _open(home)
    at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)), _OF_KEYS)
    site.withdraw(code=code)


ATTEMPTS = 50


def withdraw_many(home: Path, codes: Sequence[str]) -> None:
    """Withdraw some people, one after the other.

    A reader in another process can keep the write-ahead log from being cut for longer than an erasure waits. Then the
    person is stopped, and the erasure is finished by another call, as its message says.
    """
    site = _open(home)
    for code in codes:
        for _ in range(ATTEMPTS):
            with suppress(ErasureIncompleteError):
                site.withdraw(code=code)
                break
        else:
            raise AssertionError("an erasure could not be finished")


def withdraw_on_a_full_disk(home: Path, code: str, size_bytes: int, result: Path) -> None:
    """Withdraw with a limit on the file size; record the error."""
    site = _open(home)
    report = os.open(result, os.O_CREAT | os.O_WRONLY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
    try:
        site.withdraw(code=code)
        said = "done"
    except VolensError as error:
        said = f"{type(error).__name__}: {error}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.write(report, said.encode())


def give_and_die(home: Path, nth: int, moment: str) -> None:
    """Give consent, and be killed at the nth durable step."""
    from house import House  # noqa: PLC0415  only this one needs it

    house = House.of(_open(home))
    at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)))
    house.invite()


RENEWING_SEED = b"\7" * 32


def renew_and_die(home: Path, receipt_id: str, nth: int, moment: str, result: Path) -> None:
    """Renew a consent, and be killed at the nth durable step; without a kill, record the number of steps."""
    site = _open(home)
    steps = at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)), _OF_KEYS)
    site.changes.renew(ReceiptId(receipt_id), site.notice("lobby"), key=SubjectKey.from_seed(RENEWING_SEED))
    result.write_text(str(steps()))


def renew_on_a_full_disk(home: Path, receipt_id: str, size_bytes: int, result: Path) -> None:
    """Renew a consent with a limit on the file size; record the error."""
    site = _open(home)
    report = os.open(result, os.O_CREAT | os.O_WRONLY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
    key = SubjectKey.from_seed(RENEWING_SEED)
    said = _said(lambda: site.changes.renew(ReceiptId(receipt_id), site.notice("lobby"), key=key))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.write(report, said.encode())


def restrict_and_die(home: Path, receipt_id: str, nth: int, moment: str) -> None:
    """Restrict a consent, and be killed at the nth durable step."""
    site = _open(home)
    at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)))
    site.changes.restrict(ReceiptId(receipt_id))


def resume_and_die(home: Path, receipt_id: str, nth: int, moment: str) -> None:
    """Lift a restriction, and be killed at the nth durable step."""
    site = _open(home)
    at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)))
    site.changes.lift_restriction(ReceiptId(receipt_id))


def add_a_photo_and_die(home: Path, receipt: bytes, nth: int, moment: str, result: Path) -> None:
    """Add a photo to a reference, and be killed at the nth durable step; without a kill, record the number of steps."""
    site = Site.open(home, clock=Clock())
    steps = at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)), _OF_KEYS)
    site.changes.photos(receipt, NewPhotos(samples.views(samples.astronaut(), 4)[3:], PhotoChange.ADD))
    result.write_text(str(steps()))


def reissue_and_die(home: Path, receipt_id: str, nth: int, moment: str, result: Path) -> None:
    """Issue a code again, write it into the result inside the transaction, and be killed at the nth durable step."""
    site = _open(home)
    at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)), _OF_KEYS)

    def hand_over(_tx: object, take_home: TakeHome) -> None:
        assert take_home.code is not None
        result.write_text(take_home.code.reveal())

    site.changes.reissue_code(ReceiptId(receipt_id), hand_over)


def command_and_die(home: Path, arguments: Sequence[object], nth: int, moment: str, result: Path) -> None:
    """Run a command, and be killed at its nth durable step; without a kill, record exit code and number of steps."""
    os.environ["VOLENS_HOME"] = str(home)
    more = [*_OF_KEYS, (import_commands, "write_private")]
    steps = at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)), more)
    result.write_text(f"{command_line.run([str(one) for one in arguments])} {steps()}")


def command_and_fail(home: Path, arguments: Sequence[object], nth: int, result: Path) -> None:
    """Run a command whose nth durable step is refused; record its exit code and what it says on stderr."""
    os.environ["VOLENS_HOME"] = str(home)

    def fail() -> None:
        raise UnavailableError("injected: the disk says no")

    at_step(nth, fail, _nothing)
    with redirect_stderr(io.StringIO()) as said:
        code = command_line.run([str(one) for one in arguments])
    result.write_text(f"{code}\n{said.getvalue()}")


def command_on_a_full_disk(home: Path, arguments: Sequence[object], size_bytes: int, result: Path) -> None:
    """Run a command with a limit on the file size; record its exit code."""
    os.environ["VOLENS_HOME"] = str(home)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
    code = command_line.run([str(one) for one in arguments])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    result.write_text(str(code))


def sweep_and_die(home: Path, nth: int, days: int = 180) -> None:
    """Sweep half a year later, and be killed after the nth durable step."""
    clock = Clock()
    clock.move(days=days)
    site = Site.open(home, load_extractor=no_models, clock=clock)
    at_step(nth, _nothing, die)
    site.sweep()


def carry_out_and_die(home: Path, plan: Path, nth: int, moment: str, result: Path) -> None:
    """Carry a plan out, and be killed at the nth durable step; without a kill, record the number of steps."""
    site = _open(home)
    steps = at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)))
    site.cohorts.execute(plan.read_bytes(), [], result.with_suffix(".dossier"), answers=result.with_suffix(".answers"))
    result.write_text(str(steps()))


def leave_and_die(home: Path, receipt_id: str) -> None:
    """Record that a person leaves tomorrow, and be killed between the commits of data file and keyring."""
    site = _open(home)
    volens.store.store.remember = lambda *_arguments, **_options: die()  # type: ignore[assignment]
    site.clocks.leave([ReceiptId(receipt_id)], site.now() + timedelta(days=1))


def withdraw_and_fail(home: Path, code: str, nth: int, moment: str, result: Path) -> None:
    """Withdraw, and see an error at the nth durable step, before or after it was done; finish; record both results."""
    site = _open(home)

    def fail() -> None:
        raise UnavailableError("injected: the disk says no")

    at_step(nth, *((fail, _nothing) if moment == "before" else (_nothing, fail)), _OF_KEYS)
    said = _said(lambda: site.withdraw(code=code))
    result.write_text(f"{said}\n{_said(site.sweep)}")


def erase_all_and_die(home: Path, nth: int, moment: str, result: Path) -> None:
    """Erase all people in one batch, and be killed at the nth durable step; without a kill, count the steps."""
    volens.erase.procedure.STOP_TOGETHER = volens.erase.procedure.CERTIFY_TOGETHER = 100
    site = _open(home)
    with site.installation.store.read() as connection:
        receipts = live_receipts(connection)
    steps = at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)))
    volens.erase.erase_consents(site.installation, receipts, EndReason.ORDERED)
    result.write_text(str(steps()))


_OF_KEYS = (
    (SqliteEngine, "compact"),
    (root_key_file, "make_root_key_file"),
    (root_key_file, "overwrite_file"),
    (root_key_file, "take_place"),
    (wrapped_root_key, "write_record"),
    (VaultTransit, "wrap"),
    (VaultTransit, "retire"),
)


def rotate_and_die(home: Path, asked: dict[str, bool], nth: int, moment: str, result: Path) -> None:
    """Rotate the keys, and be killed at the nth durable step; without a kill, count the steps."""
    site = _open(home)
    steps = at_step(nth, *((die, _nothing) if moment == "before" else (_nothing, die)), _OF_KEYS)
    site.keys.rotate(**asked)
    result.write_text(str(steps()))


def rotate_on_a_full_disk(home: Path, asked: dict[str, bool], size_bytes: int, result: Path) -> None:
    """Rotate the keys with a limit on the file size; record the error."""
    site = _open(home)
    report = os.open(result, os.O_CREAT | os.O_WRONLY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
    said = _said(lambda: site.keys.rotate(**asked))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.write(report, said.encode())


def _said(act: Callable[[], object]) -> str:
    try:
        act()
    except VolensError as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def _nothing() -> None:
    return
