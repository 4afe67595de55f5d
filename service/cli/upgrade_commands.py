"""`volens upgrade`: expand the schema so that two releases can serve, and contract it when the old one has ended."""

import os
from contextlib import closing

from volens.service.cli.command_types import Commands, Output
from volens.service.cli.options import HomeOption, home_folder
from volens.store import open_home, utc_now
from volens.store.rollout import Step, is_expanded

app = Commands("upgrade", "Upgrade the site while nodes of two releases serve it.")


@app.command("expand")
def expand(home: HomeOption = None) -> Output:
    """Add what this release needs, and change nothing that the one before needs. Then replace its nodes one by one."""
    return _stepped(Step.EXPAND, home)


@app.command("contract")
def contract(home: HomeOption = None) -> Output:
    """Finish the upgrade. Refused (6) while a process of the release before serves the site."""
    return _stepped(Step.CONTRACT, home)


def _stepped(step: Step, home: HomeOption) -> Output:
    with closing(open_home(home_folder(home), clock=utc_now, random=os.urandom, step=step)) as store:
        revision, expanded = store.data.revision, is_expanded(store.data)
    if expanded:
        text = (
            f"schema {revision}: the release before can still serve; replace its nodes, then run 'volens upgrade "
            "contract'"
        )
    else:
        text = f"schema {revision}: complete, so only this release can serve"
    return {"revision": revision, "expanded": expanded}, text
