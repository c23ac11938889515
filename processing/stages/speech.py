"""clip -> speech: what is heard in its words spoken, their melody taken away, and when in it each phone lies.

Of a clip without speech the singing stands for it: `train sts` takes its rhythm away (autosing.speech.time_map).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from autosing.audio.encoded import Encoded
from autosing.audio.io import Audio, decode_mono
from autosing.audio.pitch import load_tracker, tracker_version
from autosing.device import device_of
from autosing.errors import InputError
from autosing.models.bundled import letters_digest, letters_encoder, phone_classes_digest
from autosing.models.content import SAMPLE_RATE_HZ, VERSION, load_content, parts_of
from autosing.schemas.base import Float32s
from autosing.schemas.features import Speech
from autosing.score.score import Score
from autosing.speech.listener import Listener, ListenerConfig
from autosing.speech.monotone import monotone
from autosing.speech.time_map import knots_of
from autosing.stage import Rejected, Stage
from processing.stages.content import ContentConfig

SPOKEN, SUNG = "spoken", "sung"


class SpeechConfig(ContentConfig):
    """Which speech encoders to use, as of `content`, and what hears words and phones."""

    listener: ListenerConfig = ListenerConfig()
    most_lacking: float = Field(0.3, gt=0, le=1)
    """Where words are looked for and this share of them or more is not found, the clip is rejected."""


@dataclass(frozen=True)
class ClipAndSpeech:
    """What is read of a clip."""

    id: str
    vocals: Encoded
    score: str
    speech: Encoded | None = None
    speech_times_s: Float32s | None = None


class HearSpeech(Stage[ClipAndSpeech, Speech]):
    """Runs WORLD, the content encoders, the letter head and the classifier of phones."""

    name = "speech"
    version = VERSION
    reads = ("score", "segment")
    takes = ClipAndSpeech
    gives = Speech
    Settings = SpeechConfig
    config: SpeechConfig

    def weights(self) -> dict[str, str]:
        from autosing.pretrained import digest

        listener = self.config.listener
        encoder = letters_encoder(listener.head)
        return {
            **{part.name: part.digest for part in parts_of(self.config.encoders, self.config.files)},
            f"{encoder} (letters)": digest(encoder), "letters": letters_digest(listener.head),
            "classes": phone_classes_digest(listener.classes), "fcpe": tracker_version("fcpe"),
        }  # fmt: skip

    def parts(self) -> tuple[dict[str, Any], ...]:
        return tuple(part.dump() for part in parts_of(self.config.encoders, self.config.files))

    def setup(self) -> None:
        self._encode = load_content(self.config.encoders, self.config.files, device_of(self.config.device))
        self._track = load_tracker("fcpe", device_of(self.config.device))
        self._listener: Listener | None = None

    def apply(self, row: ClipAndSpeech) -> Speech | Rejected:
        score = Score.from_json(row.score, f"score of {row.id}")
        if not score.timed:
            return Rejected(row.id, "no_times", "the phones of its score have no times")
        data, what = (row.vocals, SUNG) if row.speech is None else (row.speech, SPOKEN)
        audio_S = np.asarray(decode_mono(data, f"{what} words of {row.id}", SAMPLE_RATE_HZ)[0].samples_CS[0])
        spoken = score
        if what == SPOKEN:
            found = self._placed(row, score, audio_S)
            if isinstance(found, Rejected):
                return found
            spoken = found
        knots_2K = knots_of(score, spoken, len(audio_S) / SAMPLE_RATE_HZ)
        content_ND = self._encode(Audio(monotone(audio_S, self._track)[None], SAMPLE_RATE_HZ))
        return Speech(row.id, what, content_ND, knots_2K.ravel())

    def _placed(self, row: ClipAndSpeech, score: Score, audio_S: np.ndarray) -> Score | Rejected:
        if self._listener is None:
            self._listener = Listener(self.config.listener, device_of(self.config.device))
        times_s = row.speech_times_s
        # A part of a song has a part of its words: then times of all of them do not say which.
        if times_s is not None and len(times_s) == 2 * len(score.words):
            return self._listener.place_phones(score, times_s.reshape(-1, 2), audio_S)
        try:
            heard = self._listener.place(score, audio_S)
        except InputError as error:
            return Rejected(row.id, "no_words", str(error))
        lacking = float(np.mean([sure == 0 for sure in heard.found_W]))
        if lacking >= self.config.most_lacking:
            return Rejected(row.id, "other_words", f"{lacking:.0%} of its words are not in its speech")
        return heard.score
