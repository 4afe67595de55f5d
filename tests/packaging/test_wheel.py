"""Packaging: sdist, wheel built from it, and its installation into a project with packages named like our rooms.

The fresh environment holds links to the distributions of `[project.dependencies]` and what they require, at the locked
versions of the running environment, so that the test needs no network. No extra is installed there.
"""

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from volens.face import ModelCache
from volens.service import samples

ROOT = Path(__file__).parents[2]
LIMITATIONS = "data/share/doc/volens/LIMITATIONS.md"
"""The end of its name in the wheel: papers state the residual risks."""
OWN_PACKAGES = ("store", "service", "index")
NOT_REQUIRED = ("insightface", "skimage", "scipy", "requests", "hatchling", "osdp_sys")


@dataclass
class Project:
    """A separate project with Volens in its environment, and the files that the installation added."""

    folder: Path
    packages_added: set[str]
    scripts_added: set[str]

    def run(self, *command: object) -> "subprocess.CompletedProcess[str]":
        """Run a program of the environment, with the project's own packages first on the path."""
        name, *arguments = map(str, command)
        return subprocess.run(
            [self.folder / ".venv" / "bin" / name, *arguments],
            cwd=self.folder,
            env=clean_environment() | {"PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )


def clean_environment() -> dict[str, str]:
    """Return the environment without paths that lead to the repository."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def product_files() -> set[str]:
    """Return every file of the package as the repository holds it, through the links, relative to the root."""
    return {
        os.path.relpath(Path(folder) / name, ROOT)
        for folder, _, names in os.walk(ROOT / "volens", followlinks=True)
        for name in names
        if not name.endswith(".pyc")
    }


def project_table() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        table: dict[str, Any] = tomllib.load(file)["project"]
    return table


def required_by(name: str) -> Iterator[str]:
    """Yield the names of the distributions that one requires, without extras."""
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def link_dependencies(folder: Path) -> None:
    """Link the installed files of all distributions that Volens requires, directly or indirectly."""
    folder.mkdir()
    found: set[str] = set()
    to_visit = [Requirement(line).name for line in project_table()["dependencies"]]
    while to_visit:
        name = to_visit.pop()
        if name in found:
            continue
        found.add(name)
        to_visit += required_by(name)
        for file in distribution(name).files or []:
            top = file.parts[0]
            if top not in {"..", "__pycache__"} and not (folder / top).is_symlink():
                (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder], cwd=ROOT, check=True)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, sdist], env=clean_environment(), check=True)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    for name in OWN_PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"OWNER = 'the project: {name}'\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    (packages,) = (folder / ".venv" / "lib").glob("python*/site-packages")
    link_dependencies(folder / ".venv" / "dependencies")
    (packages / "dependencies.pth").write_text(f"{folder / '.venv' / 'dependencies'}\n", encoding="utf-8")
    before = names_in(packages), names_in(folder / ".venv" / "bin")
    command = [sys.executable, "-m", "pip", "--python", folder / ".venv" / "bin" / "python", "install", "--quiet"]
    subprocess.run([*command, "--no-index", "--no-compile", wheel], env=clean_environment(), check=True)
    return Project(folder, names_in(packages) - before[0], names_in(folder / ".venv" / "bin") - before[1])


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_sdist_holds_every_file_of_the_package_and_no_links(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert all(member.isfile() or member.isdir() for member in members)
    names = {member.name.partition("/")[2] for member in members}
    assert product_files() <= names
    assert {"pyproject.toml", "LICENSE", "README.md"} <= names


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (limits,) = (name for name in names if name.endswith(LIMITATIONS))
        assert archive.read(limits) == (ROOT / "LIMITATIONS.md").read_bytes()
    assert {name for name in names if ".dist-info/" not in name} == {*product_files(), limits}
    assert "volens/py.typed" in names
    assert {f"volens/{room}/__init__.py" for room in OWN_PACKAGES} <= names


def test_the_installation_adds_only_volens_its_metadata_and_one_script(project: Project) -> None:
    assert project.packages_added == {"volens", f"volens-{project_table()['version']}.dist-info"}
    assert project.scripts_added == {"volens"}


def test_an_editable_installation_has_no_folder_that_hides_the_package(tmp_path: Path) -> None:
    code = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"  # PEP 660
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, env=clean_environment(), check=True)
    (made,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        assert [name for name in archive.namelist() if name.startswith("volens/")] == []


def test_the_installed_papers_know_the_limits(project: Project) -> None:
    code = "from volens.rights.papers.known_limits import known_limits; print(len(known_limits()))"
    done = project.run("python", "-c", code)
    assert (done.returncode, int(done.stdout) > 50) == (0, True), done.stderr


def test_packages_named_like_rooms_stay_those_of_the_project(project: Project) -> None:
    code = (
        "import importlib.util, json, volens.store, volens.service, volens.index, store, service, index\n"
        "from volens import Site\n"
        "import volens\n"
        f"found = [name for name in {NOT_REQUIRED} if importlib.util.find_spec(name)]\n"
        "print(json.dumps([volens.__file__, Site.__module__, store.OWNER, service.OWNER, index.OWNER, found]))\n"
    )
    done = project.run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    file, site, *owners, found = json.loads(done.stdout)
    assert Path(file).is_relative_to(project.folder / ".venv" / "lib")
    assert site == "volens.site"
    assert owners == [f"the project: {name}" for name in OWN_PACKAGES]
    assert found == []


def test_the_demo_runs_with_the_required_dependencies_only(project: Project, tmp_path: Path) -> None:
    ModelCache.default().pull()
    samples.default_cache().pull()
    done = project.run("volens", "demo", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("public domain") == 2
    assert names_in(tmp_path / "out") == {"annotated.png", "certificate.json", "site.pub"}
