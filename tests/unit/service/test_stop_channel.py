"""The channel on which processes tell each other about stops: who may use it, and what it makes of other messages."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House

from volens.consent import WithdrawalCode
from volens.service.process.stop_channel import StopChannel, show_withdrawal

ASK = """
import os, socket, sys
os.setgroups([]), os.setgid(65534), os.setuid(int(sys.argv[2]))
one = socket.socket(socket.AF_UNIX)
one.settimeout(60)
one.connect("\\0" + sys.argv[1])
one.sendall(sys.stdin.buffer.read())
print(one.recv(100000).decode(), end="")
"""


@pytest.fixture
def channel(house: House) -> Iterator[str]:
    """Listen for a site, and return the name of the socket."""
    channel = StopChannel(house.site)
    channel.start()
    files = [house.site.home / name for name in ("databases.json", "volens.db")]
    data_file = next(one for one in files if one.exists()).stat()
    try:
        yield f"volens/{data_file.st_dev:x}-{data_file.st_ino:x}/{house.store.process_id}"
    finally:
        channel.close()


def ask(name: str, message: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(60)
        one.connect(f"\0{name}")
        one.sendall(message + b"\n")
        return one.recv(100_000)


@pytest.mark.parametrize("engine", ["files", "server"], indirect=True)
def test_a_code_that_is_shown_stops_its_consent_and_no_other(house: House, channel: str) -> None:
    person, other = house.admit(), house.admit()
    assert house.sees(person)
    wrong = WithdrawalCode.generate(lambda size: bytes(range(size))).reveal()

    assert show_withdrawal(house.site.home, receipt=None, code=wrong) == []
    assert show_withdrawal(house.site.home, receipt=b"no receipt", code=None) == []
    assert house.sees(person)
    assert show_withdrawal(house.site.home, receipt=None, code=person.code) == [channel.rpartition("/")[2]]
    assert not house.sees(person)
    assert house.sees(other)
    assert show_withdrawal(house.site.home, receipt=other.take_home.to_json(), code=None)
    assert not house.sees(other)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"stops": 7}',
        b'{"stops": [["0", "withdrawn"], ["00000000000000000000000000000000", "because"], 7, [], [[], {}]]}',
        b'{"code": 7, "receipt": 7}',
        b'{"code": "x", "code": "y"}',
    ],
)
def test_other_messages_stop_nothing(house: House, channel: str, message: bytes) -> None:
    answer = ask(channel, message)
    assert not answer or json.loads(answer)["process"] == house.store.process_id
    assert len(house.store.stopped) == 0
    assert house.site.stops.waiting() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user here")
@pytest.mark.parametrize(("uid", "is_heard"), [(0, True), (65534, False)])
def test_another_user_is_not_heard(house: House, channel: str, uid: int, is_heard: bool) -> None:  # noqa: FBT001
    person = house.admit()
    message = json.dumps({"stops": [[person.receipt_id, "withdrawn"]]}).encode() + b"\n"
    command = [sys.executable, "-c", ASK, channel, str(uid)]
    done = subprocess.run(command, input=message, capture_output=True, check=False, timeout=180)
    assert bool(done.stdout) is is_heard, done.stderr
    assert house.sees(person) is not is_heard


def test_a_home_without_a_process_or_a_site_has_nobody_to_tell(house: House, tmp_path: Path) -> None:
    assert show_withdrawal(house.site.home, receipt=None, code="any") == []
    assert show_withdrawal(tmp_path / "nowhere", receipt=None, code="any") == []
