"""One module for each contestant. Modules are imported on demand, because peers need their own packages."""

from importlib import import_module
from typing import Final

from benchmarks.matching.contestant import Contestant

NAMES: Final = {
    "faiss-flat": "faiss_flat:FaissFlat",
    "volens": "volens_door:VolensDoor",
    "volens-ungated": "volens_ungated:VolensUngated",
    "volens-2-threads": "volens_door:VolensTwoThreads",
    "volens-2-processes": "volens_processes:VolensTwoProcesses",
    "volens-batch-32": "volens_batch:VolensBatch",
    "faiss-hnsw": "faiss_hnsw:FaissHnsw",
    "faiss-ivf": "faiss_ivf:FaissIvf",
    "faiss-rabitq": "faiss_rabitq:FaissRabitq",
    "hnswlib": "hnswlib_graph:HnswlibGraph",
    "usearch": "usearch_graph:UsearchGraph",
    "voyager": "voyager_graph:VoyagerGraph",
    "pgvector": "pgvector_table:PgvectorTable",
}


def contestant(name: str) -> type[Contestant]:
    """Return the class of a contestant.

    Raises:
        ImportError: a package that it needs is not installed.
    """
    module, _, kind = NAMES[name].partition(":")
    found: type[Contestant] = getattr(import_module(f"benchmarks.matching.contestants.{module}"), kind)
    return found
