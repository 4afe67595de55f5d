"""Core dumps and swap: what the system reports about a process that protects its memory."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE_S

from volens.service.process import may_lock_all

CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGABRT)"
READ_LIMIT = "from pathlib import Path; print(Path('/proc/self/status').read_text())"


def python(folder: Path, program: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """Run a program in a process that may write core dumps into a folder."""
    allow = "import resource as r; r.setrlimit(r.RLIMIT_CORE, (r.getrlimit(r.RLIMIT_CORE)[1],) * 2)"
    return subprocess.run(
        [sys.executable, "-c", f"{allow}; {before}; {program}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def status(field: str, text: str) -> str:
    return next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith(f"{field}:"))


def test_every_command_forbids_core_dumps_first(tmp_path: Path) -> None:
    spy = (
        "import sys, resource, ctypes; import volens.service.cli.app as app; "
        "app.run = lambda _: print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)); "
        "app.main()"
    )

    done = python(tmp_path, spy)

    assert done.stdout.strip() == "(0, 0) 0", done.stderr


@pytest.mark.parametrize(
    ("command", "restarts"), [(["serve"], True), (["door", "run"], True), (["door", "example"], False)]
)
def test_a_program_that_runs_for_long_starts_again_before_it_imports_anything(
    tmp_path: Path, command: list[str], *, restarts: bool
) -> None:
    spy = (
        "import os, sys; from volens.program import main; sys.argv = ['volens', *"
        + repr(command)
        + "]; os.execve = lambda _, arguments, environment: (print('perturb' in environment['GLIBC_TUNABLES'], "
        "environment['PYTHONMALLOC'], 'sqlalchemy' in sys.modules), sys.exit()); main()"
    )

    done = python(tmp_path, spy)

    assert (done.stdout.strip() == "True malloc False") is restarts, done.stderr


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    done = python(tmp_path, CRASH, "from volens.service.process.process_memory import forbid_core_dumps as f; f()")

    assert done.returncode == -signal.SIGABRT
    assert list(tmp_path.iterdir()) == []


def test_a_service_locks_its_memory_where_it_may(tmp_path: Path) -> None:
    lock = (
        "from volens.service.process.process_memory import lock_all; "
        "print('said:', lock_all()); x = bytearray(b'1') * 2**24"
    )

    done = python(tmp_path, READ_LIMIT, lock)

    locked_kib = int(status("VmLck", done.stdout).split()[0])
    if may_lock_all():
        assert status("said", done.stdout) == "all memory is locked"
        assert locked_kib > 16 * 1024
    else:
        assert status("said", done.stdout).startswith("only the long-lived keys are locked")
        assert locked_kib == 0


def test_under_a_limit_no_lock_can_end_the_process_later(tmp_path: Path) -> None:
    lock = (
        "import os; import resource as r; r.setrlimit(r.RLIMIT_MEMLOCK, (2**20, 2**20)); "
        "os.geteuid() == 0 and (os.setgroups([]), os.setgid(65534), os.setuid(65534)); "
        "import volens.service.process.process_memory as m; print('said:', m.lock_all()); x = bytearray(b'1') * 2**24"
    )

    done = python(tmp_path, READ_LIMIT, f"import volens.service.process.process_memory; {lock}")

    assert status("said", done.stdout).startswith("only the long-lived keys are locked"), done.stderr
    assert status("VmLck", done.stdout).split()[0] == "0"


def test_the_long_lived_keys_are_locked_and_short_lived_secrets_are_not(tmp_path: Path) -> None:
    keys = "from volens.store.keys.secrets import GrantSecret, StoreKey; one = GrantSecret(bytes(32))"

    without = python(tmp_path, READ_LIMIT, keys)
    with_key = python(tmp_path, READ_LIMIT, f"{keys}; two = StoreKey(bytes(32))")

    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == 0:
        pytest.fail("this machine allows no locked memory at all; raise RLIMIT_MEMLOCK to test")
    assert status("VmLck", without.stdout) == "0 kB"
    assert status("VmLck", with_key.stdout) != "0 kB"
