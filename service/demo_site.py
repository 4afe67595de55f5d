"""A throw-away site with sample people, for the demo: in a temporary folder, on loopback, deleted at the end."""

import os
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from volens import Extractor, Site, SubjectKey, TakeHome
from volens.consent import Zone
from volens.enroll import Enrolled
from volens.face import ModelCache, RgbImage
from volens.face.downloads import Source
from volens.service import samples
from volens.service.demo_photos import write_photos
from volens.service.kiosk_link import kiosk_link
from volens.service.sample_notice import HUMAN_WAY, publish_sample_notice
from volens.store.programs import Role

_CONTROLLER: Final = ("Example Ltd", "privacy@example.org")
ZONE: Final = "lobby"
PERSON: Final = "Ada"
_VISITOR: Final = "Visitor of the demo"
_JUSTIFICATION: Final = "hands are full of trays"
_ALTERNATIVE: Final = "a badge at the same doors"
_TRANSLATED: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {},
    "fr": {
        _JUSTIFICATION: "les mains portent des plateaux",
        _ALTERNATIVE: "un badge aux mêmes portes",
        HUMAN_WAY.rstrip("."): "une personne vous ouvre",
    },
    "de": {
        _JUSTIFICATION: "die Hände tragen Tabletts",
        _ALTERNATIVE: "ein Ausweis an denselben Türen",
        HUMAN_WAY.rstrip("."): "der Empfang öffnet Ihnen",
    },
}
"""What the demo's controller says of its lobby, in the language of each notice."""


@dataclass(frozen=True)
class DemoAddresses:
    """What a visitor of the demo opens, in this order, and what is needed for it.

    Attributes:
        home: the first page.
        invitation: the link on which the visitor says yes or no to the lobby.
        kiosk: the link that pairs the browser with the lobby's door.
        door_photo: a photo of the sample person, to hold to the kiosk's camera.
        my_data: the page on which people see and end their consent.
        code: the sample person's withdrawal code.
        verify: the page that checks documents.
        receipt: the sample person's receipt, a document to check.
    """

    home: str
    invitation: str = field(repr=False)
    kiosk: str = field(repr=False)
    door_photo: Path
    my_data: str
    code: str = field(repr=False)
    verify: str
    receipt: Path


def new_site(home: Path, load_extractor: Callable[[], Extractor]) -> tuple[Site, Zone]:
    """Make and open the demo's site, with its zone and notices."""
    Site.create(home, name=_CONTROLLER[0], contact=_CONTROLLER[1]).close()
    site = Site.open(home, load_extractor=load_extractor)
    zone = site.add_zone(
        ZONE,
        title="Lobby",
        custody="operator",
        justification=_JUSTIFICATION,
        alternative=_ALTERNATIVE,
        retention_days=90,
    )
    today = f"{site.now():%Y-%m-%d}"
    site.declarations.declare_zone(ZONE, {"works_agreement": today, "dpia": today})
    for language, translated in _TRANSLATED.items():
        publish_sample_notice(site, ZONE, language, translated=translated)
    return site, zone


def admit(site: Site, name: str, photos: Sequence[RgbImage]) -> tuple[TakeHome, Enrolled]:
    """Record a sample person's consent at the desk, and enroll them."""
    key = SubjectKey.from_seed(os.urandom(32))
    take_home = site.give_consent(site.notice(ZONE, "en"), name=name, jurisdiction="FR", key=key)
    return take_home, site.enroll(take_home.to_json(), photos)


def serve_demo(
    port: int,
    show: Callable[[DemoAddresses], None],
    source: Source = "registry",
    progress: Callable[[str], None] | None = None,
) -> None:
    """Serve a new demo site on loopback until Ctrl-C or SIGTERM, and delete it.

    `show` is called when the pages can be opened. The log of the service is in the folder that is deleted.

    Raises:
        UnavailableError: another program listens on the port, or something is missing on this machine.
        DownloadError: a model or a photo cannot be downloaded.
    """
    from volens.service.http.server import Address, serve_site  # noqa: PLC0415  loads FastAPI
    from volens.service.process import SystemdNotifier  # noqa: PLC0415  as above
    from volens.service.process.service_log import log_to  # noqa: PLC0415  as above
    from volens.service.service_config import ServiceConfig  # noqa: PLC0415  as above
    from volens.service.web.web_routes import add_pages  # noqa: PLC0415  as above

    # Defaults alone: the environment is that of a real service.
    setting = ServiceConfig.model_construct(port=port, public_log_hours=0)
    with Address.of(setting).listen() as listening, tempfile.TemporaryDirectory(prefix="volens-demo-") as name:
        # Until the server handles it, SIGTERM must delete the folder, too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        ModelCache.default().pull(source, progress)
        samples.default_cache().pull(source, progress)
        folder = Path(name)
        site, _zone = new_site(folder / "home", Extractor.load_default)
        with site, (folder / "service.log").open("w", encoding="utf-8") as log:
            addresses = _prepared(site, folder, port)
            notifier = SystemdNotifier(on_ready=lambda: show(addresses))
            serve_site(site, setting, log_to(log), notifier, listening=listening, add_pages=add_pages)


def _prepared(site: Site, folder: Path, port: int) -> DemoAddresses:
    origin = f"http://localhost:{port}"
    site.defaults.set(zone=ZONE, jurisdiction="FR", public_url=origin)
    public = site.defaults.public_url()
    *photos, _again = samples.views(samples.astronaut(), 4)
    take_home, _enrolled = admit(site, PERSON, photos)
    written = write_photos(folder / "photos")
    receipt = folder / "ada.receipt.json"
    receipt.write_bytes(take_home.to_json())
    invited = site.invitations.invite(ZONE, name=_VISITOR, jurisdiction="FR", language="en")
    issued, token = site.programs.credentials.issue(label="kiosk", role=Role.DOOR, zone=ZONE)
    if public is None or take_home.code is None or issued.purpose is None:
        raise RuntimeError("the demo site lacks what was just made; a bug")
    return DemoAddresses(
        home=f"{origin}/",
        invitation=invited.token.link(origin),
        kiosk=kiosk_link(public, issued.purpose, token),
        door_photo=next(one for one in written if one.name == "ada-door.png"),
        my_data=f"{origin}/me",
        code=take_home.code.reveal(),
        verify=f"{origin}/verify",
        receipt=receipt,
    )
