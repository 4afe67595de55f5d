"""Liveness at the command line: the model of a pack, and the zones that ask for one."""

from pathlib import Path

from brightness_model import LICENCE, MODEL, written
from said import Command


def test_the_model_of_a_pack_is_taken_from_a_file_after_its_licence_was_accepted(
    volens: Command, tmp_path: Path
) -> None:
    pack, copy = tmp_path / "pack", tmp_path / "brightness.onnx"
    pack.mkdir()
    written(pack, None)
    copy.write_bytes(MODEL)
    refused = volens("models", "pull-liveness", pack, "--from", copy)
    assert (refused.code, f'pass --liveness-licence "{LICENCE}"' in refused.err) == (1, True)
    pulled = volens("models", "pull-liveness", pack, "--liveness-licence", LICENCE, "--from", copy, "--json")
    assert (pulled.code, pulled.json["downloaded"], pulled.json["licence"]) == (0, True, LICENCE)
    assert "is present, unchanged" in volens("models", "pull-liveness", pack, "--liveness-licence", LICENCE).out
    assert volens("models", "pull-liveness", tmp_path / "nowhere").code == 2
