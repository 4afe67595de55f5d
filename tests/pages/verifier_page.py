"""The page that checks documents, as its visitor uses it: files are chosen, verdicts are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from playwright.sync_api import Page


@dataclass(frozen=True)
class Verdict:
    """What the page says about one document."""

    kind: str
    state: str
    text: str


class VerifierPage:
    """An open page that is ready for files."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    def opened(cls, page: Page, address: str) -> Self:
        page.goto(address)
        page.wait_for_selector("#verify-drop[data-ready]")
        return cls(page)

    def choose(self, files: Mapping[str, bytes]) -> dict[str, Verdict]:
        """Choose files beside those that were chosen before; return the verdicts by the files' names."""
        before = self.page.get_attribute("#verify-verdicts", "data-checks") or "0"
        self.page.set_input_files(
            "#verify-files",
            [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files.items()],
        )
        return self._verdicts(before)

    def choose_folder(self, folder: Path) -> dict[str, Verdict]:
        before = self.page.get_attribute("#verify-verdicts", "data-checks") or "0"
        self.page.set_input_files("#verify-folder", folder)
        return self._verdicts(before)

    def start_again(self) -> None:
        self.page.click("#verify-clear")

    def status(self) -> str:
        return self.page.inner_text("#verify-status")

    def _verdicts(self, before: str) -> dict[str, Verdict]:
        self.page.wait_for_selector(
            f"#verify-verdicts[aria-busy=false]:not([data-checks='{before}'])", state="attached"
        )
        found = self.page.eval_on_selector_all(
            "#verify-verdicts article",
            "all => all.map(one => [one.querySelector('.file').textContent, one.dataset.kind, one.dataset.state, "
            "one.innerText])",
        )
        return {name: Verdict(kind, state, text) for name, kind, state, text in found}
