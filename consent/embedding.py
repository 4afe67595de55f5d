"""Embeddings: validated unit vectors, bound to the consent or permit under which they were computed."""

import math
from dataclasses import dataclass
from typing import Final, Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from volens.consent.grant import ConsentGrant, ProbePermit
from volens.consent.ids import ModelId
from volens.consent.in_process import InProcess

FloatArray: TypeAlias = NDArray[np.float32]
_NORM_TOLERANCE: Final = 1e-3


@final
class UnitVector(InProcess):
    """A float32 vector of shape (d,), finite, of Euclidean norm 1; a private copy that can be zeroed.

    `array` is a read-only view: numpy refuses writes through it, but a C library may not, so pass it only to
    code that is known to read.
    """

    __slots__ = ("_own",)

    def __init__(self, values: object) -> None:
        """Copy `values`; a float array-like of shape (d,), d >= 2, whose norm is 1 within 0.001.

        Raises:
            ValueError: wrong shape, a NaN or an infinity, or a norm that is not 1.
        """
        own = _own_copy(values)
        norm = float(np.linalg.norm(own))
        if abs(norm - 1.0) > _NORM_TOLERANCE:
            raise ValueError(f"got a vector of norm {norm:.4g}; expected 1; use UnitVector.normalised()")
        self._own = own

    @classmethod
    def normalised(cls, values: object) -> Self:
        """Scale a copy of `values` to norm 1.

        Raises:
            ValueError: wrong shape, a NaN or an infinity, or the zero vector, which has no direction.
        """
        own = _own_copy(values)
        wide = own.astype(np.float64)  # squares of large float32 would overflow
        norm = float(np.linalg.norm(wide))
        wide.fill(0)
        if norm < np.finfo(np.float32).tiny:
            raise ValueError("got the zero vector; expected one with a direction")
        own /= np.float32(norm)
        vector = cls(own)
        own.fill(0)
        return vector

    @property
    def array(self) -> FloatArray:
        """The values: float32 (d,), read-only, valid until `wipe`."""
        view = self._own.view()
        view.flags.writeable = False
        return view

    @property
    def dimension(self) -> int:
        """The number of components, d."""
        return int(self._own.shape[0])

    def wipe(self) -> None:
        """Overwrite the values with zeros; the vector is unusable afterwards."""
        self._own.fill(0)

    def __repr__(self) -> str:
        """Show the shape only, so that no vector reaches a log."""
        return f"UnitVector(dimension={self.dimension})"


def is_unit(values: FloatArray) -> bool:
    """Return whether a vector, float32 (d,), is finite and has norm 1 within 0.001."""
    # An infinity or a NaN makes the square infinite or a NaN, which is not within any distance of 1.
    return abs(math.sqrt(float(np.dot(values, values))) - 1.0) <= _NORM_TOLERANCE


def _own_copy(values: object) -> FloatArray:
    own = np.array(values, dtype=np.float32, copy=True, order="C")
    if own.ndim != 1 or own.shape[0] < 2:  # noqa: PLR2004  a direction needs two dimensions
        raise ValueError(f"got an array of shape {own.shape}; expected (d,) with d >= 2")
    if not bool(np.isfinite(own).all()):
        raise ValueError("got a NaN or an infinity in an embedding; expected finite numbers")
    return own


@final
@dataclass(frozen=True, slots=True, eq=False)
class ConsentedEmbedding(InProcess):
    """An embedding together with the grant that allows it, so that no call can mix values of two people."""

    grant: ConsentGrant
    vector: UnitVector
    model_id: ModelId


@final
@dataclass(frozen=True, slots=True, eq=False)
class ProbeEmbedding(InProcess):
    """An embedding to compare with references. It can be searched with, and there is no way to store it."""

    permit: ProbePermit
    vector: UnitVector
    model_id: ModelId
