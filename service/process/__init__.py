"""The processes of `volens serve`: workers, their supervision, memory locking, logs."""

from volens.service.process.feed_follower import LATE_S as LATE_S
from volens.service.process.feed_follower import FeedFollower as FeedFollower
from volens.service.process.process_memory import SwapProtection as SwapProtection
from volens.service.process.process_memory import bound_heap as bound_heap
from volens.service.process.process_memory import forbid_core_dumps as forbid_core_dumps
from volens.service.process.process_memory import lock_all as lock_all
from volens.service.process.process_memory import may_lock_all as may_lock_all
from volens.service.process.process_memory import return_freed_memory as return_freed_memory
from volens.service.process.stop_keeper import StopKeeper as StopKeeper
from volens.service.process.systemd_notifier import SystemdNotifier as SystemdNotifier
