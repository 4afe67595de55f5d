"""From a frame to a decision: identification (1:N), verification of a claim (1:1), camera streams, and visits."""

from volens.identify.door_stream import FACTOR_GOOD_S as FACTOR_GOOD_S
from volens.identify.door_stream import DoorStream as DoorStream
from volens.identify.face_tracker import FOLLOWED_S as FOLLOWED_S
from volens.identify.face_tracker import Box as Box
from volens.identify.face_tracker import FaceTracker as FaceTracker
from volens.identify.face_tracker import overlap as overlap
from volens.identify.head_turn_guide import HeadTurnGuide as HeadTurnGuide
from volens.identify.identification import REASONS as REASONS
from volens.identify.identification import FaceDecision as FaceDecision
from volens.identify.identification import Identification as Identification
from volens.identify.liveness_gate import EARLIER as EARLIER
from volens.identify.liveness_gate import HeadTurnAnswer as HeadTurnAnswer
from volens.identify.passage import FaceVisit as FaceVisit
from volens.identify.passage import VisitState as VisitState
from volens.identify.person_in_front import Obstacle as Obstacle
from volens.identify.recognition import Recognizer as Recognizer
from volens.identify.trigger import USUAL_RULES as USUAL_RULES
from volens.identify.trigger import AskRules as AskRules
from volens.identify.trigger import parse_region as parse_region
from volens.identify.visit_recorder import VisitRecorder as VisitRecorder
from volens.identify.visit_tracker import VisitTracker as VisitTracker
