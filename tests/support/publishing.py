"""Publishes notices in the site of the environment, beside the commands of a test."""

import os
from pathlib import Path

from volens import Notice, Site
from volens.service.sample_notice import publish_sample_notice


def publish_at_home(zone: str, language: str = "en", *, more: str = "", trigger: str | None = None) -> Notice:
    """Publish the drafted notice of a zone in the site of ``VOLENS_HOME``, with sample answers."""
    with Site.open(Path(os.environ["VOLENS_HOME"])) as site:
        return publish_sample_notice(site, zone, language, more=more, trigger=trigger)


def drafted_at_home(zone: str, language: str = "en", *, trigger: str | None = None) -> str:
    """Return the draft of a notice that can be published."""
    with Site.open(Path(os.environ["VOLENS_HOME"])) as site:
        return site.notices.draft(zone, language, trigger=trigger)[0]
