"""OSDP pairing: a device and a panel agree on the key of the secure channel, once, in install mode.

In install mode both sides use a key that is printed in the standard (SCBK-D), and one sends the other the real key. So
someone who listens to the cable at that moment learns it: pair with a short cable, before the device is mounted.

1. As the panel, this program makes the key. It is in a draft next to the key file before it is sent, and gets its name
   when the device proved that it has it. After a failure the draft is tried again, because the device may have it.
2. As the reader, this program takes the key that the panel sends, and proves that it has it.
3. A key file that exists ends it: a paired device does not go back into install mode by itself.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, UnavailableError, VolensError
from volens.service.door.osdp_channel import Line, LineChannel
from volens.service.door.osdp_key import OsdpKey
from volens.service.door.osdp_library import Message, OsdpLibrary, PanelContext, PeripheralContext
from volens.service.door.osdp_link import OsdpLink

PAIRING_S: Final = 60.0
_DRAFT: Final = ".unconfirmed"


@final
@dataclass(slots=True)
class _Progress:
    """What the link has seen."""

    is_paired: threading.Event = field(default_factory=threading.Event)
    is_answered: bool = False
    problem: str = ""


def refuse_if_paired(key_file: Path) -> None:
    """Refuse install mode after pairing.

    Raises:
        InputError: there is a key file.
    """
    # 3.
    if key_file.exists():
        raise InputError(
            f"got {key_file}, which exists: this device is paired; to pair it again, set the device back to install "
            "mode, and remove the file"
        )


def pair_with_device(open_line: Callable[[], Line], address: int, key_file: Path, timeout_s: float = PAIRING_S) -> None:
    """Give a reader or a relay board a new key, and write the key file.

    Raises:
        InputError: the key file exists.
        UnavailableError: the device does not answer, or is not in install mode, or the library is not installed.
    """
    refuse_if_paired(key_file)
    library = OsdpLibrary()
    open_line().close()
    draft = key_file.with_name(key_file.name + _DRAFT)
    # 1.
    if not draft.exists():
        with OsdpKey.generate() as new:
            new.write(draft)
    progress = _Progress()

    def make(channel: LineChannel) -> PanelContext:
        with OsdpKey.read(draft) as key:
            return library.panel(channel, address, bytes(key.buffer), handle, enforce=False)

    def handle(event: Message) -> None:
        kind = library.kind_of_event(event)
        if kind == "secure":
            progress.is_paired.set()
        elif kind == "online" and not progress.is_paired.is_set():
            progress.problem = "is not in install mode; set it back as its maker says"
        if kind in {"offline", "online"} and not progress.is_paired.is_set():
            link.restart(failed=True)

    link = OsdpLink("osdp-pairing", address, open_line, make, _follow(progress))
    _wait(link, progress, timeout_s, f"the OSDP device at address {address}")
    draft.rename(key_file)


def pair_with_panel(open_line: Callable[[], Line], address: int, key_file: Path, timeout_s: float = PAIRING_S) -> None:
    """Take a new key from a panel, as its reader, and write the key file.

    Raises:
        InputError: the key file exists.
        UnavailableError: the panel does not poll, or sends no key, or the library is not installed.
    """
    refuse_if_paired(key_file)
    library = OsdpLibrary()
    open_line().close()
    progress = _Progress(problem="polls, but sends no key; start pairing (install mode) at the panel")

    def make(channel: LineChannel) -> PeripheralContext:
        return library.peripheral(channel, address, None, obey)

    def obey(command: Message) -> bool:
        new = library.new_key_of(command)
        if new is None:
            return True
        # 2.
        try:
            with OsdpKey(new) as key:
                key.write(key_file, replace=True)
        except VolensError as error:
            progress.problem = str(error)
            return False
        return True

    def step(context: PeripheralContext, channel: LineChannel) -> None:
        follow(context, channel)
        if key_file.exists() and context.is_sc_active():
            progress.is_paired.set()

    follow = _follow(progress)
    link = OsdpLink("osdp-pairing", address, open_line, make, step)
    _wait(link, progress, timeout_s, f"the panel of the OSDP reader at address {address}")


def _follow(progress: _Progress) -> Callable[[object, LineChannel], None]:
    def step(_: object, channel: LineChannel) -> None:
        progress.is_answered = progress.is_answered or channel.received > 0

    return step


def _wait(
    link: OsdpLink[PanelContext] | OsdpLink[PeripheralContext], progress: _Progress, timeout_s: float, who: str
) -> None:
    link.start()
    until = time.monotonic() + timeout_s
    try:
        while not progress.is_paired.wait(0.1):
            if time.monotonic() >= until:
                why = progress.problem if progress.is_answered else "does not answer; check its power and its cable"
                raise UnavailableError(link.problem or f"{who} {why or 'did not take the key; try again'}")
    finally:
        link.close()
