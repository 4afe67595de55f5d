"""`volens` with recorded embeddings in place of models: `python -m benchmarks.fleet.node_program FILE serve ...`."""

import sys
from pathlib import Path

from volens.memory_wiping import restart_wiping
from volens.quick_imports import quick_imports


def main() -> None:
    """Replace the loader of the default models, and run the command line."""
    restart_wiping()  # as the program does, before anything else is imported
    file = Path(sys.argv.pop(1))
    with quick_imports():
        from benchmarks.fleet.recorded_faces import RecordedFaces, recorded_extractor  # noqa: PLC0415  after the restart
        from volens.service.cli import session  # noqa: PLC0415  likewise

    vars(session)["default_models"] = lambda: recorded_extractor(RecordedFaces.read(file))
    from volens.program import main as run  # noqa: PLC0415  likewise

    run()


if __name__ == "__main__":
    main()
