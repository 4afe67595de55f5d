"""docs/operations.md: its commands, and the metrics of its alarms."""

import os
import re
import subprocess
import sys
from pathlib import Path

from patience import PATIENCE_S

from volens.service.oidc import ROLE_CLAIM, ZONE_CLAIM

ROOT = Path(__file__).parents[2]


def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    (block,) = re.findall(r"```console\n(.*?)```", page, flags=re.DOTALL)
    volens = f"'{sys.executable}' -c 'from volens.program import main; main()' "
    script = "\n".join(line.removeprefix("$ ").replace("volens ", volens, 1) for line in block.splitlines())
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "port = 8470" in done.stdout
    assert "port = 8471" in done.stdout


def test_alarms_use_existing_metrics() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"`(volens_[a-z_]+)", page)) - {ROLE_CLAIM, ZONE_CLAIM}
    counted = (ROOT / "service" / "http" / "prometheus_metrics.py").read_text()
    assert len(named) == 14
    assert all(f'"{name}"' in counted for name in named)
