"""`volens webhook`, as an operator uses it."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from receiver import answer, receiver
from said import Command


def give(volens: Command, folder: Path, number: int) -> Path:
    out = folder / f"{number}.json"
    given = volens(
        *("consent", "give", "--zone", "lobby", "--jurisdiction", "FR", "--yes-i-read-it", "--name", "A"),
        *("--out", out, "--new-key", folder / f"{number}.pem"),
    )
    assert given.code == 0, given.err
    return out


@pytest.fixture
def standing_clock(lobby: Path) -> Iterator[None]:
    """The clock stands still: a message that failed must not come due again because a command took five seconds."""
    assert lobby.is_dir()  # it was made before now
    with time_machine.travel(datetime.now(UTC), tick=False):
        yield


@pytest.mark.usefixtures("standing_clock")
def test_an_endpoint_is_added_rotated_disabled_and_enabled(volens: Command, lobby: Path, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with receiver(answer(500)) as panel:
        assert volens("recipient", "add", "panel", "--zone", "lobby", "--yes").code == 0
        where = ("--zone", "lobby", "--url", panel.url)
        refused = volens("webhook", "add", "panel", *where)
        assert (refused.code, refused.err.count("https")) == (2, 2)
        added = volens("webhook", "add", "panel", *where, "--allow-private", "--out", file, "--json")
        assert added.code == 0, added.err
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        endpoint = added.json["endpoint"]
        about_consents = [f"consent.{one}" for one in ("expired", "given", "restricted", "resumed")]
        assert added.json["events"] == [*about_consents, "subject.erased"]

        give(volens, lobby, 1)
        assert volens("webhook", "deliver", "--json").json == {"tried": 1, "waiting": 1, "given_up": 0}
        assert "status 500" in volens("webhook", "outbox").out
        assert volens("webhook", "outbox", "--dead", "--json").json == {"messages": []}
        assert volens("webhook", "redeliver", "--all", "--json").json == {"redelivered": 0}
        assert volens("webhook", "redeliver", "msg_0").code == 2
        assert volens("webhook", "redeliver").code == 2

        assert volens("webhook", "disable", endpoint).code == 0
        give(volens, lobby, 2)
        assert volens("webhook", "list", "--json").json["endpoints"][0]["disabled"] == "by the operator"
        panel.behaviour = answer(204)
        assert volens("webhook", "enable", endpoint).code == 0
        give(volens, lobby, 3)
        assert volens("webhook", "deliver", "--json").json["tried"] == 1
        rotated = volens("webhook", "rotate", endpoint, "--json").json
        assert rotated["secret"].startswith("whsec_")
        assert rotated["secret"] != file.read_text().strip()


def test_door_decisions_are_sent_only_on_request(volens: Command, lobby: Path) -> None:
    assert lobby
    volens("recipient", "add", "panel", "--zone", "lobby", "--yes")
    added = volens(
        *("webhook", "add", "panel", "--zone", "lobby", "--url", "https://example.org/x", "--event", "door.decision"),
        "--json",
    )
    assert added.json["events"] == ["door.decision"]
    assert volens("webhook", "list", "--zone", "lobby", "--json").json["endpoints"] == [
        {name: value for name, value in added.json.items() if name != "secret"}
    ]
