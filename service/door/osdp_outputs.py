"""OSDP in ``--output``: ``osdp:`` drives a reader or a relay board, ``osdp-reader:`` is a reader for a panel."""

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from volens.consent import InputError
from volens.service.door.osdp_panel import OsdpOutput
from volens.service.door.osdp_reader import OsdpReader
from volens.service.door.serial_line import SerialLine, check_baud
from volens.service.door.wiegand import format_named

BAUD: Final = 9600
_LIMITS: Final = {"address": 126, "relay": 255, "reader": 255, "baud": 230_400}
_EXPECTED: Final = {
    "osdp": (
        "osdp:DEVICE?key=FILE&address=0&relay=0&reader=0&baud=9600, or in_clear=yes instead of key",
        {"key", "address", "relay", "reader", "baud", "in_clear"},
    ),
    "osdp-reader": ("osdp-reader:DEVICE?key=FILE&format=26&address=0&baud=9600", {"key", "address", "format", "baud"}),
}


def serial_line(device: str, baud: int) -> Callable[[], SerialLine]:
    """Return a function that opens a serial device.

    Raises:
        InputError: the baud rate is not supported.
    """
    check_baud(baud)
    return lambda: SerialLine(Path(device), baud)


def parse_osdp(kind: str, rest: str) -> OsdpOutput | OsdpReader:
    """Parse an output of kind ``osdp`` or ``osdp-reader``; see `volens.service.door.outputs.parse_output`."""
    device, _, query = rest.partition("?")
    expected, known = _EXPECTED[kind]
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) != len(pairs) or not options.keys() <= known or not device:
        raise InputError(f"got output {f'{kind}:{rest}'[:100]!r}; expected {expected}")
    numbers = {name: parse_number(name, options[name]) for name in options.keys() & _LIMITS.keys()}
    name, address = f"{kind}:{device}", numbers.get("address", 0)
    open_line = serial_line(device, numbers.get("baud", BAUD))
    key_file = Path(options["key"]) if options.get("key") else None
    if kind == "osdp-reader":
        if key_file is None:
            raise InputError(f"got output {name} without a key; make one with 'volens door pair', and give key=FILE")
        card_format = format_named(options.get("format", "26"))
        return OsdpReader(open_line, address=address, key_file=key_file, card_format=card_format, name=name)
    if (key_file is None) == (options.get("in_clear") != "yes"):
        raise InputError(
            f"got output {name} without a key; make one with 'volens door pair' and give key=FILE, or in_clear=yes if "
            "no one else can reach the cable"
        )
    relay, reader = numbers.get("relay", 0), numbers.get("reader", 0)
    return OsdpOutput(open_line, address=address, relay=relay, reader=reader, key_file=key_file, name=name)


def parse_number(name: str, value: str) -> int:
    """Parse a number of an OSDP device.

    Raises:
        InputError: it is not one, or out of range.
    """
    limit = _LIMITS[name]
    if not (value.isascii() and value.isdigit() and len(value) <= 6 and int(value) <= limit):  # noqa: PLR2004
        raise InputError(f"got {name}={value[:20]!r} of an OSDP device; expected a number from 0 to {limit}")
    return int(value)
