"""DANGER: unseals an embedding. Only `volens.store.people.references` may import this module."""

import numpy as np

from volens.consent import ModelId, TamperError, UnitVector
from volens.consent.embedding import FloatArray, is_unit
from volens.store.keys import sealing
from volens.store.keys.secrets import ReferenceKey


def unseal_embedding(box: bytes, key: ReferenceKey, associated_data: bytes, model_id: ModelId) -> UnitVector:
    """Open a sealed embedding; the caller must wipe the vector.

    Raises:
        TamperError: it does not open, or does not contain a unit vector.
    """
    buffer = bytearray(len(box) - sealing.OVERHEAD_BYTES if len(box) > sealing.OVERHEAD_BYTES else 0)
    try:
        sealing.open_into(box, key, associated_data, buffer)
        return UnitVector(np.frombuffer(buffer, dtype="<f4"))
    except ValueError:
        raise _no_unit_vector(model_id) from None
    finally:
        buffer[:] = bytes(len(buffer))


def unseal_into(
    box: bytes | memoryview, key: ReferenceKey, associated_data: bytes, model_id: ModelId, into: FloatArray
) -> None:
    """Open a sealed embedding into an array of its dimension, which the caller must wipe.

    Raises:
        TamperError: it does not open, or does not contain a unit vector.
    """
    sealing.open_into(box, key, associated_data, into.data.cast("B"))
    if not is_unit(into):
        into.fill(0)
        raise _no_unit_vector(model_id)


def _no_unit_vector(model_id: ModelId) -> TamperError:
    return TamperError(f"integrity: a sealed embedding of model {model_id} does not contain a unit vector")
