"""Start of a door: ``python -m benchmarks.matching.opening HOME DIMENSION`` prints when it has answered one probe."""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Open the site, identify a synthetic face, and print the time after each step."""
    stamps = {"started": time.time_ns()}
    import numpy as np  # noqa: PLC0415  the import is a part of the start

    from benchmarks.matching.population import MODEL, ZONE  # noqa: PLC0415  as above
    from volens import Site  # noqa: PLC0415  as above
    from volens.consent import ProbeEmbedding, Purpose, UnitVector, permit_probe  # noqa: PLC0415  as above
    from volens.index import identify  # noqa: PLC0415  as above
    from volens.store.promises import zone_of  # noqa: PLC0415  as above

    stamps["imported"] = time.time_ns()
    home, dimension = sys.argv[1:]
    with Site.open(Path(home)) as site:
        stamps["opened"] = time.time_ns()
        store, galleries = site.installation.store, site.installation.galleries
        with store.read() as connection:
            permit = permit_probe(zone_of(connection, Purpose(ZONE)))
        face = np.random.default_rng(0).standard_normal(int(dimension))
        probe = ProbeEmbedding(permit, UnitVector.normalised(face.astype(np.float32)), MODEL)
        identify(store, galleries, probe, 0.9, store.now())
        stamps["searchable"] = time.time_ns()
    print(json.dumps(stamps))


if __name__ == "__main__":
    main()
