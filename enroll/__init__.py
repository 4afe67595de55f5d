"""Image -> face -> quality -> embedding -> biometric reference; models. The only room that creates references."""

from enroll.alignment import Landmarks, align, roll_degrees
from enroll.capture import MIN_PHOTOS, ReferenceDraft, capture_reference
from enroll.catalog import MODELS, ModelFile
from enroll.detector import DetectedFace, YuNetDetector
from enroll.door_stream import DoorStream
from enroll.embedder import SFACE_MODEL, EmbeddingModel, FaceEmbedder, SFaceEmbedder
from enroll.enrollment import Enrolled, enroll
from enroll.errors import (
    AlreadyEnrolledError,
    DifferentPeopleError,
    ImageError,
    ModelHashError,
    ModelLicenceError,
    ModelMissingError,
    NoFaceError,
    PoorQualityError,
    SeveralFacesError,
    TooFewPhotosError,
)
from enroll.extractor import Extractor
from enroll.frames import camera_frames, image_paths, is_video, network_camera_frames, video_frames
from enroll.image import RgbImage, decode, read
from enroll.insightface_pack import load_pack
from enroll.model_cache import ModelCache, ModelStatus
from enroll.quality import QualityReport, QualityRules, assess
from enroll.recognition import identify_frame, verify_frame
from enroll.thresholds import Threshold, Thresholds

__all__ = [
    "MIN_PHOTOS",
    "MODELS",
    "SFACE_MODEL",
    "AlreadyEnrolledError",
    "DetectedFace",
    "DifferentPeopleError",
    "DoorStream",
    "EmbeddingModel",
    "Enrolled",
    "Extractor",
    "FaceEmbedder",
    "ImageError",
    "Landmarks",
    "ModelCache",
    "ModelFile",
    "ModelHashError",
    "ModelLicenceError",
    "ModelMissingError",
    "ModelStatus",
    "NoFaceError",
    "PoorQualityError",
    "QualityReport",
    "QualityRules",
    "ReferenceDraft",
    "RgbImage",
    "SFaceEmbedder",
    "SeveralFacesError",
    "Threshold",
    "Thresholds",
    "TooFewPhotosError",
    "YuNetDetector",
    "align",
    "assess",
    "camera_frames",
    "capture_reference",
    "decode",
    "enroll",
    "identify_frame",
    "image_paths",
    "is_video",
    "load_pack",
    "network_camera_frames",
    "read",
    "roll_degrees",
    "verify_frame",
    "video_frames",
]
