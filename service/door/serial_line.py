"""Serial device in raw mode; every operation has a timeout. POSIX only."""

import os
import select
import termios
import time
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, UnavailableError

_BAUDS: Final[dict[int, int]] = {
    baud: getattr(termios, f"B{baud}") for baud in (9600, 19_200, 38_400, 57_600, 115_200, 230_400)
}
_CLOSED: Final = -1


def check_baud(baud: int) -> None:
    """Check a baud rate.

    Raises:
        InputError: it is not supported.
    """
    if baud not in _BAUDS:
        raise InputError(f"got baud={baud}; expected one of {', '.join(str(one) for one in _BAUDS)}")


@final
class SerialLine:
    """An open device: 8 data bits, no parity, 1 stop bit, no translation of characters."""

    def __init__(self, path: Path, baud: int) -> None:
        """Open the device.

        Raises:
            InputError: the baud rate is not supported.
            UnavailableError: the device does not exist, cannot be opened, or is not a serial device.
        """
        check_baud(baud)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UnavailableError(
                f"cannot open {path}: {error.strerror}; check the device and its permissions"
            ) from None
        try:
            self._make_raw(_BAUDS[baud])
        except (OSError, termios.error):
            self.close()
            raise UnavailableError(f"{path} is not a serial device; check --output") from None

    def wait(self, timeout_s: float) -> None:
        """Wait until bytes arrive or the device is gone, or the time is over."""
        self._wait(time.monotonic() + timeout_s, for_writing=False, must=False)

    def write(self, data: bytes, timeout_s: float) -> None:
        """Write all bytes.

        Raises:
            UnavailableError: the timeout is over, or the device was disconnected.
        """
        until = time.monotonic() + timeout_s
        left = memoryview(data)
        while left:
            self._wait(until, for_writing=True)
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise _gone(error) from None

    def read(self, limit: int, timeout_s: float) -> bytes:
        """Return 1 to `limit` bytes; empty if none arrive in time.

        Raises:
            UnavailableError: the device was disconnected.
        """
        if not self._wait(time.monotonic() + timeout_s, for_writing=False, must=False):
            return b""
        try:
            data = os.read(self._descriptor, limit)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise _gone(error) from None
        if not data:
            raise UnavailableError("the serial device was disconnected; connect it again")
        return data

    def discard_input(self) -> None:
        """Discard unread input.

        Raises:
            UnavailableError: the device was disconnected.
        """
        try:
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
        except termios.error as error:
            raise UnavailableError(f"the serial device was disconnected ({error.args[-1]}); connect it again") from None

    def close(self) -> None:
        """Close the device; a second call does nothing, because its number may be another file's by then."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)

    def _wait(self, until: float, *, for_writing: bool, must: bool = True) -> bool:
        left_s = max(0.0, until - time.monotonic())
        wanted = [self._descriptor]
        ready = select.select([] if for_writing else wanted, wanted if for_writing else [], [], left_s)
        if not any(ready) and must:
            raise UnavailableError("the serial device does not accept data; check the cable")
        return any(ready)

    def _make_raw(self, speed: int) -> None:
        _, _, control, _, _, _, characters = termios.tcgetattr(self._descriptor)
        control &= ~(termios.CSIZE | termios.PARENB | termios.CSTOPB | getattr(termios, "CRTSCTS", 0))
        control |= termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(self._descriptor, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])
        termios.tcflush(self._descriptor, termios.TCIOFLUSH)


def _gone(error: OSError) -> UnavailableError:
    return UnavailableError(f"the serial device was disconnected ({error.strerror}); connect it again")
