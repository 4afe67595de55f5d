"""What a site's log reveals to a reader of the data file: the events that still open, and all kinds."""

import json
from typing import Any

from sqlalchemy import and_, select

from volens.audit import open_leaf, read_leaf
from volens.store import Store
from volens.store.schema import data_tables as tables


def opened(store: Store, kind: str) -> list[dict[str, Any]]:
    """Return the details of the events of a kind that can still be opened, in their order; each opens its leaf."""
    event, opening = tables.audit_event.c, tables.audit_opening.c
    query = select(event.leaf, opening.details, opening.salt).join_from(
        tables.audit_event, tables.audit_opening, event.seq == opening.seq
    )
    part, its = tables.shard_leaf.c, tables.shard_opening.c
    in_shards = select(part.leaf, its.details, its.salt).join_from(
        tables.shard_leaf, tables.shard_opening, and_(part.shard == its.shard, part.seq == its.seq)
    )
    found = []
    with store.read() as connection:
        rows = connection.execute(query.order_by(event.seq)).all()
        rows += connection.execute(in_shards.order_by(part.shard, part.seq)).all()
        for leaf, details, salt in rows:
            if open_leaf(leaf, json.loads(details), salt)[0] == kind:
                found.append(json.loads(details))
    return found


def kinds_in_shards(store: Store) -> list[str]:
    """Return the kinds of all leaves in shards, opened or not."""
    leaf = tables.shard_leaf.c
    with store.read() as connection:
        return [read_leaf(one)[0] for one in connection.scalars(select(leaf.leaf).order_by(leaf.shard, leaf.seq)).all()]


def kinds(store: Store) -> list[str]:
    """Return the kinds of all leaves of the main log, opened or not."""
    with store.read() as connection:
        leaves = connection.scalars(select(tables.audit_event.c.leaf).order_by(tables.audit_event.c.seq)).all()
    return [read_leaf(leaf)[0] for leaf in leaves]
