"""Processors that the process may use: the affinity, and the quotas of its control groups of both versions."""

import os
from pathlib import Path

import pytest

from volens.service.process.usable_cpus import usable_cpus
from volens.service.service_config import ServiceConfig

V2 = "0::/system.slice/volens.service\n"
V1 = "4:memory:/docker/7f\n3:cpu,cpuacct:/docker/7f\n1:name=systemd:/docker/7f\n"


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        pytest.param("", {}, 8, id="no control groups"),
        pytest.param(V2, {}, 8, id="not mounted"),
        pytest.param(V2, {"system.slice/volens.service/cpu.max": "max 100000\n"}, 8, id="v2: no limit"),
        pytest.param(V2, {"system.slice/volens.service/cpu.max": "200000 100000\n"}, 2, id="v2: CPUQuota=200%"),
        pytest.param(V2, {"system.slice/volens.service/cpu.max": "150000 100000\n"}, 2, id="v2: rounded up"),
        pytest.param(V2, {"system.slice/volens.service/cpu.max": "20000 100000\n"}, 1, id="v2: a fifth is one"),
        pytest.param(V2, {"system.slice/volens.service/cpu.max": "9900000 100000\n"}, 8, id="v2: more than there are"),
        pytest.param(
            V2,
            {"system.slice/volens.service/cpu.max": "max 100000\n", "system.slice/cpu.max": "300000 100000\n"},
            3,
            id="v2: the limit of a group above",
        ),
        pytest.param("0::/\n", {"cpu.max": "400000 100000\n"}, 4, id="v2: a container with groups of its own"),
        pytest.param("0::/../../other\n", {"cpu.max": "400000 100000\n"}, 4, id="v2: a path outside the mount"),
        pytest.param(V2, {"system.slice/volens.service/cpu.max": "nonsense\n"}, 8, id="v2: not understood"),
        pytest.param(V2, {"system.slice/volens.service/cpu.max": ""}, 8, id="v2: empty"),
        pytest.param(V2, {"system.slice/volens.service/cpu.max": "0 0\n"}, 8, id="v2: zero"),
        pytest.param(
            V1,
            {
                "cpu,cpuacct/docker/7f/cpu.cfs_quota_us": "250000\n",
                "cpu,cpuacct/docker/7f/cpu.cfs_period_us": "100000\n",
            },
            3,
            id="v1",
        ),
        pytest.param(
            V1,
            {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            1,
            id="v1: a container that sees the host's path",
        ),
        pytest.param(
            V1,
            {"cpu,cpuacct/docker/7f/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/docker/7f/cpu.cfs_period_us": "100000\n"},
            8,
            id="v1: no limit",
        ),
        pytest.param(
            V1 + V2, {"system.slice/volens.service/cpu.max": "100000 100000\n"}, 1, id="both versions are mounted"
        ),
        pytest.param("garbage\n:::\n", {}, 8, id="a line of another form"),
    ],
)
def test_the_smallest_limit_counts(tmp_path: Path, groups: str, files: dict[str, str], expected: int) -> None:
    own, mount = tmp_path / "cgroup", tmp_path / "mount"
    own.write_text(groups)
    for name, text in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(text)
    assert usable_cpus(own, mount) == expected


def test_the_affinity_counts_and_not_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5})
    assert usable_cpus(tmp_path, tmp_path) == 2


def test_a_system_without_affinities_counts_its_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cpus(tmp_path, tmp_path) == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus(tmp_path, tmp_path) == 1


def test_the_threads_of_the_models_are_those_that_can_compute() -> None:
    assert ServiceConfig().model_threads == usable_cpus()
