"""`volens zone`: titles, pausing and removal, and where they are shown."""

from pathlib import Path

from publishing import publish_at_home
from said import Command

from volens.consent.notice import PASSING_SENTENCES


def test_a_title_is_shown_beside_the_name(ada: Path, volens: Command) -> None:
    assert ada.exists()
    assert "is now called Lobby East" in volens("zone", "rename", "lobby", "--title", "Lobby East").out
    assert "Lobby East" in volens("zone", "list").out
    assert "Lobby East (lobby)" in volens("status").out
    assert volens("zone", "rename", "lobby", "--title", "x" * 81).code == 2


def test_a_zone_that_identifies_everyone_who_passes_says_so_everywhere(
    ada: Path, volens: Command, tmp_path: Path
) -> None:
    assert ada.exists()
    terms = ["--custody", "operator", "--justification", "a", "--alternative", "b", "--retention-days", "9"]
    added = volens("zone", "add", "gate", *terms, "--trigger", "passing")
    assert "each notice must have the sentence of its language" in added.out
    text = tmp_path / "gate.md"
    text.write_text("We look.\n")
    refused = volens("notice", "publish", text, "--zone", "gate", "--language", "en")
    assert (refused.code, PASSING_SENTENCES["en"] in refused.err) == (1, True)
    declared = volens("declare", "zone", "gate", "human-way", "the desk")
    assert declared.code == 0, declared.err
    assert volens("notice", "draft", "--zone", "gate", "--language", "en", "--out", tmp_path / "gate-2.md").code == 0
    text.write_text((tmp_path / "gate-2.md").read_text())
    assert volens("notice", "publish", text, "--zone", "gate", "--language", "en").code == 0
    assert [one["trigger"] for one in volens("zone", "list", "--json").json] == ["passing", "near"]
    (policy,) = [
        one for one in volens("policy", "--json").json["dpv:hasPersonalDataProcess"] if one["volens:zone"] == "gate"
    ]
    assert policy["volens:trigger"] == "passing"

    assert "on request only" in volens("zone", "change", "gate", "--trigger", "request").out
    both = volens("zone", "change", "gate", "--trigger", "near", "--fpir", "0.01%")
    assert (both.code, "give the one to change" in both.err) == (2, True)
    assert volens("zone", "change", "gate").code == 2
    assert volens("zone", "change", "gate", "--trigger", "motion").code == 2


def test_a_pause_is_shown_by_status_and_doctor_and_ends(enrolled: Path, volens: Command, album: Path) -> None:
    assert volens("zone", "pause", "lobby").code == 0
    refused = volens("identify", "--zone", "lobby", album / "ada-door.png")
    assert (refused.code, "volens zone resume lobby" in refused.err) == (6, True)
    assert volens("verify", enrolled, album / "ada-door.png").code == 6
    assert "paused" in volens("status").out
    (found,) = [one for one in volens("doctor", "--json").json if one["what"] == "zones"]
    assert (found["ok"], "paused, so nothing is matched or enrolled: lobby" in found["found"]) == (True, True)
    assert "paused this zone" in volens("decisions", "explain", enrolled).out

    assert volens("zone", "resume", "lobby").code == 0
    assert volens("identify", "--zone", "lobby", album / "ada-door.png").code == 0


def test_a_zone_with_people_is_removed_after_a_question_only(ada: Path, volens: Command) -> None:
    assert ada.exists()
    assert volens("zone", "remove", "lobby").code == 1
    asked = volens("zone", "remove", "lobby", "--erase-everyone")
    assert (asked.code, "pass --yes" in asked.err) == (2, True)
    assert volens("people", "list", "--json").json

    removed = volens("zone", "remove", "lobby", "--erase-everyone", "--yes", "--json").json
    assert (removed["state"], len(removed["erased"])) == ("removed", 1)
    assert volens("zone", "list", "--json").json == []
    assert [one["state"] for one in volens("zone", "list", "--all", "--json").json] == ["removed"]
    assert volens("zone", "remove", "attic").code == 2


def test_a_zone_that_is_not_open_says_which_command_opens_it(lobby: Path, volens: Command) -> None:
    assert lobby.is_dir()
    assert volens("defaults", "set", "--jurisdiction", "FR").code == 0
    assert volens("declare", "zone", "lobby", "dpia", "").code == 0
    ask = ("consent", "give", "--zone", "lobby", "--name", "Ada", "--new-key", "a.key", "--out", "a.json")
    refused = volens(*ask, "--yes-i-read-it")
    command = "volens declare zone lobby dpia YYYY-MM-DD"
    assert (refused.code, command in refused.err, Path("a.json").exists()) == (1, True, False)
    assert command in volens("zone", "list").out
    ((gate,),) = [one["closed_gates"] for one in volens("zone", "list", "--json").json]
    assert (gate["gate"], gate["jurisdiction"], gate["opens_on"], gate["command"]) == ("dpia", "FR", None, command)
    doctor = {one["what"]: one for one in volens("doctor", "--json").json}
    assert (doctor["gates"]["ok"], command in doctor["gates"]["found"]) == (False, True)
    assert volens("declare", "zone", "lobby", "dpia", "2026-01-15").code == 0
    assert {one["what"]: one["ok"] for one in volens("doctor", "--json").json}["gates"] is True


def test_a_worse_alternative_is_said_in_one_sentence(ada: Path, volens: Command) -> None:
    assert ada.exists()
    assert "alternative-wait-s is not declared" in volens("zone", "compare", "lobby").out
    for fact, value in {"face-wait-s": 3, "alternative-wait-s": 12, "alternative-cost": "nothing"}.items():
        assert volens("declare", "zone", "lobby", fact, value).code == 0
    counted = volens("refusal", "record", "--zone", "lobby", "--out", "no.json")
    assert (counted.code, counted.out.split(";")[0]) == (0, "counted")
    assert volens("refusal", "verify", "no.json", "--trust", "site/site.pub").code == 0
    text = volens("zone", "compare", "lobby").out
    assert "people who use it wait 9 s longer" in text
    assert "not declared" not in text.replace("place        not declared", "").replace("time         not declared", "")
    shown = volens("zone", "compare", "lobby", "--json").json
    assert (shown["people"], shown["asked"], shown["refused"], shown["drawbacks"]) == (1, 1, 1, ["wait"])
    assert [(one["way"], one["language"], one["count"]) for one in shown["offers"]] == [("desk", "en", 1)]
    assert volens("zone", "compare", "attic").code == 2


def test_a_change_that_people_did_not_agree_to_is_asked_about_and_names_the_next_step(
    ada: Path, volens: Command
) -> None:
    assert ada.exists()
    publish_at_home("lobby", trigger="passing")
    change = ("zone", "change", "lobby", "--trigger", "passing")
    refused = volens(*change)
    assert (refused.code, "1 person agreed without knowing this" in refused.err) == (2, True)
    assert volens("zone", "list", "--json").json[0]["trigger"] == "near"
    done = volens(*change, "--yes")
    assert (done.code, "a new notice and consent again" in done.out) == (0, True)
    assert "--supersedes-within-days 30" in done.out
    added = volens("recipient", "add", "Guard Co", "--zone", "lobby")
    assert (added.code, "pass --yes" in added.err) == (2, True)
    less = volens("zone", "change", "lobby", "--trigger", "request").out
    assert "this needs a new notice, in each language" in less
    assert "new notice" in volens("zone", "rename", "lobby", "--title", "East").out
    assert "new notice" not in volens("zone", "change", "lobby", "--fpir", "0.01%").out
