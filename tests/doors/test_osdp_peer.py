"""OSDP against another implementation: the package `osdp` on PyPI, a control panel in Python, in its own environment.

It has the import name of a part of `libosdp`, so the two cannot be in one environment.
"""

import json
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from osdp_bus import ADDRESS, Cable, cable
from patience import PATIENCE_S

from tests.doors.conftest import RecordedEvents
from tests.doors.test_osdp import BADGE, until_works
from volens.service.door.door_events import CardSent
from volens.service.door.osdp_key import OsdpKey
from volens.service.door.osdp_pairing import pair_with_panel
from volens.service.door.osdp_reader import OsdpReader
from volens.service.door.serial_line import SerialLine
from volens.service.door.wiegand import FORMATS

PACKAGES = ("osdp==1.6", "pyserial==3.5", "pycryptodome>=3.20,<5")

PANEL = """
import json, sys
from osdp import ControlPanel, SerialPortOsdpConnection

class Panel(ControlPanel):
    def on_raw_card_data_reply_received(self, address, card):
        print(json.dumps({"bits": card.bit_count, "data": card.data.hex()}), flush=True)

panel = Panel(bytes.fromhex(sys.argv[2]))
bus = panel.start_connection(SerialPortOsdpConnection(sys.argv[1], 9600))
panel.add_device(bus, int(sys.argv[3]), True, True)
"""


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the other package, from the registry that pip is set to."""
    folder = tmp_path_factory.mktemp("peer")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--only-binary", ":all:", *PACKAGES], check=True)
    return python


@contextmanager
def panel_of(peer: Path, bus: Cable) -> Iterator[subprocess.Popen[str]]:
    script = bus.folder / "panel.py"
    script.write_text(PANEL)
    arguments = [peer, "-I", script, bus.panel, bytes(range(16)).hex(), str(ADDRESS)]
    errors = bus.folder / "panel.log"
    with (
        errors.open("w") as log,
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_another_implementation_pairs_and_gets_the_badge_number(peer: Path, tmp_path: Path) -> None:
    key_file = tmp_path / "osdp.key"
    with cable(tmp_path) as bus:
        line = lambda: SerialLine(bus.device, 9600)  # noqa: E731  a short function
        with panel_of(peer, bus):
            pair_with_panel(line, ADDRESS, key_file, PATIENCE_S)
        with OsdpKey.read(key_file) as key:
            assert bytes(key.buffer) not in bytes(bus.recorded)  # it came encrypted
        # This panel keeps a session for ever after NAK 6, so it begins again.
        with panel_of(peer, bus) as panel:
            reader = OsdpReader(
                line, address=ADDRESS, key_file=key_file, card_format=FORMATS["26"], clock=lambda: 1000.0
            )
            events = RecordedEvents()
            reader.listen(events)
            until_works(reader.poll)
            reader.send_badge(BADGE)
            assert events.wait_for(CardSent) == [CardSent("osdp-reader", was_sent=True)]
            assert panel.stdout is not None
            card = json.loads(panel.stdout.readline())
            reader.close()
    sent = FORMATS["26"].encode(BADGE)
    assert card == {"bits": 26, "data": sent.data.hex()}
    assert sent.data not in bytes(bus.recorded)
