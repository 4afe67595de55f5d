"""From a frame to a decision: identification (1:N), verification of a claim (1:1), and a door's stream of frames."""

from volens.identify.door_stream import DoorStream as DoorStream
from volens.identify.identification import FaceDecision as FaceDecision
from volens.identify.identification import Identification as Identification
from volens.identify.recognition import identify_frame as identify_frame
from volens.identify.recognition import verify_frame as verify_frame
