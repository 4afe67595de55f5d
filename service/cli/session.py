"""The site that a command works on, and the models that it loads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from volens import Extractor, Site
from volens.consent import InputError
from volens.consent.zone import FpirTarget
from volens.service.cli.options import PackOptions, home_folder
from volens.service.cli.output import counted, info, warn


@contextmanager
def opened(
    home: Path | None,
    load_extractor: Callable[[], Extractor] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Site]:
    """Open the site; warn on stderr if an erasure is not finished, or if the sweep is late."""
    with Site.open(home_folder(home), load_extractor=load_extractor or default_models, progress=progress) as site:
        if (repair := site.keyring_repair) is not None:
            warn(
                f"the keyring was an older copy, {counted(repair.entries, 'entry', 'entries')} behind the data; "
                f"{counted(repair.destroyed_secrets, 'secret')} of erased consents in it destroyed again; find out "
                "where the copy came from"
            )
        if site.unfinished is not None:
            warn(str(site.unfinished))
        if orders := len(site.cohorts.unfinished()):
            warn(f"{counted(orders, 'erasure order')} not finished; run 'volens erase resume'")
        late = site.clocks.quick_alarm()
        if late is not None:
            warn(str(late))
        yield site


def default_models() -> Extractor:
    """Load YuNet and SFace; download them first if this machine does not have them."""
    from volens.face import ModelCache  # noqa: PLC0415  loads what most commands do without

    cache = ModelCache.default()
    cache.pull(progress=info)
    return Extractor.load_default(cache)


def models(options: PackOptions) -> Callable[[], Extractor]:
    """Return a loader of the default models, or of a pack.

    Raises:
        InputError: a pack without its thresholds, or thresholds without a pack; a licence without a liveness pack.
    """
    if options.liveness_pack is None:
        if options.liveness_licence is not None:
            raise InputError("got --liveness-licence but no --liveness-pack; pass the folder of the liveness model")
        return _recognition(options)
    load, folder = _recognition(options), options.liveness_pack

    def load_both() -> Extractor:
        from volens.face.liveness_pack import load_liveness_pack  # noqa: PLC0415  as above

        liveness = load_liveness_pack(folder, accept_licence=options.liveness_licence)
        return load().with_liveness(liveness)

    return load_both


def _recognition(options: PackOptions) -> Callable[[], Extractor]:
    pack, claim, search, strict = options.pack, options.pack_claim, options.pack_search, options.pack_search_strict
    if pack is None:
        if options.has_embedder_options:
            raise InputError("got options for a pack but no --pack; pass the pack's folder with --pack")
        return default_models
    if claim is None or search is None or not all(-1 <= one <= 1 for one in (claim, search, strict or 0)):
        raise InputError(
            "got --pack without thresholds; pass --pack-claim and --pack-search, cosine similarities measured for "
            "this model (the thresholds of SFace do not fit another model)"
        )
    if strict is not None and strict < search:
        raise InputError(
            f"got --pack-search-strict {strict} below --pack-search {search}; expected the threshold for 0.01 % of "
            "strangers accepted, which is not lower than the one for 0.1 %"
        )

    def load() -> Extractor:
        from volens.face import YUNET, ModelCache, Thresholds, YuNetDetector, load_pack  # noqa: PLC0415  as above
        from volens.face.thresholds import ThresholdCurve  # noqa: PLC0415  as above

        curves = {FpirTarget.ORDINARY: ThresholdCurve(search, 0.0)}
        if strict is not None:
            curves[FpirTarget.STRICT] = ThresholdCurve(strict, 0.0)
        thresholds = Thresholds(claim, curves, measured_up_to=1)
        embedder = load_pack(
            pack, sha256=options.pack_sha256, accept_licence=options.accept_licence, thresholds=thresholds
        )
        cache = ModelCache.default()
        cache.pull(progress=info)
        return Extractor(YuNetDetector(cache.read(YUNET.name)), embedder)

    return load
