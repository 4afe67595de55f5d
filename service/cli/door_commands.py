"""`volens door`: run one door: a camera, decisions, an output that opens it, and an MQTT broker."""

import os
import signal
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from volens import Site
from volens.consent import parse_purpose
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.options import HomeOption, PackOptions, SettingsOptions
from volens.service.cli.output import STDERR, STDOUT, counted
from volens.service.cli.session import models, opened
from volens.service.door import PREFIX, Broker, DoorConfig, DoorLog, Limits, Topics, removal_messages
from volens.service.process import StopKeeper, SystemdNotifier
from volens.service.settings import example_of, read_settings

BAUD = 9600
app = Commands("door", "Run a door: camera, decisions, relay, MQTT.")

_Options = Annotated[dict[str, Any], SettingsOptions(DoorConfig)]
_BrokerOptions = Annotated[
    dict[str, Any], SettingsOptions(DoorConfig, "mqtt_user", "mqtt_password_file", "mqtt_ca", "mqtt_in_clear")
]


class PairedAs(StrEnum):
    """What this door is in OSDP."""

    PANEL = "panel"
    READER = "reader"


@app.command("run", "--zone lobby --camera 0 --output file:/run/door/relay")
def run(
    options: _Options,
    frames: Annotated[int | None, typer.Option(min=1, help="End after this many frames.")] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End after the first decision, or when a folder or video has no more.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(envvar="VOLENS_DOOR_CONFIG", help="TOML file; see 'volens door example'.")
    ] = None,
    pack: PackOptions = PackOptions(),
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document in a line for each event.")] = False,
) -> None:
    """Run a door until Ctrl-C or SIGTERM. Exit code 3 if it ended by itself and never opened."""
    # FFmpeg prints errors with addresses on stderr; Volens reports them itself. FFmpeg reads this when it is loaded.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    from volens.service.door.door_assembly import DoorPlan  # noqa: PLC0415  loads websockets
    from volens.service.door.heartbeat import Heartbeats  # noqa: PLC0415  only here

    plan = DoorPlan.of(_config(config, options))
    limits = Limits(frames, once, plan.config.max_age_s)
    here = plan.service is None
    load = cache(models(pack))
    site = opened(home, load) if here else nullcontext(None)
    supervisor = SystemdNotifier()
    with site as decider, _stop_keeper(decider), DoorLog(STDOUT, STDERR, as_json=as_json) as log:
        watched = plan.build(log, limits, decider, load)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: watched.stop())
        supervisor.ready()
        try:
            with Heartbeats(plan.beat(decider, watched)):
                outcome = watched.run()
        finally:
            supervisor.stopping()
    if outcome.ended_by_itself and not outcome.openings:
        raise typer.Exit(ExitCode.NO_MATCH)


def _stop_keeper(site: Site | None) -> AbstractContextManager[object]:
    """Let other processes tell this one about withdrawals, if it decides by itself."""
    return nullcontext() if site is None else StopKeeper(site)


@app.command("check", "/etc/volens/door.toml")
def check(
    file: Annotated[Path | None, typer.Argument(help="TOML file. Default: the environment alone.")] = None,
) -> Output:
    """Check a door's configuration: print all settings, or what is wrong. Nothing is opened or connected."""
    from volens.service.door.door_assembly import DoorPlan  # noqa: PLC0415  loads websockets

    config = _config(file, {})
    DoorPlan.of(config)
    document = config.model_dump(mode="json")
    return document, "\n".join(f"{name} = {value}" for name, value in document.items())


@app.command("example")
def example() -> Output:
    """Print a configuration file with every setting, its purpose and its default."""
    text = example_of(DoorConfig, "volens door run", f"{PREFIX}OPEN_S=4")
    return {"example": text}, text.rstrip("\n")


@app.command("forget", "--zone lobby --mqtt mqtts://broker.example")
def forget(
    broker: _BrokerOptions,
    zone: Annotated[str, typer.Option(help="The zone of the door.")],
    mqtt: Annotated[str, typer.Option(help="The broker, mqtts://HOST[:PORT].")],
    door: Annotated[str, typer.Option(help="The door's name.")] = "door",
) -> Output:
    """Delete a removed door from the broker and from Home Assistant. End its 'volens door run' first."""
    from volens.service.door.mqtt_bridge import publish_once  # noqa: PLC0415  only here

    topics = Topics(parse_purpose(zone), door)
    target = Broker.from_url(mqtt, **{name.removeprefix("mqtt_"): value for name, value in broker.items()})
    messages = [*removal_messages(topics), *topics.clear_messages()]
    publish_once(target, messages)
    text = f"deleted {topics.base}: {counted(len(messages), 'retained message')}"
    return {"forgotten": [message.topic for message in messages]}, text


@app.command("pair", "/dev/ttyUSB0 --as panel --key door.osdp-key")
def pair(
    device: Annotated[Path, typer.Argument(help="The serial device.", show_default=False)],
    role: Annotated[
        PairedAs,
        typer.Option("--as", help="What this door is: the panel of a reader or relay board, or a reader of a panel."),
    ],
    key: Annotated[Path, typer.Option(help="The key file to write (0600).")],
    address: Annotated[int, typer.Option(min=0, max=126, help="OSDP address of the reader or relay board.")] = 0,
    baud: Annotated[int, typer.Option(help="Baud rate.")] = 9600,
    wait_s: Annotated[float, typer.Option(min=1, max=3600, help="How long to try.")] = 60.0,
) -> Output:
    """Agree on the key of OSDP's secure channel with a device or panel in install mode. Use a short cable."""
    from volens.service.door.osdp_outputs import serial_line  # noqa: PLC0415  POSIX only
    from volens.service.door.osdp_pairing import pair_with_device, pair_with_panel  # noqa: PLC0415  only here

    paired = pair_with_device if role is PairedAs.PANEL else pair_with_panel
    paired(serial_line(str(device), baud), address, key, wait_s)
    kind = "osdp" if role is PairedAs.PANEL else "osdp-reader"
    output = f"{kind}:{device}?key={key.absolute()}&address={address}" + (f"&baud={baud}" if baud != BAUD else "")
    return {"key_file": str(key), "output": output}, f"paired; use it with --output '{output}'"


def _config(path: Path | None, overrides: dict[str, Any]) -> DoorConfig:
    return read_settings(DoorConfig, path, "see 'volens door example'", overrides)
