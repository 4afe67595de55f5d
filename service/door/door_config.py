"""Settings of `volens door run`: TOML file, then environment (``VOLENS_DOOR_*``), then command line; the last wins."""

from pathlib import Path
from typing import Final, final

from pydantic import Field

from volens.consent import InputError
from volens.identify import USUAL_RULES, AskRules, parse_region
from volens.service.door.door_events import Factor
from volens.service.door.door_state import WhenOffline
from volens.service.door.outputs import MAX_OUTPUTS
from volens.service.settings import Settings

PREFIX: Final = "VOLENS_DOOR_"


@final
class DoorConfig(Settings, env_prefix=PREFIX):
    """All settings with their defaults."""

    zone: str | None = Field(
        None,
        description="The zone of this door. In a zone in which people hold the key (custody subject_key or badge), "
        "they show the QR code of their secret or badge to the camera, and are compared 1:1.",
    )
    door: str = Field("door", description="The door's name in messages, if the zone has several.")

    url: str | None = Field(
        None, description="The service that decides, https://HOST:PORT. Without it, the site on this machine decides."
    )
    token: Path | None = Field(None, description="File (0600) with the token of a credential of role door.")
    ca: Path | None = Field(None, description="PEM file: the CA of the service's certificate, if it is private.")

    lease: bool = Field(
        False,
        description="Hold a lease, and decide with it while the service cannot be reached, for as long as the zone "
        "allows (volens zone change --lease-seconds). The models are loaded here then.",
    )
    site_key: Path | None = Field(None, description="File site.pub of the site, with which leases are checked.")
    lease_journal: Path | None = Field(
        None, description="File that keeps what was decided with a lease. Default: in $STATE_DIRECTORY."
    )

    camera: int | None = Field(None, ge=0, le=63, description="A camera of this machine, by number.")
    rtsp: str | None = Field(None, description="A network camera, rtsp://[USER@]HOST[:PORT]/PATH.")
    rtsp_password_file: Path | None = Field(None, description="File (0600) with the camera's password.")
    folder: Path | None = Field(None, description="A folder into which a program puts images.")
    consume: bool = Field(False, description="Delete each image of the folder after it was processed.")
    folder_state: Path | None = Field(
        None,
        description="File that notes which images were processed. Default: in $STATE_DIRECTORY, or in the folder.",
    )
    video: Path | None = Field(None, description="A video, for tests.")
    max_age_s: float = Field(30.0, gt=0, le=86_400, description="Older images and answers do not open the door.")

    output: list[str] = Field(
        ["console"],
        min_length=1,
        max_length=MAX_OUTPUTS,
        description="What opens the door: console, file:PATH, osdp:DEVICE?key=FILE&relay=0 or "
        "osdp-reader:DEVICE?key=FILE&format=26; one or more.",
    )
    open_s: float = Field(5.0, description="How long the door opens for a visit.")
    when_offline: WhenOffline = Field(
        WhenOffline.SECURE, description="Without decisions, secure keeps the door closed, safe holds it open."
    )
    offline_after_s: float = Field(10.0, description="The door is offline after this time without a decision.")

    mqtt: str | None = Field(None, description="An MQTT broker to notify, mqtts://HOST[:PORT].")
    mqtt_user: str | None = Field(None, description="The door's user name at the broker.")
    mqtt_password_file: Path | None = Field(None, description="File (0600) with that user's password.")
    mqtt_ca: Path | None = Field(None, description="PEM file: the CA of the broker's certificate.")
    mqtt_in_clear: bool = Field(False, description="Allow mqtt:// to other machines.")
    mqtt_subject_ids: bool = Field(False, description="Send the broker the subject id of recognised people.")
    mqtt_discovery: bool = Field(True, description="Announce the door to Home Assistant (MQTT discovery).")

    factor_input: str | None = Field(
        None,
        description="Where badges, PINs and buttons are read, which ask for a decision: - for stdin, a device or a "
        "pipe. Lines: badge:NUMBER, pin:DIGITS, ask (a button); a scanner of QR codes types badge:NUMBER too.",
    )
    factor_input_kind: Factor | None = Field(None, description="What a bare line is: badge or pin.")

    near: float = Field(
        USUAL_RULES.near,
        description="What lets a door compare a face is the trigger of its zone (volens zone change --trigger). With "
        "near, a face asks: its eyes are at least this share of the frame's height apart,",
    )
    region: str = Field(
        ",".join(f"{side:g}" for side in USUAL_RULES.region),
        max_length=200,
        description="its middle is in this part of the frame: left,top,right,bottom, as shares of width and height,",
    )
    dwell: float = Field(USUAL_RULES.dwell_s, description="and it stays there for this many seconds.")
    ask_timeout: float = Field(
        USUAL_RULES.timeout_s, description="Without a decision, a face or a request asks for this many seconds."
    )

    def ask_rules(self) -> AskRules:
        """Return what counts as asking at this door.

        Raises:
            InputError: a value is out of range.
        """
        return AskRules(self.near, parse_region(self.region), self.dwell, self.ask_timeout)

    def zone_name(self) -> str:
        """Return the zone.

        Raises:
            InputError: no zone is set.
        """
        if self.zone is None:
            raise InputError("got no zone; give the zone of this door with --zone")
        return self.zone

    def check_combinations(self) -> None:
        """Check the combination of settings.

        Raises:
            InputError: no source or several, a token without a service, and so on; the message names the first problem.
        """
        sources = [self.camera, self.rtsp, self.folder, self.video]
        if sum(one is not None for one in sources) != 1:
            raise InputError("got no source of frames, or several; give one of --camera, --rtsp, --folder, --video")
        if (self.url is None) != (self.token is None):
            raise InputError("got one of --url and --token; give both, or neither to decide on this machine")
        needs = (
            (self.ca is not None and self.url is None, "--ca", "--url"),
            (self.lease and self.url is None, "--lease", "--url"),
            (self.lease and self.site_key is None, "--lease", "--site-key"),
            (self.site_key is not None and not self.lease, "--site-key", "--lease"),
            (self.lease_journal is not None and not self.lease, "--lease-journal", "--lease"),
            (self.rtsp_password_file is not None and self.rtsp is None, "--rtsp-password-file", "--rtsp"),
            (self.folder_state is not None and self.folder is None, "--folder-state", "--folder"),
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
