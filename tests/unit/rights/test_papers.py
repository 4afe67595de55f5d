"""Papers: every fact from the processing record, gaps with questions, signed, and stale as soon as a fact changes."""

import base64
import csv
import io
import json
import re
import shlex
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from house import House

from tests.unit.store.raw import DATA, tamper
from volens.consent import InputError, RefusedError, TamperError
from volens.consent.processing_record import ProcessingRecord
from volens.erase.pages import LANGUAGES
from volens.rights.papers import ZONE_PAPERS, Operation, PaperKind, check_file, verify_paper
from volens.rights.papers.incident_paper import COMMANDS
from volens.rights.papers.known_limits import known_limits
from volens.rights.papers.paper import Gap
from volens.service.cli.app import app
from volens.store.promises import processing_record

OPERATIONS = (
    Operation("explain_decisions", "Learn what the doors decided", frozenset(), True, True, False),
    Operation("identify", "Decide about a frame", frozenset({"door"}), False, False, False),
    Operation("answer_request", "The answer to a request", frozenset({"privacy_officer"}), False, False, True),
)
LAW = {PaperKind.BIPA: "US-IL", PaperKind.QUEBEC: "CA-QC", PaperKind.INCIDENT: "US-CO"}
"""The jurisdiction of papers that are about one law."""
DPO = "Dana <b>Doe</b> | dpo@example.org"


@pytest.fixture(scope="module")
def made(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Path]]:
    """A site that declared one fact, and its papers of every kind in English."""
    place = tmp_path_factory.mktemp("papers")
    house, folder = House.copied(template, place / "home"), place / "written"
    house.site.declarations.declare({"dpo": DPO, "transfers": "none"})
    for kind in ZONE_PAPERS:
        house.site.papers.make(kind, "lobby", LAW.get(kind, "FR"), folder, operations=OPERATIONS)
    yield house, folder
    house.site.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def content(folder: Path, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file_of(folder, kind, "json").read_text(encoding="utf-8"))
    return found


def file_of(folder: Path, kind: str, ending: str) -> Path:
    return folder / f"lobby-{LAW.get(PaperKind(kind), 'FR').lower()}-{kind}-en.{ending}"


def record_of(house: House, kind: PaperKind) -> ProcessingRecord:
    with house.store.read() as connection:
        zone = house.site.zones.get("lobby").purpose
        return processing_record(connection, house.store.site.controller, zone, LAW.get(kind, "FR"))


def answers(document: dict[str, Any]) -> dict[str, str]:
    facts = [fact for section in document["sections"] for fact in section.get("facts", [])]
    return {fact["label"]: fact.get("answer", "") for fact in facts}


@pytest.mark.parametrize("kind", ZONE_PAPERS)
def test_a_paper_states_the_record_that_it_was_made_from(made: tuple[House, Path], kind: PaperKind) -> None:
    house, folder = made
    document = content(folder, kind)
    assert document["record_sha256"] == record_of(house, kind).sha256
    assert document["record"] == json.loads(json.dumps(record_of(house, kind).to_json()))
    assert document["made_at"] == "2099-03-01T12:00:00Z"
    assert document["legal_advice"] is False
    for ending in ("html", "md"):
        text = file_of(folder, kind, ending).read_text(encoding="utf-8")
        assert record_of(house, kind).sha256 in text
        assert "not legal advice" in text


@pytest.mark.parametrize("kind", ZONE_PAPERS)
def test_a_paper_says_what_was_read_and_on_which_day(made: tuple[House, Path], kind: PaperKind) -> None:
    document = content(made[1], kind)
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", one["checked_on"]) for one in document["sources"])
    assert len(document["sources"]) > len(record_of(made[0], kind).profile.checked)
    assert document["not_checked"]


@pytest.mark.parametrize("kind", ZONE_PAPERS)
def test_a_declared_fact_is_stated_and_an_undeclared_one_is_a_gap(made: tuple[House, Path], kind: PaperKind) -> None:
    document = content(made[1], kind)
    text = json.dumps(document["sections"])
    if "Data protection officer" in text:
        assert answers(document)["Data protection officer"] == DPO
    gaps = [fact for section in document["sections"] for fact in section.get("facts", []) if "gap" in fact]
    assert gaps
    assert {fact["gap"] for fact in gaps} == set(document["gaps"])
    assert all(fact["gap"].endswith(("?", "?.", "”")) or "?" in fact["gap"] for fact in gaps)


def test_values_are_shown_as_text_in_html_and_in_markdown(made: tuple[House, Path]) -> None:
    page = (made[1] / "lobby-fr-record-en.html").read_text(encoding="utf-8")
    assert "Dana &lt;b&gt;Doe&lt;/b&gt; | dpo@example.org" in page
    assert r"Dana \<b\>Doe\</b\> \| dpo@example.org" in (made[1] / "lobby-fr-record-en.md").read_text(encoding="utf-8")


def test_a_change_of_any_fact_makes_the_paper_stale_until_it_is_made_again(house: House, out: Path) -> None:
    papers = house.site.papers
    papers.make("record", "lobby", "FR", out)
    papers.make("record", "lobby", "DE", out, "de")
    assert papers.stale() == []
    house.site.declarations.declare_zone("lobby", {"context": "the server room"})
    assert [(one.kind, one.jurisdiction) for one in papers.stale()] == [("record", "DE"), ("record", "FR")]
    house.reopen()
    again = out / "again"
    house.site.papers.make("record", "lobby", "FR", again)
    assert [one.jurisdiction for one in house.site.papers.stale()] == ["DE"]
    assert len(house.site.papers.made()) == 2
    house.site.log.verify_rows()


def test_a_paper_is_verified_and_a_change_of_any_file_is_found(made: tuple[House, Path]) -> None:
    house, folder = made
    data = (folder / "lobby-fr-dpia-en.json").read_bytes()
    found = verify_paper(data, house.site.verifier_key)
    assert sorted(found.files) == [f"lobby-fr-dpia-en.{one}" for one in ("cnil-pia.json", "html", "md")]
    for name in found.files:
        check_file(found, name, (folder / name).read_bytes())
        with pytest.raises(TamperError, match="not the file that was signed"):
            check_file(found, name, (folder / name).read_bytes() + b" ")
    with pytest.raises(TamperError, match="not the one that was signed"):
        verify_paper(data.replace(b'"legal_advice": false', b'"legal_advice": true'), house.site.verifier_key)
    with pytest.raises(InputError, match="this is not a paper"):
        verify_paper(b"{}", house.site.verifier_key)


def test_the_record_has_its_letters_also_as_csv(made: tuple[House, Path]) -> None:
    text = (made[1] / "lobby-fr-record-en.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sorted({row["section"][:3] for row in rows}) == [f"({letter})" for letter in "abcdefg"]
    officer = next(row for row in rows if row["fact"] == "Data protection officer")
    assert (officer["answer"], officer["question"]) == (DPO, "")
    address = next(row for row in rows if row["fact"] == "Postal address")
    assert (address["answer"], address["question"]) == ("", "What is the postal address of the controller?")


def test_a_cell_that_a_spreadsheet_would_run_is_text(house: House, out: Path) -> None:
    house.site.declarations.declare({"dpo": "=HYPERLINK(1)"})
    house.site.papers.make("record", "lobby", "FR", out)
    assert "'=HYPERLINK(1)" in (out / "lobby-fr-record-en.csv").read_text(encoding="utf-8-sig")


CNIL_QUESTIONS = {
    *(111, 112, 113, 121, 122, 123),
    *(211, 212, 213, 214, 215, 221, 222, 223, 224, 225, 226, 227),
    *(first + last for first in (320, 330, 340) for last in (1, 2, 3, 4)),
}
"""The questions with text or list of the CNIL's PIA tool (src/assets/files/pia_architecture.json of LINCnil/pia)."""


def test_the_file_for_the_cnil_tool_has_its_members_and_questions(made: tuple[House, Path]) -> None:
    document = json.loads((made[1] / "lobby-fr-dpia-en.cnil-pia.json").read_text(encoding="utf-8"))
    assert set(document) == {"pia", "answers", "measures", "evaluations", "comments"}
    assert {one["reference_to"] for one in document["answers"]} == CNIL_QUESTIONS
    assert all(set(one["data"]) == {"text", "gauge", "list"} for one in document["answers"])
    assert all(one["data"]["gauge"] is None for one in document["answers"]), "people set the levels"
    titles = {one["title"] for one in document["measures"]}
    chosen = [one["data"]["list"] for one in document["answers"] if one["reference_to"] in {324, 334, 344}]
    assert all(set(one) == titles for one in chosen)
    assert "<b>Doe" not in json.dumps(document["answers"])


def test_the_draft_has_the_seven_sections_and_the_known_limits(made: tuple[House, Path]) -> None:
    document = content(made[1], "dpia")
    assert sorted({one["heading"][:2] for one in document["sections"]}) == [f"{number}." for number in range(7)]
    (residual,) = [one["list"] for one in document["sections"] if "list" in one]
    assert residual == list(known_limits())
    assert len(residual) > 100
    assert any("Spare blocks of an SSD" in one for one in residual)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ZONE_PAPERS)
def test_a_paper_is_in_each_language(house: House, out: Path, kind: PaperKind, language: str) -> None:
    written = house.site.papers.make(kind, "lobby", LAW.get(kind, "DE"), out, language, operations=OPERATIONS)  # type: ignore[arg-type]
    page = (out / f"lobby-{LAW.get(kind, 'DE').lower()}-{kind}-{language}.html").read_text(encoding="utf-8")
    assert f'<html lang="{language}">' in page
    assert written.paper.draft.title in page.replace("&#39;", "'")
    assert all(isinstance(one, Gap) for one in written.paper.gaps)


@pytest.mark.parametrize(
    ("kind", "zone", "jurisdiction", "error", "words"),
    [
        ("dpai", "lobby", "FR", InputError, "did you mean dpia"),
        ("dpia", "attic", "FR", InputError, "attic"),
        ("dpia", "lobby", "France", InputError, "ISO 3166"),
        ("dpia", "lobby", "JP", RefusedError, "no jurisdiction profile"),
    ],
)
def test_a_paper_that_cannot_be_made_is_refused(
    house: House, out: Path, kind: str, zone: str, jurisdiction: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        house.site.papers.make(kind, zone, jurisdiction, out)
    assert not out.exists()
    assert house.site.papers.made() == []


def test_an_existing_file_is_never_overwritten(house: House, out: Path) -> None:
    out.mkdir()
    (out / "lobby-fr-record-en.md").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="exists already; nothing was changed"):
        house.site.papers.make("record", "lobby", "FR", out)
    assert [one.name for one in out.iterdir()] == ["lobby-fr-record-en.md"]


def texts(document: dict[str, Any]) -> str:
    return json.dumps(document["sections"], ensure_ascii=False)


def test_necessity_has_the_four_answers_and_the_type_of_the_zone(house: House, out: Path) -> None:
    house.site.declarations.declare_zone("lobby", {"context": "the server room", "why_not_badge": "they are lent"})
    house.site.papers.make("necessity", "lobby", "FR", out)
    document = content(out, "necessity")
    headings = [one["heading"] for one in document["sections"]]
    assert [one[:2] for one in headings[:4]] == ["1.", "2.", "3.", "4."]
    assert answers(document)["Why not a badge"] == "they are lent"
    assert answers(document)["Justification of the zone"] == "doors without a reader"
    assert "type 3" in texts(document)
    house.declare("gate", custody="badge")
    house.site.papers.make("necessity", "gate", "FR", out)
    carried = (out / "gate-fr-necessity-en.md").read_text(encoding="utf-8")
    assert "type 1" in carried
    assert "Justification of the zone" not in carried


def test_the_pack_names_the_roles_of_each_operation(made: tuple[House, Path]) -> None:
    grids = [one["table"]["rows"] for one in content(made[1], "works-council")["sections"] if "table" in one]
    assert ["door", "Decide about a frame"] in grids[1]
    assert ["privacy_officer", "The answer to a request"] in grids[1]
    assert ["-", "Learn what the doors decided"] in grids[1]


def test_the_pack_says_that_no_one_can_list_visits_only_if_it_is_so(house: House, out: Path) -> None:
    house.site.papers.make("works-council", "lobby", "FR", out, operations=OPERATIONS)
    said = texts(content(out, "works-council"))
    assert "Of 3 operations of the interface, none returns visits without the code or the receipt" in said
    lister = Operation("list_visits", "List the visits of a day", frozenset({"operator"}), True, False, False)
    house.site.papers.make("works-council", "lobby", "FR", out / "bad", operations=(*OPERATIONS, lister))
    bad = content(out / "bad", "works-council")
    assert "none returns visits" not in texts(bad)
    assert ["list_visits", "operator", "Lists visits"] in [
        row for one in bad["sections"] for row in one.get("table", {}).get("rows", [])
    ]


def test_the_pack_is_refused_without_the_operations_that_it_is_about(house: House, out: Path) -> None:
    with pytest.raises(InputError, match="got no operations"):
        house.site.papers.make("works-council", "lobby", "FR", out)


@pytest.mark.parametrize(("kind", "law"), [("bipa", "FR"), ("quebec", "US-IL"), ("ai-act", "GB"), ("ai-act", "US-CO")])
def test_a_paper_about_one_law_is_refused_for_another(house: House, out: Path, kind: str, law: str) -> None:
    with pytest.raises(InputError, match=f"is about the law of .*; got {law}"):
        house.site.papers.make(kind, "lobby", law, out)
    assert not out.exists()


def test_the_policy_of_illinois_has_the_release_with_the_longest_term(made: tuple[House, Path]) -> None:
    said = texts(content(made[1], "bipa"))
    assert "at most 90 days" in said
    assert "Example Ltd" in said
    assert "sell, lease, trade or otherwise profit" in said
    assert "1095 days" in said


def test_the_declaration_of_quebec_says_when_the_zone_may_open(house: House, out: Path) -> None:
    house.site.declarations.declare_zone("lobby", {"declared_on": ""})
    house.site.papers.make("quebec", "lobby", "CA-QC", out)
    assert "used 60 days later at the earliest" in texts(content(out, "quebec"))
    house.site.declarations.declare_zone("lobby", {"declared_on": "2099-01-01"})
    house.site.papers.make("quebec", "lobby", "CA-QC", out / "again")
    assert answers(content(out / "again", "quebec"))["First day of use"].startswith("2099-03-02, CQLR")


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("lobby", "who ask for it or stop near the camera"),
        ("gate", "verifies a claim (1:1)"),
        ("open", "everyone who passes"),
    ],
)
def test_the_class_under_the_ai_act_follows_the_comparison(house: House, out: Path, zone: str, words: str) -> None:
    house.declare("gate", custody="subject_key")
    house.declare("open")
    house.let_pass("open")
    house.site.papers.make("ai-act", zone, "FR", out)
    said = (out / f"{zone}-fr-ai-act-en.json").read_text(encoding="utf-8")
    assert words in said
    assert "2027-12-02" in said
    assert "less than the six months" in said


def test_every_command_of_the_protocol_exists() -> None:
    for line in COMMANDS.values():
        for command in line.split("; "):
            _program, *words = shlex.split(command.format(zone="lobby"))
            assert find_command(words) is not None, command


def find_command(words: list[str]) -> object:
    """Return the command of these words, if it has all of their options."""
    found: Any = typer.main.get_command(app)
    while (inner := getattr(found, "commands", {}).get(words[0])) is not None:
        found, words = inner, words[1:]
        if not words:
            break
    if hasattr(found, "commands"):
        return None
    options = {option for one in found.params for option in (*one.opts, *one.secondary_opts)}
    return found if {one for one in words if one.startswith("--")} <= options else None


def test_a_command_that_does_not_exist_would_be_found() -> None:
    assert find_command(["zone", "freeze", "lobby"]) is None
    assert find_command(["keys", "rotate", "--all"]) is None


def test_a_representative_in_the_union_is_asked_for_there_only(made: tuple[House, Path]) -> None:
    assert "Representative in the Union" in texts(content(made[1], "dpia"))
    assert "Representative in the Union" not in texts(content(made[1], "quebec"))


def test_a_paper_says_of_badges_that_the_site_stores_no_face(house: House, out: Path) -> None:
    house.declare("gate", custody="badge")
    house.site.papers.make("dpia", "gate", "FR", out)
    said = answers(json.loads((out / "gate-fr-dpia-en.json").read_text(encoding="utf-8")))
    assert "badge only" in said["Personal data"]
    assert said["Storage"].startswith("The embedding is on the person")
    assert "badge only" in (out / "gate-fr-dpia-en.cnil-pia.json").read_text(encoding="utf-8")


def test_a_changed_row_stops_the_list_of_stale_papers(house: House, out: Path) -> None:
    house.site.papers.make("record", "lobby", "FR", out)
    tamper(house.site.home / DATA, "UPDATE made_paper SET language = 'de'")
    house.reopen()
    with pytest.raises(TamperError):
        house.site.papers.stale()


def test_a_paper_is_verified_by_its_description_alone(made: tuple[House, Path]) -> None:
    """As docs/certificate-format.md says, with no code of ours but the site's public key."""
    document = content(made[1], "dpia")
    header, payload, signature = document.pop("signature").split(".")
    decode = base64.urlsafe_b64decode
    key = Ed25519PublicKey.from_public_bytes(made[0].site.verifier_key.public_key)
    key.verify(decode(signature + "=="), f"{header}.{payload}".encode())
    assert json.loads(decode(header + "==")) == {"alg": "Ed25519", "typ": "volens-paper+jws"}
    assert json.loads(decode(payload + "==")) == {
        "version": 1,
        "paper_sha256": sha256(rfc8785.dumps(document)).hexdigest(),
    }
    for name, digest in document["files"].items():
        assert sha256((made[1] / name).read_bytes()).hexdigest() == digest
