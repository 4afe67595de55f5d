"""Side effects of native libraries: one sends telemetry unless it is disabled, another may fail to load."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from house import House

ROOT = Path(__file__).parents[2]
VOLENS = Path(sys.executable).with_name("volens")


@pytest.mark.parametrize(
    "code",
    [
        "from volens.face import Extractor; Extractor.load_default()",
        "from volens.face.inference import runtime; runtime(); import insightface.model_zoo",
        "from volens.service.cli.app import run; run(['doctor'])",
    ],
    ids=["the library", "a pack", "the command line"],
)
def test_the_model_runtime_makes_no_device_identifier(tmp_path: Path, code: str) -> None:
    from volens.face import ModelCache  # noqa: PLC0415  only for where the models are

    models = ModelCache.default().status()[0].path.parent
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    clean = kept | {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "VOLENS_MODELS": str(models)}

    subprocess.run([sys.executable, "-c", code], env=clean, cwd=ROOT, capture_output=True, check=True)

    assert not [path for path in tmp_path.rglob("*") if "icrosoft" in str(path)]


def test_a_person_can_withdraw_if_opencv_does_not_load(house: House, tmp_path: Path) -> None:
    person = house.admit()
    (tmp_path / "receipt.json").write_bytes(person.take_home.to_json())
    house.site.close()
    (tmp_path / "broken" / "cv2").mkdir(parents=True)
    (tmp_path / "broken" / "cv2" / "__init__.py").write_text("raise ImportError('libGL.so.1: cannot open')\n")
    broken = os.environ | {"PYTHONPATH": str(tmp_path / "broken"), "VOLENS_HOME": str(house.site.home)}

    def volens(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [VOLENS, *map(str, arguments)]
        return subprocess.run(command, env=broken, capture_output=True, text=True, check=False)

    assert volens("audit", "correct-time").returncode == 0  # the house lives in 2099
    doctor = volens("doctor")
    withdrawn = volens("withdraw", tmp_path / "receipt.json")

    assert doctor.returncode == 6
    assert "libGL.so.1" in doctor.stdout
    assert withdrawn.returncode == 0, withdrawn.stderr
    house.site = type(house.site).open(house.site.home, clock=house.clock)
    assert not house.sees(person)
