"""clip -> loudness: how loud its vocals are, in dB, at 100 frames a second."""

from autosing.audio.loudness import frame_loudness_db
from autosing.schemas.features import Loudness
from autosing.stage import Stage
from processing.stages.clip import ClipVocals


class MeasureLoudness(Stage[ClipVocals, Loudness]):
    """A-weighted, see frame_loudness_db. Silence is a loudness too, so no clip is rejected."""

    name = "loudness"
    version = 1
    reads = ("segment",)
    takes = ClipVocals
    gives = Loudness

    def apply(self, row: ClipVocals) -> Loudness:
        return Loudness(row.id, frame_loudness_db(row.audio))
