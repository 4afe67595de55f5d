"""`volens door`: one door with its camera, its relay and its broker."""

import json
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from volens.consent import parse_purpose
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.options import (
    HomeOption,
    JsonOption,
    LicenceOption,
    PackClaimOption,
    PackOption,
    PackSearchOption,
)
from volens.service.cli.output import STDERR, STDOUT, emit
from volens.service.cli.session import models, opened

app = typer.Typer(help="A door: a camera, decisions, a relay, and a broker that is told.", no_args_is_help=True)

_Config = Annotated[
    Path | None, typer.Option(envvar="VOLENS_DOOR_CONFIG", help="TOML file; see 'volens door example'.")
]
_Zone = Annotated[str | None, typer.Option(help="Which zone's door this is.")]
_Name = Annotated[str | None, typer.Option("--door", help="What it is called, of several in a zone; door.")]
_Mqtt = Annotated[str | None, typer.Option(help="A broker that is told, mqtts://HOST[:PORT].")]
_MqttUser = Annotated[str | None, typer.Option(help="Who the door is to the broker.")]
_MqttPassword = Annotated[Path | None, typer.Option(help="File (0600) with that user's password.")]
_MqttCa = Annotated[Path | None, typer.Option(help="PEM file: the authority of the broker's certificate.")]
_MqttInClear = Annotated[bool | None, typer.Option("--mqtt-in-clear", help="Allow mqtt:// beyond this machine.")]


@app.command("run")
def run(
    zone: _Zone = None,
    door: _Name = None,
    url: Annotated[
        str | None, typer.Option(help="The service that decides, https://HOST:PORT; without it, the site here does.")
    ] = None,
    token: Annotated[Path | None, typer.Option(help="File (0600) with the token of a door's credential.")] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file: the authority of the service's certificate.")] = None,
    camera: Annotated[int | None, typer.Option(min=0, help="A camera of this machine; 0 is the first.")] = None,
    rtsp: Annotated[str | None, typer.Option(help="A camera of the network, rtsp://[USER@]HOST[:PORT]/PATH.")] = None,
    rtsp_password_file: Annotated[Path | None, typer.Option(help="File (0600) with the camera's password.")] = None,
    folder: Annotated[Path | None, typer.Option(help="A folder that images are dropped into.")] = None,
    consume: Annotated[bool | None, typer.Option("--consume", help="Delete each image after it was looked at.")] = None,
    video: Annotated[Path | None, typer.Option(help="A video, for trying out.")] = None,
    max_age_s: Annotated[
        float | None, typer.Option(help="Older images and answers do not open the door; 30.", show_default=False)
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(help="What opens: console, file:PATH, osdp:DEVICE?address=0&relay=0; again for another."),
    ] = None,
    open_s: Annotated[float | None, typer.Option(help="How long it opens for a passage; 5.")] = None,
    when_offline: Annotated[
        str | None, typer.Option(help="While nobody decides: 'secure' keeps it closed, 'safe' holds it open; secure.")
    ] = None,
    offline_after_s: Annotated[
        float | None, typer.Option(help="After how long without a decision that is; 10.", show_default=False)
    ] = None,
    mqtt: _Mqtt = None,
    mqtt_user: _MqttUser = None,
    mqtt_password_file: _MqttPassword = None,
    mqtt_ca: _MqttCa = None,
    mqtt_in_clear: _MqttInClear = None,
    mqtt_subject_ids: Annotated[
        bool | None, typer.Option("--mqtt-subject-ids", help="Tell the broker who was recognised, by subject id.")
    ] = None,
    mqtt_discovery: Annotated[
        bool | None, typer.Option("--mqtt-discovery/--no-mqtt-discovery", help="Introduce it to Home Assistant; yes.")
    ] = None,
    factor_input: Annotated[
        str | None, typer.Option(help="Where badges and PINs are read: - for stdin, a device or a pipe.")
    ] = None,
    factor_input_kind: Annotated[str | None, typer.Option(help="What a bare line is: badge or pin.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="End after so many frames were looked at.")] = None,
    idempotent: Annotated[
        bool, typer.Option("--once", help="End after the first decision, or when a folder or video has no more.")
    ] = False,
    config: _Config = None,
    pack: PackOption = None,
    accept_licence: LicenceOption = None,
    pack_claim: PackClaimOption = None,
    pack_search: PackSearchOption = None,
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document in a line for each event.")] = False,
) -> None:
    """Watch a door until Ctrl-C or SIGTERM. Exit code 3 if it ended by itself and opened for nobody."""
    # FFmpeg tells on stderr, with addresses, what is told in a sentence. It reads this when it is loaded.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    from volens.service.door.door_assembly import Plan  # noqa: PLC0415  loads OpenCV
    from volens.service.door.door_log import DoorLog  # noqa: PLC0415  as above
    from volens.service.door.door_loop import Limits  # noqa: PLC0415  as above
    from volens.service.process.supervision import Supervisor  # noqa: PLC0415  with the others

    said = _said(
        zone=zone,
        door=door,
        url=url,
        token=token,
        ca=ca,
        camera=camera,
        rtsp=rtsp,
        rtsp_password_file=rtsp_password_file,
        folder=folder,
        consume=consume,
        video=video,
        max_age_s=max_age_s,
        output=output or None,
        open_s=open_s,
        when_offline=when_offline,
        offline_after_s=offline_after_s,
        mqtt=mqtt,
        mqtt_user=mqtt_user,
        mqtt_password_file=mqtt_password_file,
        mqtt_ca=mqtt_ca,
        mqtt_in_clear=mqtt_in_clear,
        mqtt_subject_ids=mqtt_subject_ids,
        mqtt_discovery=mqtt_discovery,
        factor_input=factor_input,
        factor_input_kind=factor_input_kind,
    )
    plan = Plan.of(_config(config, said))
    limits = Limits(frames, idempotent, plan.config.max_age_s)
    here = plan.service is None
    site = opened(home, models(pack, accept_licence, pack_claim, pack_search)) if here else nullcontext(None)
    supervisor = Supervisor()
    with site as decides, DoorLog(STDOUT, STDERR, as_json=as_json) as teller:
        watched = plan.door(teller, limits, decides)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: watched.stop())
        supervisor.ready()
        try:
            outcome = watched.run()
        finally:
            supervisor.stopping()
    if outcome.is_by_itself and not outcome.openings:
        raise typer.Exit(ExitCode.NO_MATCH)


@app.command("check")
def check(
    file: Annotated[Path | None, typer.Argument(help="TOML; without it, the environment alone.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would hold, or what is wrong. Files with secrets are read; nothing is opened or connected."""
    from volens.service.door.door_assembly import Plan  # noqa: PLC0415  loads OpenCV

    config = _config(file, {})
    Plan.of(config)
    document = json.loads(config.model_dump_json())
    emit(document, "\n".join(f"{name} = {value}" for name, value in document.items()), as_json=as_json)


@app.command("example")
def example(as_json: JsonOption = False) -> None:
    """Print a file with every setting, what it is for, and what holds without it."""
    from volens.service.door.door_config import PREFIX, DoorConfig  # noqa: PLC0415  loads pydantic
    from volens.service.settings import example_of  # noqa: PLC0415  as above

    text = example_of(DoorConfig, "volens door run", f"{PREFIX}OPEN_S=4")
    emit({"example": text}, text.rstrip("\n"), as_json=as_json)


@app.command("forget")
def forget(
    zone: Annotated[str, typer.Option(help="Which zone's door it was.")],
    mqtt: Annotated[str, typer.Option(help="The broker, mqtts://HOST[:PORT].")],
    door: Annotated[str, typer.Option(help="What it was called.")] = "door",
    mqtt_user: _MqttUser = None,
    mqtt_password_file: _MqttPassword = None,
    mqtt_ca: _MqttCa = None,
    mqtt_in_clear: _MqttInClear = None,
    as_json: JsonOption = False,
) -> None:
    """Have a broker, and Home Assistant with it, forget a door that is no more. End its 'volens door run' first."""
    from volens.service.door.home_assistant import farewells  # noqa: PLC0415  as above
    from volens.service.door.mqtt_bridge import publish_once  # noqa: PLC0415  only here
    from volens.service.door.mqtt_broker import Broker  # noqa: PLC0415  as above
    from volens.service.door.mqtt_messages import Topics  # noqa: PLC0415  as above

    topics = Topics.of(parse_purpose(zone), door)
    broker = Broker.at(mqtt, user=mqtt_user, password_file=mqtt_password_file, ca=mqtt_ca, in_clear=bool(mqtt_in_clear))
    messages = [*farewells(topics), *topics.forgotten()]
    publish_once(broker, messages)
    said = f"forgotten: {topics.base}, {len(messages)} retained messages"
    emit({"forgotten": [message.topic for message in messages]}, said, as_json=as_json)


def _said(**options: Any) -> dict[str, Any]:  # noqa: ANN401  whatever the options hold
    return {name: value for name, value in options.items() if value is not None}


def _config(path: Path | None, said: dict[str, Any]) -> Any:  # noqa: ANN401  DoorConfig, which is imported late
    from volens.service.door.door_config import DoorConfig  # noqa: PLC0415  loads pydantic
    from volens.service.settings import read_settings  # noqa: PLC0415  as above

    # A value from the command line is checked as one from a file is.
    return read_settings(DoorConfig, path, "see 'volens door example'", said)
