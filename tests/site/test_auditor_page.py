"""docs/auditor.md, command by command, as its reader types them, without a site."""

import shlex
from pathlib import Path

import pytest
from command_line import run
from page import console_lines

ROOT = Path(__file__).parents[2]


def test_every_command_of_the_page_works_without_a_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.setenv("VOLENS_HOME", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    said = []
    for line in console_lines("auditor.md"):
        dollar, program, *arguments = shlex.split(line)
        assert (dollar, program) == ("$", "volens")
        assert run(arguments) == 0, f"{line}: {capsys.readouterr().err}"
        said.append(capsys.readouterr().out)
    assert [one.split()[0] for one in said] == ["wrote", "wrote", "valid:", "valid:"]
    assert "which is this receipt" in said[2]
    assert '<html lang="de">' in (tmp_path / "verifier-de.html").read_text("utf-8")


def test_each_certificate_says_whether_it_is_about_the_receipt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT / "tests" / "vectors")
    trust = ["--trust", "worked_site.pub", "--receipt"]
    one = ["certificate", "verify", "worked_certificate.json"]
    assert run([*one, *one[2:], *trust, "receipt_good.txt", "--json"]) == 0
    assert capsys.readouterr().out.count('"is_for_receipt": true') == 3
    assert run([*one, *one[2:], *trust, "receipt_good_one_day.txt", "--json"]) == 4
    assert capsys.readouterr().out.count('"is_for_receipt": false') == 3
    assert run([*one, *trust, "receipt_good_one_day.txt"]) == 4
    assert "no certificate here is about this receipt" in capsys.readouterr().err
