"""The HTTP service: the application, its state, and the server."""

from volens.service.http.access import ALLOWED_ROLES as ALLOWED_ROLES
from volens.service.http.app_state import AppState as AppState
from volens.service.http.bodies import MAX_FRAME_BYTES as MAX_FRAME_BYTES
from volens.service.http.connections import MAX_HEADER_BYTES as MAX_HEADER_BYTES
from volens.service.http.connections import PER_ADDRESS as PER_ADDRESS
from volens.service.http.connections import TimeoutProtocol as TimeoutProtocol
from volens.service.http.decision_counter import MAX_LEAVES as MAX_LEAVES
from volens.service.http.decision_counter import MAX_WAITING as MAX_WAITING
from volens.service.http.decision_counter import OTHER as OTHER
from volens.service.http.decision_counter import DecisionCounter as DecisionCounter
from volens.service.http.http_app import application as application
from volens.service.http.idempotency import REPLAYED as REPLAYED
from volens.service.http.issuer_cache import KEPT_S as KEPT_S
from volens.service.http.issuer_cache import PAUSE_S as PAUSE_S
from volens.service.http.issuer_cache import IssuerCache as IssuerCache
from volens.service.http.public_operations import PUBLIC_LOG_OPERATIONS as PUBLIC_LOG_OPERATIONS
from volens.service.http.public_operations import PUBLIC_OPERATIONS as PUBLIC_OPERATIONS
from volens.service.http.rate_limits import MAX_CALLERS as MAX_CALLERS
from volens.service.http.rate_limits import RateLimiter as RateLimiter
from volens.service.http.rate_limits import rate_limit_key as rate_limit_key
from volens.service.http.server import Address as Address
from volens.service.http.server import serve_site as serve_site
from volens.service.http.server import server as server
from volens.service.http.stream_routes import MAX_STREAMS as MAX_STREAMS
from volens.service.http.thread_pool import BusyError as BusyError
from volens.service.http.thread_pool import ThreadPool as ThreadPool
