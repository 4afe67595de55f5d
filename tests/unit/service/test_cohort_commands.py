"""`volens erase`, `volens operator` and `volens dossier` at a desk: what they print, write and end with."""

import json
import os
import pty
import stat
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from interruptions import before_consents_end, interrupt
from said import Command


@pytest.fixture
def people(lobby: Path, give: Command, volens: Command) -> Path:
    """One person under French law, one under German; the operator at the desk may carry out orders alone."""
    assert volens("operator", "require", "1").code == 0
    assert give("--yes-i-read-it").code == 0
    assert give("--yes-i-read-it", "--jurisdiction", "DE", out="ben").code == 0
    return lobby


@pytest.fixture
def two(people: Path, volens: Command) -> Path:
    """Two operators, and a site that requires both."""
    for label in ("anna", "carl"):
        assert volens("operator", "keygen", f"{label}.key", "--no-passphrase").code == 0
        assert volens("operator", "add", label, "--key", f"{label}.key.pub").code == 0
    assert "add a third operator" in volens("operator", "require", "2").out
    return people


def in_force(volens: Command) -> int:
    return int(volens("status", "--json").json["zones"][0]["live_consents"])


def test_a_dry_run_counts_writes_a_plan_and_says_what_comes_next(people: Path, volens: Command) -> None:
    said = volens("erase", "--jurisdiction", "FR", "--out", "fr.plan.json")

    assert said.code == 0
    assert "dry run, nothing is erased: 1 person, 1 consent, 0 references\n  lobby: 1 consent" in said.out
    assert "not affected: 1 person, 1 consent" in said.out
    assert "next: volens erase --execute fr.plan.json\n" in said.out
    assert stat.S_IMODE((people / "fr.plan.json").stat().st_mode) == 0o600
    assert in_force(volens) == 2


def test_a_plan_is_carried_out_and_its_dossier_verifies_elsewhere(people: Path, volens: Command) -> None:
    plan = volens("erase", "--jurisdiction", "FR", "--zone", "lobby", "--json").json["plan"]

    done = volens("erase", "--execute", plan, "--dossier", "dossier", "--json")

    assert done.code == 0, done.out
    assert in_force(volens) == 1
    (people / "site.pub").write_bytes((people / "site" / "site.pub").read_bytes())
    (people / "site").rename(people / "gone")  # nothing of the site is needed
    checked = volens("dossier", "verify", "dossier", "--key", "site.pub", "--json")
    assert checked.code == 0
    assert (checked.json["valid"], checked.json["certificates"]) == (True, 1)
    assert checked.json["after"] == done.json["after"]
    assert "1 certificate, each of them checked" in volens("dossier", "verify", "dossier", "--key", "site.pub").out
    (people / "dossier" / "counts.json").unlink()
    assert volens("dossier", "verify", "dossier", "--key", "site.pub").code == 4
    assert volens("dossier", "verify", "nothing", "--key", "site.pub").code == 2


def test_two_operators_are_required(two: Path, volens: Command) -> None:
    planned = volens("erase", "--jurisdiction", "FR", "--operator-key", "anna.key", "--out", "fr.plan.json")
    assert "next, 1 more operator: volens erase --approve fr.plan.json --operator-key KEY" in planned.out
    alone = volens("erase", "--execute", "fr.plan.json")
    assert (alone.code, in_force(volens)) == (1, 2)
    assert "this site requires 2 different operators" in alone.err
    (two / "copy.pub").write_bytes((two / "site" / "site.pub").read_bytes())

    # The second operator inspects it on a machine that has the plan and the public key only.
    approved = volens(
        "erase", "--approve", "fr.plan.json", "--operator-key", "carl.key", "--trust", "copy.pub", "--json"
    )
    assert approved.json["counts"]["cohort"]["people"] == 1
    done = volens("erase", "--execute", "fr.plan.json", "--approval", approved.json["approval"])

    assert done.code == 0, done.err
    assert "dossier: fr.dossier" in done.out
    assert volens("dossier", "verify", "fr.dossier", "--key", "copy.pub", "--json").json["approved_by"] == [
        "anna",
        "carl",
    ]


def test_only_two_operators_can_lower_the_number_required(two: Path, volens: Command) -> None:
    assert two.exists()
    assert volens("operator", "require", "1", "--operator-key", "anna.key").code == 1
    assert volens("operator", "remove", "carl", "--operator-key", "anna.key").code == 1
    assert volens("operator", "list", "--json").json["required"] == 2
    both = ("--operator-key", "anna.key", "--operator-key", "carl.key")
    assert volens("operator", "require", "1", *both).code == 0
    assert volens("operator", "remove", "carl").code == 0
    assert [one["operator"] for one in volens("operator", "list", "--json").json["operators"]] == ["anna"]
    assert "needs no operator's key" in volens("operator", "list").out


def test_a_stop_is_placed_listed_refuses_and_is_lifted(people: Path, volens: Command, give: Command) -> None:
    stopped = volens("erase", "--jurisdiction", "FR", "--stop-collecting")
    assert "next, to erase the people who are enrolled: volens erase --jurisdiction FR" in stopped.out
    (order,) = volens("erase", "--standing", "--json").json
    refused = give("--yes-i-read-it", out="eve")
    assert (refused.code, (people / "eve.receipt.json").exists(), (people / "eve.key").exists()) == (1, False, False)
    assert f"collecting is stopped by order {order['order_id']}" in refused.err
    enrolling = volens("enroll", "ada.receipt.json", "no-photo.png", "--json")
    assert enrolling.code in {1, 2}
    assert give("--yes-i-read-it", "--jurisdiction", "IT", out="ida").code == 0

    assert volens("erase", "--lift", order["order_id"]).code == 0

    assert volens("erase", "--standing", "--json").json == []
    assert give("--yes-i-read-it", out="eve").code == 0


def test_enroll_is_refused_while_collecting_is_stopped(people: Path, volens: Command, album: Path) -> None:
    assert people.exists()
    volens("erase", "--zone", "lobby", "--stop-collecting")

    said = volens("enroll", "ada.receipt.json", *(album / f"ada-{number}.png" for number in (1, 2, 3)))

    assert said.code == 1
    assert "collecting is stopped by order" in said.err


WRONG: list[tuple[tuple[str, ...], str]] = [
    ((), "got no selection"),
    (("--jurisdiction", "France"), "expected an ISO 3166 code"),
    (("--zone", "cellar", "--stop-collecting"), "there is no zone 'cellar'"),
    (("--before", "yesterday"), "yesterday"),
    (("--model", "x", "--stop-collecting"), "selects by --jurisdiction and --zone only"),
    (("--jurisdiction", "FR", "--standing"), "remove the selection"),
    (("--standing", "--lift", "x"), "pass only one of"),
    (("--jurisdiction", "FR", "--dossier", "x"), "need --execute"),
    (("--execute", "nothing"), "there is no plan nothing"),
    (("--execute", "notice.md"), "this is not a plan"),
    (("--approve", "notice.md", "--operator-key", "x"), "this is not a plan"),
    (("--lift", "x"), "no order of this id is in force"),
    (("--jurisdiction", "FR", "--out", "notice.md"), "exists already"),
    (("--jurisdiction", "FR", "--operator-key", "notice.md"), "got an operator key that does not open"),
]


def test_wrong_usage_is_reported_and_changes_nothing(people: Path, volens: Command) -> None:
    assert people.exists()
    for arguments, words in WRONG:
        said = volens("erase", *arguments)
        assert (said.code, words in said.err) == (2, True), (arguments, said.err)
    assert in_force(volens) == 2


def test_a_date_selects_consents_given_before_it(people: Path, volens: Command) -> None:
    assert people.exists()
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"

    counts = [
        volens("erase", "--before", moment, "--out", f"{moment}.json", "--json").json["counts"]["cohort"]["people"]
        for moment in ("2020-01-01", "2020-01-01T12:00:00Z", tomorrow)
    ]

    assert counts == [0, 0, 2]


def test_an_approval_of_an_expired_plan_is_refused(two: Path, volens: Command) -> None:
    assert two.exists()
    volens("erase", "--jurisdiction", "FR", "--out", "fr.plan.json")

    with time_machine.travel(datetime.now(UTC) + timedelta(days=8)):
        said = volens("erase", "--approve", "fr.plan.json", "--operator-key", "carl.key")

    assert (said.code, "make a new one" in said.err) == (1, True)


def test_a_key_without_passphrase_file_needs_a_terminal(lobby: Path, volens: Command) -> None:
    refused = volens("operator", "keygen", "a.key")
    assert (refused.code, (lobby / "a.key").exists()) == (2, False)
    assert "there is no terminal to ask for a passphrase" in refused.err
    (lobby / "short").write_text("short\n")
    assert (
        "got a passphrase of 5 bytes; expected 8 or more"
        in volens("operator", "keygen", "a.key", "--passphrase-file", "short").err
    )
    (lobby / "words").write_text("correct horse\n")

    made = volens("operator", "keygen", "a.key", "--passphrase-file", "words", "--json")

    assert made.json["protected"] is True
    assert stat.S_IMODE((lobby / "a.key").stat().st_mode) == 0o600
    assert b"ENCRYPTED" in (lobby / "a.key").read_bytes()
    assert volens("operator", "add", "anna", "--key", "a.key.pub").code == 0
    assert volens("operator", "add", "ben", "--key", "a.key").code == 2  # never the private one
    assert volens("erase", "--zone", "lobby", "--operator-key", "a.key").code == 2
    with_words = ("--operator-key", "a.key", "--passphrase-file", "words")
    assert volens("erase", "--zone", "lobby", *with_words, "--json").json["approvals_missing"] == 1


def test_a_passphrase_opens_its_key_in_another_unicode_form(lobby: Path, volens: Command) -> None:
    (lobby / "words").write_bytes("g\N{LATIN SMALL LETTER E WITH ACUTE}nie battery\n".encode())
    (lobby / "others").write_bytes("ge\N{COMBINING ACUTE ACCENT}nie\N{NO-BREAK SPACE}battery\n".encode())
    (lobby / "raw").write_bytes(bytes(range(128, 160)))
    for words in ("words", "raw"):
        assert volens("operator", "keygen", f"{words}.key", "--passphrase-file", words).code == 0
    assert volens("operator", "add", "anna", "--key", "words.key.pub").code == 0
    key = ("--operator-key", "words.key", "--passphrase-file")
    assert volens("erase", "--zone", "lobby", *key, "raw").code == 2
    assert volens("erase", "--zone", "lobby", *key, "others", "--json").json["approvals_missing"] == 1


def test_a_terminal_prompts_for_the_passphrase(lobby: Path) -> None:
    ours, theirs = pty.openpty()
    command = [Path(sys.executable).with_name("volens"), "operator", "keygen", "a.key"]
    # A session of its own, because the passphrase prompt uses the controlling terminal of the process.
    options = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "cwd": lobby, "start_new_session": True}
    with subprocess.Popen(command, **options) as process:
        os.close(theirs)
        shown = b""
        for words in (b"operator's key: ", b"confirmation: "):
            while words not in shown:
                shown += os.read(ours, 4096)
            os.write(ours, b"correct horse\n")
        with suppress(OSError):  # the end of a terminal is an error on Linux
            while more := os.read(ours, 4096):
                shown += more
    os.close(ours)

    assert process.returncode == 0
    assert b"ENCRYPTED" in (lobby / "a.key").read_bytes()
    assert b"correct horse" not in shown


def test_a_plan_prints_json_without_names(people: Path, volens: Command) -> None:
    said = volens("erase", "--jurisdiction", "FR", "--json")

    document = json.loads(said.out)
    assert set(document) == {
        "plan",
        "cohort_id",
        "selection",
        "counts",
        "operators_required",
        "approvals_missing",
        "good_until",
    }
    receipt = json.loads((people / "ada.receipt.json").read_text())
    assert receipt["withdrawal_code"] not in said.out + (people / document["plan"]).read_text()
    assert "Canary" not in said.out


@pytest.mark.parametrize("command", [("erase", "resume"), ("sweep",)])
def test_an_interrupted_order_is_reported_and_finished(people: Path, volens: Command, command: tuple[str, ...]) -> None:
    plan = volens("erase", "--jurisdiction", "FR", "--json").json["plan"]
    with before_consents_end(interrupt):
        assert volens("erase", "--execute", plan).code == 130
    said = volens("status", "--json")
    assert said.json["unfinished_orders"] == 1
    assert "1 erasure order not finished; run 'volens erase resume'" in said.err
    assert in_force(volens) == 2

    assert volens(*command).code == 0

    assert in_force(volens) == 1
    said = volens("status", "--json")
    assert (said.json["unfinished_orders"], said.err) == (0, "")
    assert volens("erase", "--execute", plan, "--dossier", "dossier").code == 0
    assert volens("dossier", "verify", "dossier", "--key", people / "site" / "site.pub").code == 0
