"""The scenario that every contestant runs through, and the observations after each step.

1. All people are enrolled; those who will be deleted, and as many others, are identified. The bytes are searched for:
   this is the control, because bytes that are not found now prove nothing when they are not found later.
2. A backup is taken, and searched.
3. People are deleted one by one; then, in the same process: identified again, memory and files searched.
4. The contestant's best maintenance is done; identified and searched again.
5. A new process opens the store: identified and searched again.
6. The backup is restored by hand. A new process opens the store: identified again.

The contestant runs in a separate process and is searched from this one.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

import numpy as np

from benchmarks.deletion.needles import Findings, Needles, Sought, summary
from benchmarks.deletion.people import People
from benchmarks.deletion.places import family, search_files, search_memory

_TIMEOUT_S: Final = 20

Answer = dict[str, Any]


class NotRunError(Exception):
    """A contestant could not be run; the message has the reason."""


@final
class Process:
    """A running driver. Leaving the context ends it, by closing its input."""

    def __init__(self, name: str, folder: Path, dimension: int) -> None:
        """Start a driver."""
        with (folder.parent / "said.txt").open("ab") as said:
            self._child = subprocess.Popen(  # noqa: S603  our own driver
                [sys.executable, "-m", "benchmarks.deletion.driver", name, str(folder), str(dimension)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def ask(self, do: str, *faces: np.ndarray[Any, Any], **more: object) -> Answer:
        """Send a message and wait for the answer."""
        stdin, stdout = self._child.stdin, self._child.stdout
        if stdin is None or stdout is None:
            raise NotRunError("the driver has no pipes; start it again")
        body = json.dumps({"do": do, "face": len(faces) == 1, **more}).encode()
        stdin.write(len(body).to_bytes(4) + body + b"".join(face.tobytes() for face in faces))
        stdin.flush()
        head = stdout.read(4)
        if len(head) < 4:  # noqa: PLR2004  the length of a length
            raise NotRunError(f"the process ended while it should {do}; see said.txt in the work folder")
        answer: Answer = json.loads(stdout.read(int.from_bytes(head)))
        return answer

    def must(self, do: str, *faces: np.ndarray[Any, Any], **more: object) -> Answer:
        """Send a message; an error ends the run of this contestant."""
        answer = self.ask(do, *faces, **more)
        if "error" in answer:
            raise NotRunError(f"cannot {do}: {answer['error']}: {answer['said']}")
        return answer

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the process."""
        if self._child.stdin is not None:
            with suppress(BrokenPipeError):
                self._child.stdin.close()
        try:
            self._child.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


@final
class Run:
    """One run of the scenario with one contestant."""

    def __init__(self, name: str, work: Path, people: People) -> None:
        """Prepare to run in an empty folder."""
        self._name = name
        self._folder = work / "store"
        self._backup = work / "backup"
        self._people = people
        self._turn = 0
        self._needles: Needles | None = None
        for folder in (self._folder, self._backup):
            folder.mkdir(parents=True)

    def observe(self) -> Answer:
        """Go through the scenario; see the module.

        Raises:
            NotRunError: the contestant is not installed, or fails in a step that must succeed.
        """
        seen: Answer = {"people": {"deleted": self._people.deleted, "kept": self._people.kept}}
        with self._process() as process:
            # 1.
            opened = process.must("open")
            seen["versions"], seen["facts"] = opened["versions"], opened["facts"]
            seen["enroll_ns"] = [
                process.must("enroll", face, person=person)["ns"] for person, face in enumerate(self._people.faces)
            ]
            process.must("save")
            seen["before"] = self._identified(process, self._both())
            self._needles = Needles(self._sought())
            seen["before"] |= self._searched(process)
            # 2.
            process.must("backup", folder=str(self._backup))
            seen["backup"] = {"files": self._summary(search_files(self._needles, self._backup))}
            # 3.
            seen["delete_ns"] = [process.must("delete", person=person)["ns"] for person in self._people.deleted]
            seen["deleted"] = self._identified(process, self._both()) | self._searched(process)
            # 4.
            seen["maintain_ns"] = process.must("maintain")["ns"]
            seen["maintained"] = self._identified(process, self._both()) | self._searched(process)
            process.must("close")
        with self._process() as process:
            # 5.
            process.must("open")
            seen["restarted"] = self._identified(process, self._both()) | self._searched(process)
            process.must("close")
        with self._process() as process:
            # 6.
            process.must("restore", folder=str(self._backup))
            opened = process.ask("open")
            if "error" in opened:
                seen["restored"] = {"refused": f"{opened['error']}: {opened['said']}"}
            else:
                seen["restored"] = self._identified(process, self._both())
                process.must("close")
        return seen

    def _process(self) -> Process:
        return Process(self._name, self._folder, self._people.faces.shape[1])

    def _both(self) -> Sequence[int]:
        return (*self._people.kept, *self._people.deleted)

    def _identified(self, process: Process, who: Sequence[int]) -> Answer:
        """Identify every person once; return whether the result is that person, and the time."""
        self._turn += 1
        answers = [(one, process.must("identify", self._people.probe(one, self._turn))) for one in who]
        deleted = set(self._people.deleted)
        return {
            "matched_deleted": sum(answer["found"] == one for one, answer in answers if one in deleted),
            "matched_kept": sum(answer["found"] == one for one, answer in answers if one not in deleted),
            "identify_ns": [answer["ns"] for _, answer in answers],
        }

    def _sought(self) -> list[Sought]:
        """Return the values to search for: the embedding in three forms, and those that the contestant itself lists."""
        faces = {one: self._people.faces[one] for one in self._both()}
        values = {
            "embedding": {one: face.tobytes() for one, face in faces.items()},
            "embedding in double precision": {one: face.astype(np.float64).tobytes() for one, face in faces.items()},
            "embedding as text": {one: ",".join(map(str, face)).encode() for one, face in faces.items()},
        }
        with self._process() as witness:
            more = witness.must("witness", *(faces[one] for one in faces), people=list(faces))["kinds"]
        for kind, of in more.items():
            values[kind] = {int(one): bytes.fromhex(value) for one, value in of.items()}
        deleted = set(self._people.deleted)
        return [
            Sought(kind, one, "deleted" if one in deleted else "kept", value)
            for kind, of in values.items()
            for one, value in of.items()
        ]

    def _searched(self, process: Process) -> Answer:
        if self._needles is None:
            raise NotRunError("there is nothing to search for yet; enroll first")
        servers = process.must("processes")["processes"]
        pids = dict.fromkeys(pid for one in (process.pid, *servers) for pid in family(one))
        found: Answer = {"files": self._summary(search_files(self._needles, self._folder))}
        try:
            found["memory"] = self._summary(search_memory(self._needles, pids, self._folder))
        except (PermissionError, ProcessLookupError) as error:
            found["memory"] = {"not_measured": f"{type(error).__name__}: the system does not let memory be read"}
        return found

    def _summary(self, findings: Findings) -> Answer:
        if self._needles is None:
            raise NotRunError("there is nothing to search for yet; enroll first")
        return dict(summary(self._needles, findings))
