"""Liveness at the command line: the model of a pack, and the zones that ask for one."""

from pathlib import Path

from brightness_model import LICENCE, MODEL, manifest, written
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


def test_a_zone_that_asks_to_turn_the_head_refuses_pictures_and_doors(
    enrolled: Path, volens: Command, album: Path, tmp_path: Path
) -> None:
    changed = volens("zone", "change", "lobby", "--liveness", "challenge")
    assert (changed.code, "has liveness challenge" in changed.out) == (0, True)
    assert volens("zone", "list", "--json").json[0]["liveness"] == "challenge"
    (tmp_path / "frames").mkdir()
    for command in (
        ("identify", "--zone", "lobby", album / "ada-door.png"),
        ("verify", enrolled, album / "ada-door.png"),
        ("door", "run", "--zone", "lobby", "--folder", tmp_path / "frames", "--once"),
    ):
        refused = volens(*command)
        assert (refused.code, "asks each person to turn the head" in refused.err) == (1, True), command
    assert volens("zone", "change", "lobby").code == 2
    assert volens("zone", "change", "lobby", "--liveness", "high").code == 2


def test_a_zone_with_a_model_needs_the_model_and_its_licence(
    enrolled: Path, volens: Command, album: Path, tmp_path: Path
) -> None:
    assert enrolled.exists()
    added = volens(
        *("zone", "add", "attic", "--custody", "badge", "--alternative", "a key", "--retention-days", 30),
        *("--liveness", "pack", "--json"),
    )
    assert (added.code, added.json["liveness"]) == (0, "pack")
    assert volens("zone", "change", "lobby", "--liveness", "pack").code == 0
    frame = ("identify", "--zone", "lobby", album / "ada-door.png")
    missing = volens(*frame)
    assert (missing.code, "pass --liveness-pack" in missing.err) == (6, True)
    pack = tmp_path / "pack"
    pack.mkdir()
    written(pack, document=manifest(min_score=0.01))
    assert volens(*frame, "--liveness-licence", LICENCE).code == 2
    assert volens(*frame, "--liveness-pack", pack).code == 1
    found = volens(*frame, "--liveness-pack", pack, "--liveness-licence", LICENCE, "--json")
    assert (found.code, found.json["faces"][0]["decision"]) == (0, "match")
