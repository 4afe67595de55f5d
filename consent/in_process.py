"""Base classes of values that stay in this process: never pickled or copied, and wiped after use if they are secret."""

from typing import NoReturn, Self


class InProcess:
    """A value whose content `repr` does not show and that is not pickled: a capability, an embedding or a secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled or copied; it stays in this process")


class WipedBuffer(InProcess):
    """A copy of secret bytes. Use it as a context manager, or call `wipe` after use."""

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray) -> None:
        self._buffer = bytearray(value)

    @property
    def buffer(self) -> bytearray:
        """The own buffer, not a copy."""
        return self._buffer

    def wipe(self) -> None:
        """Overwrite the bytes with zeros."""
        self._buffer[:] = bytes(len(self._buffer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()
