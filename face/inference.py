"""ONNX Runtime sessions with one configuration: CPU only, errors only, a bounded number of threads, no telemetry.

All sessions share one memory arena that grows by what is asked for. That of ONNX Runtime's default grows by powers of
two for each session, and keeps it: after five threads had run at once, 180 MB more; now 74 MB, and 6 MB after
`shrinking` (docs/adr/0051).
"""

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from volens.face.face_errors import ModelMissingError

_SAME_AS_REQUESTED: Final = 1  # kSameAsRequested
_FIRST_BYTES: Final = 1 << 20


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


@cache
def shrinking() -> Any:  # noqa: ANN401  onnxruntime ships no types
    """Return the options of a run that gives the free parts of the arena back to the system afterwards; costs 10 ms."""
    options = runtime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


@cache
def _register_arena(onnxruntime: Any) -> None:  # noqa: ANN401  onnxruntime ships no types
    info = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    arena = {"arena_extend_strategy": _SAME_AS_REQUESTED, "initial_chunk_size_bytes": _FIRST_BYTES}
    with suppress(Exception):  # the program that uses this library has registered one; then that is shared
        onnxruntime.create_and_register_allocator(info, onnxruntime.OrtArenaCfg(arena))


def use_calling_threads_only() -> None:
    """Let OpenCV work in the threads that call it, in this process, instead of one more for each CPU. For programs.

    A service has a thread for each frame already. Those of OpenCV would work for a large photo with the priority of a
    door.

    Raises:
        ImportError: it is not installed, or does not load on this machine.
    """
    import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

    cv2.setNumThreads(1)


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
    _register_arena(onnxruntime)
    options.add_session_config_entry("session.use_env_allocators", "1")
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
