"""Opens the gates of a test zone: declares what the laws of the people in tests want before anyone is asked."""

from pathlib import Path

from volens import Site

DONE = "2024-01-15"
"""Before today, and more than 60 days before the clock of tests."""


def open_gates(site: Site, zone: str) -> None:
    """Declare the dates of the works agreement, the impact assessment and the declaration to the authority."""
    site.declarations.declare_zone(zone, dict.fromkeys(("works_agreement", "dpia", "declared_on"), DONE))


def open_gates_in(home: Path, zone: str) -> None:
    """The same in a home that no process has open."""
    with Site.open(home) as site:
        open_gates(site, zone)
