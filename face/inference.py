"""ONNX Runtime sessions, made the same way everywhere: on the processor, quiet, with a bounded number of threads."""

import os
from pathlib import Path
from typing import Any, Final

from volens.face.face_errors import ModelMissingError

_ERRORS_ONLY = 3
# ONNX Runtime's own builds (1.29 and later) make a device identifier and report to their maker unless this is set
# before they are imported; disable_telemetry_events() comes too late (measured with 1.32).
_TELEMETRY_OFF: Final = "ORT_DISABLE_TELEMETRY"


def runtime() -> Any:  # noqa: ANN401  onnxruntime ships no types
    """Import ONNX Runtime so that it reports to nobody. Whatever else imports it must call this first.

    Raises:
        ImportError: it is not installed, or does not load here.
    """
    os.environ[_TELEMETRY_OFF] = "1"
    import onnxruntime  # noqa: PLC0415  after the line above; and what ends a consent must run where this does not

    return onnxruntime


def session(model: Path | bytes, threads: int) -> Any:  # noqa: ANN401  onnxruntime ships no types
    """Load a model.

    Args:
        model: a folded ONNX file, or its bytes as `ModelCache.read` returns them.
        threads: threads used inside one call, from 1. One is the default everywhere: a door's machine does other work
            too, and latency stays even.

    Raises:
        ValueError: `threads` is below 1.
        ModelMissingError: the runtime cannot load it.
    """
    if threads < 1:
        raise ValueError(f"got {threads} threads; expected 1 or more")
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads must not spin between two frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the runtime's exceptions share no public base class
        raise ModelMissingError(
            f"ONNX Runtime cannot load the model ({type(error).__name__}); expected a folded file from the model "
            "cache; run 'volens models pull'"
        ) from error
