"""A door put together from what is set: everything is checked before anything is opened."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import final

from volens import Site
from volens.consent import InputError, parse_purpose
from volens.service.door.broadcast import Broadcast
from volens.service.door.decider import Decider, LocalDecider
from volens.service.door.door_config import DoorConfig
from volens.service.door.door_log import DoorLog
from volens.service.door.door_loop import Door, Limits
from volens.service.door.door_state import DoorRules, Lock
from volens.service.door.factor_input import FactorInput
from volens.service.door.frame_sources import Camera, Source, Video
from volens.service.door.home_assistant import introductions
from volens.service.door.mqtt_bridge import Bridge, check_installed
from volens.service.door.mqtt_broker import Broker
from volens.service.door.mqtt_messages import Topics
from volens.service.door.output_threads import ThreadedOutput
from volens.service.door.outputs import Output, parse_output
from volens.service.door.remote_decider import RemoteDecider
from volens.service.door.service_address import Service
from volens.service.door.watched_folder import Folder


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """What a door will be made of, checked.

    Attributes:
        service: who decides; None for the site on this machine.
    """

    config: DoorConfig
    topics: Topics
    rules: DoorRules
    service: Service | None
    broker: Broker | None

    @classmethod
    def of(cls, config: DoorConfig) -> "Plan":
        """Check what is set, and read the files with secrets; nothing is connected.

        Raises:
            InputError: something is missing, does not go together, or would show a secret.
            UnavailableError: a file cannot be read, or a package is missing.
        """
        config.check_combinations()
        zone = parse_purpose(config.zone_name())
        rules = DoorRules(config.open_s, config.offline_after_s, config.when_offline)
        service = broker = None
        if config.url is not None and config.token is not None:
            service = Service.at(config.url, zone, config.token, config.ca)
        _source(config, ends=False)
        if config.mqtt is not None:
            check_installed()
            broker = Broker.at(
                config.mqtt,
                user=config.mqtt_user,
                password_file=config.mqtt_password_file,
                ca=config.mqtt_ca,
                in_clear=config.mqtt_in_clear,
            )
        for text in config.output:
            parse_output(text, _say_nothing)
        return cls(config, Topics.of(zone, config.door), rules, service, broker)

    def door(self, teller: DoorLog, limits: Limits, site: Site | None) -> Door:
        """Put the door together; the outputs are opened.

        Args:
            teller: who tells whoever runs it.
            limits: when it ends by itself.
            site: who decides if there is no service.
        """
        config, bridge = self.config, None
        if self.broker is not None:
            introduced = introductions(self.topics, version("volens")) if config.mqtt_discovery else []
            bridge = Bridge(self.broker, self.topics, introduced)
        outputs: list[Output] = [parse_output(text, teller.output) for text in config.output]
        factors = None
        if config.factor_input is not None:
            factors = FactorInput(config.factor_input, config.factor_input_kind)
        return Door(
            self.rules,
            _source(config, ends=limits.idempotent),
            self._decider(site),
            [ThreadedOutput(output) for output in outputs],
            teller,
            Broadcast(self.topics, bridge, with_subject_ids=config.mqtt_subject_ids),
            factor_input=factors,
            limits=limits,
        )

    def _decider(self, site: Site | None) -> Decider:
        if self.service is not None:
            return RemoteDecider(self.service, self.topics.zone)
        if site is None:
            raise InputError("got neither a service nor a site; give --url and --token, or --home")
        return LocalDecider(site, self.topics.zone)


def _source(config: DoorConfig, *, ends: bool) -> Source:
    if config.camera is not None:
        return Camera.number(config.camera)
    if config.rtsp is not None:
        return Camera.at(config.rtsp, config.rtsp_password_file)
    if config.folder is not None:
        return Folder(config.folder, consume=config.consume, max_age_s=config.max_age_s, ends=ends)
    if config.video is not None:
        return Video(config.video)
    raise InputError("got no source of frames; give one of --camera, --rtsp, --folder, --video")


def _say_nothing(lock: Lock, seconds: float | None) -> None:
    """Stand for a console while a plan is checked."""
