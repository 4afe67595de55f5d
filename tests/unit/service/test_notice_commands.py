"""`volens notice`: drafts, checks, refusals and what is shown."""

from pathlib import Path

from publishing import drafted_at_home, publish_at_home
from said import Command

from volens.consent.notice_statements import GAP


def zone(volens: Command) -> None:
    terms = ("--custody", "operator", "--justification", "trays", "--alternative", "a badge", "--retention-days", 30)
    added = volens("zone", "add", "lab", *terms)
    assert "volens notice draft --zone lab --language en --out notice.md" in added.out


def test_a_draft_with_a_gap_becomes_a_notice_once_the_question_is_answered(lobby: Path, volens: Command) -> None:
    zone(volens)
    draft = ("notice", "draft", "--zone", "lab", "--language", "en")
    with_gap = volens(*draft, "--out", "lab.md", "--json")
    assert (with_gap.code, with_gap.json["gaps"]) == (0, ["human_way"])
    assert "declare human-way" in with_gap.err
    text = (lobby / "lab.md").read_text()
    assert GAP in text
    publish = ("notice", "publish", "--zone", "lab", "--language", "en")
    refused = volens(*publish, "lab.md")
    assert (refused.code, "volens declare zone ZONE human-way" in refused.err) == (1, True)

    assert volens("declare", "zone", "lab", "human-way", "ring the bell").code == 0
    assert volens(*draft, "--out", "lab.md").code == 2  # never overwritten
    assert volens(*draft, "--out", "lab-2.md").code == 0
    assert volens(*publish, "lab-2.md", "--json").json["version"] == 1


def test_a_notice_that_reads_hello_is_checked_and_refused(lobby: Path, volens: Command) -> None:
    (lobby / "hello.md").write_bytes(b"hello")
    checked = volens("notice", "check", "hello.md", "--zone", "lobby", "--language", "en", "--json")
    assert checked.code == 1
    assert len(checked.json["problems"]) > 15
    assert all(one["article"] and one["next_step"] for one in checked.json["problems"])
    refused = volens("notice", "publish", "hello.md", "--zone", "lobby", "--language", "en")
    assert (refused.code, "GDPR 13(1)(e)" in refused.err) == (1, True)
    assert volens("notice", "show", "--zone", "lobby", "--json").json["version"] == 1


def test_no_recipients_is_refused_while_there_is_one(lobby: Path, volens: Command) -> None:
    (lobby / "none.md").write_text(f"{drafted_at_home('lobby')}\nWe ask again.\n")
    arguments = ("none.md", "--zone", "lobby", "--language", "en")
    assert volens("notice", "check", *arguments).code == 0
    assert volens("recipient", "add", "Guard Co", "--zone", "lobby", "--contact", "guard@guards.example").code == 0
    refused = volens("notice", "publish", *arguments)
    assert (refused.code, "which is not so in this zone (GDPR 13(1)(e))" in refused.err) == (1, True)
    assert publish_at_home("lobby").version == 2


def test_a_notice_for_people_of_two_laws_names_both_authorities(lobby: Path, volens: Command) -> None:
    laws = ("--jurisdiction", "FR", "--jurisdiction", "US-IL")
    arguments = ("--zone", "lobby", "--language", "fr")
    assert volens("notice", "draft", *arguments, *laws, "--out", "deux.md").code == 0
    assert volens("notice", "check", "deux.md", *arguments, *laws).code == 0
    assert volens("notice", "draft", *arguments, "--out", "un.md").code == 0
    checked = volens("notice", "check", "un.md", *arguments, *laws, "--json").json["problems"]
    assert {"authority"} <= {one["statement"] for one in checked}
    assert volens("notice", "draft", *arguments, "--jurisdiction", "JP").code == 1
    assert volens("notice", "draft", "--zone", "lobby", "--language", "pl").code == 2
    assert (lobby / "deux.md").exists()
