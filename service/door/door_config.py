"""How `volens door run` is to run: a TOML file, over it the environment (``VOLENS_DOOR_*``), then the command line."""

from pathlib import Path
from typing import Final, final

from pydantic import Field

from volens.consent import InputError
from volens.service.door.door_events import Factor
from volens.service.door.door_state import WhenOffline
from volens.service.door.outputs import MAX_OUTPUTS
from volens.service.settings import Settings

PREFIX: Final = "VOLENS_DOOR_"


@final
class DoorConfig(Settings, env_prefix=PREFIX):
    """What can be set, with what holds if nothing is."""

    zone: str | None = Field(None, description="Which zone's door this is.")
    door: str = Field("door", description="What this door is called in messages, of several in a zone.")

    url: str | None = Field(
        None, description="The service that decides, https://HOST:PORT; without it, the site on this machine does."
    )
    token: Path | None = Field(None, description="File (0600) with the token of a credential of role door.")
    ca: Path | None = Field(None, description="PEM file: the authority of the service's certificate, if it is private.")

    camera: int | None = Field(None, ge=0, le=63, description="A camera of this machine, by number.")
    rtsp: str | None = Field(None, description="A camera of the network, rtsp://[USER@]HOST[:PORT]/PATH.")
    rtsp_password_file: Path | None = Field(None, description="File (0600) with the camera's password.")
    folder: Path | None = Field(None, description="A folder that images are dropped into.")
    consume: bool = Field(False, description="Delete each image of the folder after it was looked at.")
    video: Path | None = Field(None, description="A video, for trying out.")
    max_age_s: float = Field(30.0, gt=0, le=86_400, description="Older images and answers do not open the door.")

    output: list[str] = Field(
        ["console"],
        min_length=1,
        max_length=MAX_OUTPUTS,
        description="What opens: console, file:PATH, osdp:DEVICE?address=0&relay=0; several may be given.",
    )
    open_s: float = Field(5.0, description="How long the door opens for a passage.")
    when_offline: WhenOffline = Field(
        WhenOffline.SECURE, description="While nobody decides: secure keeps the door closed, safe holds it open."
    )
    offline_after_s: float = Field(10.0, description="After how long without a decision the door is offline.")

    mqtt: str | None = Field(None, description="A broker that is told, mqtts://HOST[:PORT].")
    mqtt_user: str | None = Field(None, description="Who the door is to the broker.")
    mqtt_password_file: Path | None = Field(None, description="File (0600) with that user's password.")
    mqtt_ca: Path | None = Field(None, description="PEM file: the authority of the broker's certificate.")
    mqtt_in_clear: bool = Field(False, description="Allow mqtt:// beyond this machine.")
    mqtt_subject_ids: bool = Field(False, description="Tell the broker who was recognised, by subject id.")
    mqtt_discovery: bool = Field(True, description="Introduce the door to Home Assistant.")

    factor_input: str | None = Field(
        None, description="Where badges and PINs are read: - for stdin, a device or a pipe."
    )
    factor_input_kind: Factor | None = Field(None, description="What a bare line is: badge or pin.")

    def zone_name(self) -> str:
        """Return the zone.

        Raises:
            InputError: none is said.
        """
        if self.zone is None:
            raise InputError("got no zone; say which zone's door this is with --zone")
        return self.zone

    def check_combinations(self) -> None:
        """Refuse what does not go together.

        Raises:
            InputError: no source or several, a token without a service, and so on; a sentence for the first.
        """
        sources = [self.camera, self.rtsp, self.folder, self.video]
        if sum(one is not None for one in sources) != 1:
            raise InputError("got no source of frames, or several; give one of --camera, --rtsp, --folder, --video")
        if (self.url is None) != (self.token is None):
            raise InputError("got one of --url and --token; give both, or neither to decide on this machine")
        needs = (
            (self.ca is not None and self.url is None, "--ca", "--url"),
            (self.rtsp_password_file is not None and self.rtsp is None, "--rtsp-password-file", "--rtsp"),
            (self.consume and self.folder is None, "--consume", "--folder"),
            (self.factor_input_kind is not None and self.factor_input is None, "--factor-input-kind", "--factor-input"),
            (self.mqtt is None and self._has_broker_settings, "options of a broker", "--mqtt"),
        )
        for is_wrong, got, needed in needs:
            if is_wrong:
                raise InputError(f"got {got} without {needed}; give both or neither")

    @property
    def _has_broker_settings(self) -> bool:
        files = (self.mqtt_user, self.mqtt_password_file, self.mqtt_ca)
        return any(one is not None for one in files) or self.mqtt_subject_ids or self.mqtt_in_clear
