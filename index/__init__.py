"""The gallery: keyed binary sketches in FAISS, exact comparison of sealed candidates. The matching core."""

from index.claims import Carried, admit_claim
from index.decision import Decision, Match
from index.engine import Engine, Shortlist
from index.feed import ChangeFeed
from index.flat_engine import FlatEngine
from index.frame import FaceDecision, Identification
from index.gallery import Galleries, Gallery
from index.matching import identify, identify_many, verify_claim
from index.opening import opened
from index.projection import Projection, SketchArray, distance_bound, estimate_deviation, sketch_bits
from index.stages import Stages, untimed

__all__ = [
    "Carried",
    "ChangeFeed",
    "Decision",
    "Engine",
    "FaceDecision",
    "FlatEngine",
    "Galleries",
    "Gallery",
    "Identification",
    "Match",
    "Projection",
    "Shortlist",
    "SketchArray",
    "Stages",
    "admit_claim",
    "distance_bound",
    "estimate_deviation",
    "identify",
    "identify_many",
    "opened",
    "sketch_bits",
    "untimed",
    "verify_claim",
]
