"""The site that a command works on, with the models it asks for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from volens import Extractor, Site
from volens.consent import InputError
from volens.service.cli.options import home_folder
from volens.service.cli.output import tell, warn


@contextmanager
def opened(
    home: Path | None,
    load_extractor: Callable[[], Extractor] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Site]:
    """Open the site; say on stderr if an erasure could not be finished, or if the sweep is late."""
    with Site.open(home_folder(home), load_extractor=load_extractor or default_models, progress=progress) as site:
        if site.unfinished is not None:
            warn(str(site.unfinished))
        orders = site.cohorts.under_way()
        if orders:
            warn(f"{len(orders)} orders to erase were begun and not finished; run 'volens erase resume'")
        late = site.clocks.quick_alarm()
        if late is not None:
            warn(str(late))
        yield site


def default_models() -> Extractor:
    """Load YuNet and SFace, and fetch them first if this machine has not got them."""
    from volens.face import ModelCache  # noqa: PLC0415  loads what most commands do without

    cache = ModelCache.default()
    cache.pull(progress=tell)
    return Extractor.load_default(cache)


def models(
    pack: Path | None, accept_licence: str | None, claim: float | None, search: float | None
) -> Callable[[], Extractor]:
    """Return a loader of the default models, or of a pack.

    Raises:
        InputError: a pack without its thresholds, or thresholds without a pack.
    """
    if pack is None:
        if accept_licence is not None or claim is not None or search is not None:
            raise InputError("got options of a pack but no --pack; name the pack's folder")
        return default_models
    if claim is None or search is None or not (-1 <= claim <= 1 and -1 <= search <= 1):
        raise InputError(
            "got --pack without thresholds; give --pack-claim and --pack-search, cosine similarities that were "
            "measured for this model, for those of SFace do not carry over"
        )

    def load() -> Extractor:
        from volens.face import YUNET, ModelCache, Thresholds, YuNetDetector, load_pack  # noqa: PLC0415  as above

        thresholds = Thresholds(claim, (1, search), (2, search), search)
        embedder = load_pack(pack, accept_licence=accept_licence, thresholds=thresholds)
        cache = ModelCache.default()
        cache.pull(progress=tell)
        return Extractor(YuNetDetector(cache.read(YUNET.name)), embedder)

    return load
