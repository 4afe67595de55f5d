"""`python -m benchmarks.http`: the overhead of HTTP, in a minute. `--page` writes the table into its page."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.http.figures import table, write
from benchmarks.http.observing import observe

RESULTS: Final = Path(__file__).parents[1] / "results" / "http" / "identify.json"


def main() -> None:
    """Observe, store and print; or only derive the table from stored results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=__doc__)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only derive the table from the results")
    parser.add_argument("--page", action="store_true", help="and write it into docs/performance.md")
    asked = parser.parse_args()
    if not asked.table:
        with tempfile.TemporaryDirectory() as folder:
            observed = observe(Path(folder) / "home", asked.turns)
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(observed) + "\n", encoding="utf-8")
    kept = json.loads(asked.out.read_text(encoding="utf-8"))
    if asked.page:
        write(kept)
    print(table(kept))


if __name__ == "__main__":
    main()
