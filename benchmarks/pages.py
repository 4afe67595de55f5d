"""Pages in a browser: bytes, layout shift and time until usable. ``python -m benchmarks.pages`` prints a table.

A demo site is served on loopback, and Debian's chromium opens each page several times with an empty cache, as a phone
with a processor four times slower than this machine (CDP ``Emulation.setCPUThrottlingRate``). A page is usable at the
end of ``DOMContentLoaded``, when its modules have run. Times are compared with those of the smallest document of the
same service, ``/healthz``, in the same run.
"""

import multiprocessing
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.machine import machine
from volens.service.demo_site import serve_demo

PORT: Final = 8473
_RUNS: Final = 7
_SLOWER: Final = 4
_SMALLEST: Final = "/healthz"
_WATCH_SHIFTS: Final = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value;
}).observe({ type: "layout-shift", buffered: true });
"""
_USABLE_MS: Final = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


@dataclass(frozen=True, slots=True)
class Opened:
    """One opening of a page: bytes as they were transferred, the sum of its layout shifts, ms until it was usable."""

    size_bytes: int
    shift: float
    usable_ms: float


def main() -> None:
    """Serve a demo site, open its pages, and print the table."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    service = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    service.start()
    try:
        addresses = ours.recv()
        found = shutil.which("chromium")
        if found is None:
            sys.exit("found no chromium; install Debian's, or run 'make browser'")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
            opened = {name: [_open(browser, steps) for _ in range(_RUNS)] for name, steps in _pages(addresses).items()}
    finally:
        service.terminate()
        service.join()
    sys.stdout.write(table(opened) + f"\n\n{machine()['processor']}, {machine()['cores']} cores, {_RUNS} runs.\n")


def table(opened: Mapping[str, Sequence[Opened]]) -> str:
    """Return the medians as Markdown; times as multiples of those of the smallest document."""
    smallest = statistics.median(one.usable_ms for one in opened[_SMALLEST])
    rows = ["| page | kB transferred | layout shift | usable after, times `/healthz` |", "|---|---|---|---|"]
    for name, runs in opened.items():
        size = statistics.median(one.size_bytes for one in runs) / 1000
        shift, usable = max(one.shift for one in runs), statistics.median(one.usable_ms for one in runs)
        rows.append(f"| {name} | {size:.0f} | {shift:.3f} | {usable / smallest:.1f} ({usable:.0f} ms) |")
    return "\n".join(rows)


def _serve(pipe: Connection) -> None:
    serve_demo(PORT, lambda addresses: pipe.send(asdict(addresses)))


def _pages(addresses: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the addresses to open for each page; the last one is measured."""
    origin = addresses["home"].rstrip("/")
    invited = [addresses["invitation"]]
    return {
        _SMALLEST: [origin + _SMALLEST],
        "home": [addresses["home"]],
        "invitation, question": [*invited, f"{origin}/invitation/about"],
        "invitation, signature": [*invited, f"{origin}/invitation/sign"],
        "my data": [f"{origin}/me#{addresses['code']}", f"{origin}/me/data"],
        "kiosk": [f"{origin}/kiosk/lobby"],
        "check a document": [addresses["verify"]],
        "policy": [f"{origin}/policy"],
    }


def _open(browser: Browser, steps: Sequence[str]) -> Opened:
    context = browser.new_context(viewport={"width": 390, "height": 780}, locale="en-GB")
    try:
        page = context.new_page()
        for address in steps[:-1]:
            page.goto(address)
            page.wait_for_url(lambda url: "#" not in url)
            page.wait_for_load_state("networkidle")
        return _measured(context.new_page(), steps[-1])
    finally:
        context.close()


def _measured(page: Page, address: str) -> Opened:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.send("Emulation.setCPUThrottlingRate", {"rate": _SLOWER})
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    page.add_init_script(_WATCH_SHIFTS)
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return Opened(sum(sizes), float(page.evaluate("window.shifted")), float(page.evaluate(_USABLE_MS)))


if __name__ == "__main__":
    main()
