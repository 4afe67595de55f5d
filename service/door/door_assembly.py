"""Assembly of a door from its settings: all settings are checked before anything is opened or connected."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, final

from volens import Site
from volens.consent import InputError, parse_purpose
from volens.face import Extractor
from volens.service.door.addresses import Broker, ServiceAddress
from volens.service.door.decider import Decider, LocalDecider
from volens.service.door.door_config import DoorConfig
from volens.service.door.door_log import DoorLog
from volens.service.door.door_loop import Door, Limits
from volens.service.door.door_state import DoorRules
from volens.service.door.factor_input import FactorInput
from volens.service.door.frame_sources import Camera, Source, Video
from volens.service.door.heartbeat import Beat, ServiceBeat, SiteBeat
from volens.service.door.home_assistant import discovery_messages
from volens.service.door.lease_settings import LeaseSettings
from volens.service.door.mqtt_bridge import Bridge, load_aiomqtt
from volens.service.door.mqtt_messages import Topics
from volens.service.door.output_threads import ThreadedOutput
from volens.service.door.outputs import ListeningOutput, Output, PanelOutput, parse_output
from volens.service.door.remote_decider import ANSWER_TIMEOUT_S, RemoteDecider
from volens.service.door.watched_folder import Folder

LEASED_ANSWER_TIMEOUT_S: Final = 4.0
"""How long a door with a lease waits for the service, before it decides by itself."""


@final
@dataclass(frozen=True, slots=True)
class DoorPlan:
    """The checked parts of a door.

    Attributes:
        service: the service that decides; None for the site on this machine.
        leases: with which the door decides while the service cannot be reached; None without `--lease`.
    """

    config: DoorConfig
    topics: Topics
    rules: DoorRules
    service: ServiceAddress | None
    broker: Broker | None
    leases: LeaseSettings | None = None

    @classmethod
    def of(cls, config: DoorConfig) -> "DoorPlan":
        """Check the settings and read the files with secrets; nothing is connected.

        Raises:
            InputError: a setting is missing, conflicts with another one, or would reveal a secret.
            UnavailableError: a file cannot be read, or a package is missing.
        """
        config.check_combinations()
        config.ask_rules()
        zone = parse_purpose(config.zone_name())
        rules = DoorRules(
            config.open_s, config.offline_after_s, config.when_offline, matches_to_panel=config.url is None
        )
        service = broker = None
        if config.url is not None and config.token is not None:
            service = ServiceAddress.from_url(
                config.url, zone, config.token, config.ca, photos=config.folder is not None
            )
        _source(config, end_when_empty=False)
        if config.mqtt is not None:
            load_aiomqtt()
            broker = Broker.from_url(
                config.mqtt,
                user=config.mqtt_user,
                password_file=config.mqtt_password_file,
                ca=config.mqtt_ca,
                in_clear=config.mqtt_in_clear,
            )
        outputs = [parse_output(text, lambda *_: None) for text in config.output]
        lines = [output.name for output in outputs if isinstance(output, ListeningOutput)]
        if len(set(lines)) != len(lines):
            raise InputError("got a serial device in several outputs; an OSDP line has one device, so give it once")
        for output in outputs:
            if isinstance(output, PanelOutput) and config.url is not None and not config.lease:
                raise InputError(
                    "got an osdp-reader with --url; a badge number does not leave the site's machine, so run this door "
                    "there, without --url and --token, or with --lease to pass on badges that are read here"
                )
        if config.lease and all(isinstance(output, PanelOutput) for output in outputs):
            raise InputError(
                "got no output that opens this door; with --lease an osdp-reader only passes on badges that are read "
                "here, after a lease; give another --output as well"
            )
        topics = Topics(zone, config.door, config.mqtt_subject_ids)
        leases = None if service is None or not config.lease else LeaseSettings.of(config, service, zone)
        return cls(config, topics, rules, service, broker, leases)

    def build(self, log: DoorLog, limits: Limits, site: Site | None, load_extractor: Callable[[], Extractor]) -> Door:
        """Build the door; this starts the outputs. `site` decides if there is no service; leases need the models."""
        config, bridge = self.config, None
        if self.broker is not None:
            discovery = discovery_messages(self.topics, version("volens")) if config.mqtt_discovery else []
            bridge = Bridge(self.broker, self.topics, discovery)
        outputs: list[Output] = [parse_output(text, log.output) for text in config.output]
        sends_badges = any(isinstance(output, PanelOutput) for output in outputs)
        factors = None if config.factor_input is None else FactorInput(config.factor_input, config.factor_input_kind)
        return Door(
            self.rules,
            _source(config, end_when_empty=limits.once),
            self._decider(site, load_extractor, with_badge_numbers=sends_badges),
            [ThreadedOutput(output) for output in outputs],
            log,
            self.topics,
            bridge=bridge,
            factor_input=factors,
            limits=limits,
        )

    def beat(self, site: Site | None, watched: Door) -> Beat:
        """Return what sends the heartbeats of a door that `build` has built."""
        if self.service is not None or site is None:
            return ServiceBeat(self._remote(), self.config.door)
        return SiteBeat(site, self.topics.zone, self.config.door, lambda: watched.decided_at)

    def _decider(
        self, site: Site | None, load_extractor: Callable[[], Extractor], *, with_badge_numbers: bool
    ) -> Decider:
        if self.service is not None:
            timeout_s = ANSWER_TIMEOUT_S if self.leases is None else LEASED_ANSWER_TIMEOUT_S
            rules = self.config.ask_rules()
            remote = RemoteDecider(self.service, self.topics.zone, answer_timeout_s=timeout_s, rules=rules)
            if self.leases is None:
                return remote
            return self.leases.decider(remote, load_extractor, photos=self.config.folder is not None)
        if site is None:
            raise InputError("got neither a service nor a site; give --url and --token, or --home")
        photos, rules = self.config.folder is not None, self.config.ask_rules()
        return LocalDecider(site, self.topics.zone, photos=photos, rules=rules, with_badge_numbers=with_badge_numbers)

    def _remote(self) -> ServiceAddress:
        if self.service is None:
            raise InputError("got neither a service nor a site; give --url and --token, or --home")
        return self.service


def _source(config: DoorConfig, *, end_when_empty: bool) -> Source:
    if config.camera is not None:
        return Camera.local(config.camera)
    if config.rtsp is not None:
        return Camera.network(config.rtsp, config.rtsp_password_file)
    if config.folder is not None:
        return Folder(
            config.folder,
            consume=config.consume,
            max_age_s=config.max_age_s,
            end_when_empty=end_when_empty,
            door=config.door,
            state=config.folder_state,
        )
    if config.video is not None:
        return Video(config.video)
    raise InputError("got no source of frames; give one of --camera, --rtsp, --folder, --video")
