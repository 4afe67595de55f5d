"""`volens audit export` and `verify FILE`, and `certificate verify` of many files and with a receipt."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from said import Command

from volens import Site
from volens.store.people import MATCHED


@pytest.fixture
def withdrawn(ada: Path, volens: Command, give: Command) -> list[Path]:
    """The certificates of two people who withdrew, first Ada's, outside of the site."""
    assert give("--yes-i-read-it", name="Ben", out="ben").code == 0
    found = []
    for receipt in (ada, ada.parent / "ben.receipt.json"):
        certificate = Path(volens("withdraw", receipt, "--json").json["certificate"])
        found.append(Path(shutil.copy(certificate, ada.parent / f"{receipt.stem}.certificate.json")))
    return found


@pytest.fixture
def exported(withdrawn: list[Path], volens: Command, home: Path) -> Path:
    """The exported log and site.pub in a folder; the site is gone."""
    folder = home.parent
    said = volens("audit", "export", folder / "log.jsonl", "--json")
    assert said.code == 0, said.err
    assert said.json["size"] == volens("audit", "verify", "--json").json["size"]
    assert (folder / "log.jsonl").stat().st_mode & 0o077 == 0
    shutil.copy(home / "site.pub", folder / "site.pub")
    assert withdrawn
    home.rename(folder / "gone")
    return folder


def test_an_exported_log_is_verified_without_the_site(exported: Path, volens: Command) -> None:
    said = volens("audit", "verify", "log.jsonl", "--trust", "site.pub")
    assert said.code == 0, said.err
    assert said.out.startswith("valid: the log volens/")
    assert "2 erasure.certified" in said.out
    said = volens("audit", "verify", "log.jsonl", "--trust", "site.pub", "--json")
    assert said.json["valid"] is True
    assert said.json["kinds"]["consent.given"] == 2
    assert not (exported / "site").exists()


def test_a_log_must_continue_certificates_and_checkpoints_that_were_kept(
    exported: Path, volens: Command, withdrawn: list[Path]
) -> None:
    lines = (exported / "log.jsonl").read_text("utf-8").splitlines(keepends=True)
    (exported / "kept.txt").write_text(json.loads(lines[-1])["checkpoint"], "utf-8")
    evidence = ("--evidence", withdrawn[0], "--evidence", "kept.txt")
    said = volens("audit", "verify", "log.jsonl", "--trust", "site.pub", *evidence)
    assert said.code == 0, said.err
    assert "it continues 2 pieces of evidence" in said.out

    # An older log, which the site did sign: under its own newest checkpoint.
    at = next(number for number, line in enumerate(lines) if number and line.startswith('{"checkpoint"'))
    header = json.loads(lines[0]) | {"checkpoint": json.loads(lines[at])["checkpoint"]}
    first = json.dumps(header, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"
    (exported / "old.jsonl").write_text("".join([first, *lines[1 : at + 1]]), "utf-8")
    assert volens("audit", "verify", "old.jsonl", "--trust", "site.pub").code == 0
    refused = volens("audit", "verify", "old.jsonl", "--trust", "site.pub", *evidence)
    assert refused.code == 4
    assert "was seen before; get the newest" in refused.err


def test_a_changed_log_and_another_key_have_exit_code_4(exported: Path, volens: Command) -> None:
    data = (exported / "log.jsonl").read_bytes()
    lines = data.splitlines(keepends=True)
    changed = {
        "cut": data[: len(data) // 2],
        "without the last line": b"".join(lines[:-1]),
        "without a leaf": b"".join(line for line in lines if b"consent.ended" not in line),
        "with a changed leaf": data.replace(b'"kind":"consent.ended"', b'"kind":"consent.given"', 1),
    }
    for name, content in changed.items():
        (exported / name).write_bytes(content)
        said = volens("audit", "verify", name, "--trust", "site.pub")
        assert (said.code, said.out) == (4, ""), name
        assert said.err.startswith("volens: integrity: ")
    vectors = Path(__file__).parents[2] / "vectors"
    assert volens("audit", "verify", "log.jsonl", "--trust", vectors / "worked_site.pub").code == 7


def test_a_log_that_cannot_be_used_has_exit_code_2(exported: Path, volens: Command, withdrawn: list[Path]) -> None:
    cases = [
        (("log.jsonl",), "also needs --trust"),
        (("--trust", "site.pub"), "without FILE"),
        (("--evidence", withdrawn[0]), "without FILE"),
        (("missing.jsonl", "--trust", "site.pub"), "there is no log missing.jsonl"),
        ((withdrawn[0], "--trust", "site.pub"), "this is not an exported audit log"),
        (("log.jsonl", "--trust", "log.jsonl"), "not a verifier key"),
        (("log.jsonl", "--trust", "site.pub", "--evidence", "missing"), "there is no evidence missing"),
    ]
    assert exported.is_dir()
    for arguments, words in cases:
        said = volens("audit", "verify", *arguments)
        assert said.code == 2, said.out
        assert words in said.err


def test_the_public_log_is_written_as_tiles_for_a_web_server(
    ada: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ada.parent / "www"
    said = volens("audit", "tiles", folder)
    assert said.code == 0, said.err
    assert "has the public log of 1 entry; 1 tile written" in said.out, "on the first day, the site's creation"
    monkeypatch.setenv("VOLENS_SERVE_PUBLIC_LOG_HOURS", "0")
    said = volens("audit", "tiles", folder, "--json")
    assert said.json["size"] == volens("audit", "verify", "--json").json["size"] > 1
    assert said.json["tiles"] == 1
    assert {one.name for one in folder.iterdir()} == {"checkpoint", "site.pub", "tile"}
    refused = volens("audit", "tiles", ada.parent)
    assert (refused.code, "has other files; name a folder of its own" in refused.err) == (2, True)


@pytest.mark.usefixtures("ada")
def test_a_shard_is_listed_verified_and_exported_alone(home: Path, volens: Command) -> None:
    with Site.open(home) as site, site.installation.store.write() as tx:
        tx.shards.append("visits/lobby", timedelta(days=90), MATCHED, tx.now, [{"zone": "lobby"}] * 2)
    whole = volens("audit", "verify", "--json").json
    ((name, size),) = [(one["name"], one["size"]) for one in whole["shards"]]
    assert (size, whole["shards_ended"], whole["kinds"].get(MATCHED)) == (2, 0, None)
    assert (
        f"1 shard with 2 entries hold; 0 shards ended and deleted\n       2 {name} (open)"
        in volens("audit", "verify").out
    )
    alone = volens("audit", "verify", "--shard", name)
    assert alone.out.startswith(f"the shard {name} holds: 2 entries, 2 of which can still be opened; it is still open")
    assert volens("audit", "export", "shard.jsonl", "--shard", name).code == 0
    said = volens("audit", "verify", "shard.jsonl", "--trust", home / "site.pub")
    assert (said.code, said.out.split(", ")[:2]) == (0, [f"valid: the log {whole['origin']}/{name}", "2 entries"])
    for arguments, words in (
        (("verify", "--shard", "visits/lab/1"), "the log has no shard 'visits/lab/1'"),
        (("export", "other.jsonl", "--shard", "visits/lab/1"), "the log has no shard 'visits/lab/1'"),
        (("verify", "shard.jsonl", "--shard", name), "got FILE and --shard"),
    ):
        refused = volens("audit", *arguments)
        assert (refused.code, words in refused.err) == (2, True), refused.err
    assert not Path("other.jsonl").exists()


def test_an_export_replaces_no_file(ada: Path, volens: Command) -> None:
    said = volens("audit", "export", ada)
    assert said.code == 2
    assert "exists already; nothing was changed" in said.err
    assert "receipt" in ada.read_text("utf-8")


def test_many_certificates_have_a_line_each_and_a_summary(withdrawn: list[Path], home: Path, volens: Command) -> None:
    said = volens("certificate", "verify", *withdrawn, "--trust", home / "site.pub")
    assert said.code == 0, said.err
    *lines, last = said.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"valid  {path}" for path in withdrawn]
    assert last.startswith("2 of 2 certificates valid, signed by volens/")
    document = volens("certificate", "verify", *withdrawn, "--trust", home / "site.pub", "--json").json
    assert document["valid"] is True
    assert [one["file"] for one in document["certificates"]] == list(map(str, withdrawn))
    assert all(one["statement"]["reason"] == "withdrawn" for one in document["certificates"])


@pytest.mark.parametrize(
    ("bad", "code"), [(("changed.json",), 4), (("notice.md",), 2), (("notice.md", "changed.json", "missing.json"), 4)]
)
def test_the_exit_code_of_many_certificates_is_that_of_the_worst(
    withdrawn: list[Path], home: Path, volens: Command, bad: tuple[str, ...], code: int
) -> None:
    data = withdrawn[0].read_bytes()
    other = b"B" if data[-10:-9] == b"A" else b"A"
    (home.parent / "changed.json").write_bytes(data[:-10] + other + data[-9:])
    said = volens("certificate", "verify", withdrawn[0], *bad, withdrawn[1], "--trust", home / "site.pub")
    assert said.code == code
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines] == ["valid", *["NOT"] * len(bad), "valid", "2"]
    assert lines[-1].startswith(f"2 of {2 + len(bad)} certificates valid")


def test_a_certificate_is_checked_to_be_about_a_receipt(withdrawn: list[Path], home: Path, volens: Command) -> None:
    trust = ("--trust", home / "site.pub")
    ada, ben = home.parent / "ada.receipt.json", home.parent / "ben.receipt.json"
    said = volens("certificate", "verify", withdrawn[0], *trust, "--receipt", ada)
    assert said.code == 0, said.err
    assert ", which is this receipt\n" in said.out
    document = volens("certificate", "verify", withdrawn[0], *trust, "--receipt", ada, "--json").json
    assert document["is_for_receipt"] is True
    assert len(document["statement_sha256"]) == 64

    bare = home.parent / "bare.jws"
    bare.write_text(json.loads(ada.read_text("utf-8"))["receipt"], "utf-8")
    assert volens("certificate", "verify", withdrawn[0], *trust, "--receipt", bare).code == 0

    other = volens("certificate", "verify", withdrawn[0], *trust, "--receipt", ben)
    assert (other.code, other.out) == (4, "")
    assert "no certificate here is about this receipt's consent" in other.err
    assert volens("certificate", "verify", withdrawn[0], *trust, "--receipt", "notice.md").code == 2


def test_of_many_certificates_one_must_be_about_the_receipt(withdrawn: list[Path], home: Path, volens: Command) -> None:
    trust, ben = ("--trust", home / "site.pub"), home.parent / "ben.receipt.json"
    said = volens("certificate", "verify", *withdrawn, *trust, "--receipt", ben)
    assert said.code == 0, said.err
    assert [line.rpartition(", ")[2] for line in said.out.splitlines()[:2]] == [
        "for another receipt",
        "for this receipt",
    ]

    twice = (withdrawn[0], shutil.copy(withdrawn[0], home.parent / "again.json"))
    none = volens("certificate", "verify", *twice, *trust, "--receipt", ben, "--json")
    assert none.code == 4
    assert (none.json["valid"], none.json["is_for_receipt"]) == (False, False)


def test_a_receipt_that_the_person_did_not_sign_proves_nothing(
    withdrawn: list[Path], home: Path, volens: Command
) -> None:
    token = json.loads((home.parent / "ada.receipt.json").read_text("utf-8"))["receipt"]
    changed = home.parent / "changed.jws"
    changed.write_text(token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:], "utf-8")
    said = volens("certificate", "verify", withdrawn[0], "--trust", home / "site.pub", "--receipt", changed)
    assert said.code == 4
    assert "receipt's signature does not match" in said.err
