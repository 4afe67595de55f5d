"""Promises that a site makes before people consent: zones, notices, operators, orders to stop collecting."""

from volens.store.promises.collection_stops import CollectionStop as CollectionStop
from volens.store.promises.collection_stops import lift_stop as lift_stop
from volens.store.promises.collection_stops import refuse_if_stopped as refuse_if_stopped
from volens.store.promises.collection_stops import standing_stops as standing_stops
from volens.store.promises.collection_stops import stop_collecting as stop_collecting
from volens.store.promises.operators import ADDED as ADDED
from volens.store.promises.operators import Operator as Operator
from volens.store.promises.operators import add_operator as add_operator
from volens.store.promises.operators import list_operators as list_operators
from volens.store.promises.operators import operators_required as operators_required
from volens.store.promises.operators import remove_operator as remove_operator
from volens.store.promises.operators import require_operators as require_operators
from volens.store.promises.site_defaults import Defaults as Defaults
from volens.store.promises.zone_calibrations import set_threshold_shift as set_threshold_shift
from volens.store.promises.zone_calibrations import threshold_shift as threshold_shift
from volens.store.promises.zone_changes import rename_zone as rename_zone
from volens.store.promises.zone_changes import set_zone_fpir as set_zone_fpir
from volens.store.promises.zone_changes import set_zone_state as set_zone_state
from volens.store.promises.zones_and_notices import add_notice as add_notice
from volens.store.promises.zones_and_notices import add_zone as add_zone
from volens.store.promises.zones_and_notices import inspect_zones as inspect_zones
from volens.store.promises.zones_and_notices import notice_of as notice_of
from volens.store.promises.zones_and_notices import notices_of as notices_of
from volens.store.promises.zones_and_notices import shorten_retention as shorten_retention
from volens.store.promises.zones_and_notices import zone_of as zone_of
from volens.store.promises.zones_and_notices import zones as zones
