"""The machines of one site: nodes that serve it, each behind a proxy of ours and with a clock of its own."""

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, final

from benchmarks.history.fault_plan import CLOCK_OFFSETS_S, FaultKind, PlannedFault
from benchmarks.history.operation import Operation, What
from benchmarks.history.severable_proxy import SeverableProxy
from benchmarks.load.service import Service

_MODEL_THREADS: Final = 1


@final
class Node:
    """`volens serve` as a process of its own, which stands for a machine."""

    def __init__(self, name: str, home: Path) -> None:
        self.name = name
        self._clock = home.parent / f"{name}.clock"
        self._set_clock(0.0)
        self.service = Service(
            home, _MODEL_THREADS, program=("-m", "benchmarks.history.clocked_program", str(self._clock))
        )
        self.proxy = SeverableProxy(self.service.port)

    def suffer(self, kind: FaultKind, lasts_s: float) -> None:
        """Break it, wait, and return when it works again."""
        if kind is FaultKind.KILLED:
            self.service.kill()
            time.sleep(lasts_s)
            self.service.start()
        elif kind is FaultKind.RESTARTED:
            self.service.stop()
            self.service.start()
        elif kind is FaultKind.PAUSED:
            self.service.pause()
            time.sleep(lasts_s)
            self.service.resume()
        elif kind is FaultKind.CUT_OFF:
            self.proxy.cut()
            time.sleep(lasts_s)
            self.proxy.join()
        else:
            self._set_clock(CLOCK_OFFSETS_S[kind])
            time.sleep(lasts_s)
            self._set_clock(0.0)

    def _set_clock(self, offset_s: float) -> None:
        new = self._clock.with_suffix(".new")
        new.write_text(str(offset_s), encoding="ascii")
        new.replace(self._clock)  # at once: the node reads it all the time


@final
class Machines:
    """The nodes of a site. Use as a context manager; `port` is that of another node each time.

    Each node has a home; with SQLite it is the same one, whose file stands for the primary.
    """

    def __init__(self, homes: Sequence[Path]) -> None:
        self.nodes = [Node(f"node {number}", home) for number, home in enumerate(homes)]
        self._turns = itertools.cycle(self.nodes)
        self._kept = ExitStack()

    def __enter__(self) -> "Machines":
        with ExitStack() as started:
            for node in self.nodes:
                started.callback(node.service.kill)
                started.enter_context(node.proxy)
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda node: node.service.start(), self.nodes))
            self._kept = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    @property
    def port(self) -> int:
        """The port of the next node in turn, so that requests of one caller reach all of them."""
        return next(self._turns).proxy.port

    def suffer(self, fault: PlannedFault) -> Operation:
        """Carry out a fault, and return its record."""
        node, began = self.nodes[fault.node], time.monotonic_ns()
        node.suffer(fault.kind, fault.lasts_s)
        return Operation(
            what=What.FAULT, who=node.name, began=began, ended=time.monotonic_ns(), outcome=fault.kind.value
        )
