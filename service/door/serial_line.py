"""A serial device, raw, with a time limit on everything. POSIX only."""

import os
import select
import termios
import time
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, UnavailableError

_BAUDS: Final = {
    9600: termios.B9600,
    19_200: termios.B19200,
    38_400: termios.B38400,
    57_600: termios.B57600,
    115_200: termios.B115200,
    230_400: termios.B230400,
}


@final
class SerialLine:
    """An open device: eight bits, no parity, one stop bit, nothing translated."""

    def __init__(self, path: Path, baud: int) -> None:
        """Open it.

        Raises:
            InputError: no device runs at this speed.
            UnavailableError: it is not there, not ours to open, or no serial device.
        """
        if baud not in _BAUDS:
            raise InputError(f"got baud={baud}; expected one of {', '.join(str(one) for one in _BAUDS)}")
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UnavailableError(f"cannot open {path}: {error.strerror}; check the device and its rights") from None
        try:
            self._make_raw(_BAUDS[baud])
        except (OSError, termios.error):
            os.close(self._descriptor)
            raise UnavailableError(f"{path} is no serial device; check --output") from None

    def write(self, data: bytes, within_s: float) -> None:
        """Write all of it.

        Raises:
            UnavailableError: it takes longer, or the device is gone.
        """
        until = time.monotonic() + within_s
        left = memoryview(data)
        while left:
            self._wait(until, for_writing=True)
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise _gone(error) from None

    def read(self, limit: int, within_s: float) -> bytes:
        """Return what is there, at least one byte and at most `limit`; nothing if nothing comes in time.

        Raises:
            UnavailableError: the device is gone.
        """
        if not self._wait(time.monotonic() + within_s, for_writing=False, must=False):
            return b""
        try:
            data = os.read(self._descriptor, limit)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise _gone(error) from None
        if not data:
            raise UnavailableError("the serial device is gone; connect it again")
        return data

    def forget(self) -> None:
        """Throw away what came and was not read."""
        termios.tcflush(self._descriptor, termios.TCIFLUSH)

    def close(self) -> None:
        """Give the device back."""
        os.close(self._descriptor)

    def _wait(self, until: float, *, for_writing: bool, must: bool = True) -> bool:
        left_s = max(0.0, until - time.monotonic())
        wanted = [self._descriptor]
        ready = select.select([] if for_writing else wanted, wanted if for_writing else [], [], left_s)
        if not any(ready) and must:
            raise UnavailableError("the serial device takes nothing; check the cable")
        return any(ready)

    def _make_raw(self, speed: int) -> None:
        _, _, control, _, _, _, characters = termios.tcgetattr(self._descriptor)
        control &= ~(termios.CSIZE | termios.PARENB | termios.CSTOPB | getattr(termios, "CRTSCTS", 0))
        control |= termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(self._descriptor, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])
        termios.tcflush(self._descriptor, termios.TCIOFLUSH)


def _gone(error: OSError) -> UnavailableError:
    return UnavailableError(f"the serial device is gone ({error.strerror}); connect it again")
