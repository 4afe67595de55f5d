"""ONNX Runtime sessions with one configuration: CPU only, errors only, a bounded number of threads, no telemetry."""

import os
from pathlib import Path
from typing import Any

from volens.face.face_errors import ModelMissingError


def runtime() -> Any:  # noqa: ANN401  onnxruntime ships no types
    """Import ONNX Runtime with telemetry disabled. Code that imports it in any other way must call this first.

    Raises:
        ImportError: it is not installed, or does not load on this machine.
    """
    # Builds from 1.29 on create a device identifier and send telemetry to the vendor unless this variable is set before
    # the import; disable_telemetry_events() is too late (measured with 1.32).
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415  after the line above; withdrawal must work where it does not load

    return onnxruntime


def session(model: Path | bytes, threads: int) -> Any:  # noqa: ANN401  onnxruntime ships no types
    """Load a folded ONNX file, or its bytes as `ModelCache.read` returns them, into an inference session.

    `threads`, from 1, work inside one call. The default everywhere is 1, because a door's machine does other work too,
    and latency varies less.

    Raises:
        ValueError: `threads` is below 1.
        ModelMissingError: the runtime cannot load it.
    """
    if threads < 1:
        raise ValueError(f"got {threads} threads; expected 1 or more")
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads must not use the CPU between two frames (spinning).
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
