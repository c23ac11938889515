"""A clip sung by a system, the pitch that was asked for, and who should sing -> its scores.

Shapes: S samples at the clips' rate, T values of pitch at 100 Hz, E = 256 numbers of a voice, M mel bands.
"""

from dataclasses import replace

import numpy as np

from autosing.metrics.meter import Meter
from autosing.metrics.recognition import Recognised, found_again, recognised
from autosing.metrics.scores import Scores
from autosing.metrics.speaker import cosine, speaker_scores
from autosing.metrics.timbre import nearest_by_spectrum
from inference.evaluate.cast import Cast
from inference.evaluate.clips import Clip

_BEFORE_S, _AFTER_S = 0.15, 0.15
"""A line is heard with so much around it."""


class Judge:
    """Whisper is asked only where `words` is true."""

    def __init__(self, cast: Cast, meter: Meter, words: bool = True) -> None:
        self._cast, self._meter, self._words = cast, meter, words

    def track(self, audio_S: np.ndarray) -> np.ndarray:
        """f0_hz_T by FCPE."""
        return self._meter.f0_hz(audio_S)

    def scores(
        self,
        clip: Clip,
        made_S: np.ndarray,
        asked_hz_T: np.ndarray,
        target: str,
        rebuilt: bool,
        rtf: float | None = None,
    ) -> Scores:
        """`target`: who should sing. `rebuilt`: the clip itself should have come out."""
        meter = self._meter
        made_S = np.pad(made_S, (0, max(0, len(clip.audio_S) - len(made_S))))[: len(clip.audio_S)]
        pitch = meter.pitch_errors(asked_hz_T, made_S)
        made_E, source_E = meter.voice(made_S), self._cast.voice(clip)
        return replace(
            self._nearness(clip, made_E, meter.spectrum(made_S), target),
            f0_rmse_cents=pitch.rmse_cents,
            f0_correlation=pitch.correlation,
            voicing_error=pitch.voicing_error,
            ffe=pitch.ffe,
            chroma=meter.chroma(asked_hz_T, made_S) if (asked_hz_T > 0).any() else None,
            mel_distance_db=meter.mel_distance_db(clip.audio_S, made_S) if rebuilt else None,
            mcd_db=meter.mcd_db(clip.audio_S, made_S) if rebuilt else None,
            lsd_db=meter.lsd_db(clip.audio_S, made_S) if rebuilt else None,
            cosine_to_source=0.0 if made_E is None or source_E is None else cosine(made_E, source_E),
            rtf=rtf,
            lines=self._lines(clip, made_S),
            found=self._found(clip, made_S),
        )

    def own(self, clip: Clip) -> Scores:
        """How near the clip itself is to its own singer: as near as a conversion can be asked to come."""
        return self._nearness(clip, self._cast.voice(clip), self._cast.spectrum(clip), clip.singer)

    def _nearness(self, clip: Clip, made_E: np.ndarray | None, made_M: np.ndarray | None, target: str) -> Scores:
        """Whether the target is nearer than all others, by GE2E and by spectrum, and the cosine to it. What does not
        sound is nobody's; nothing is said where no other song of the target says what it sounds like."""
        if not self._cast.is_known(target, clip.song):
            return Scores()
        if made_E is None or made_M is None:
            return Scores(nearest=0.0, cosine_to_target=0.0, nearest_spectrum=0.0)
        judged = speaker_scores([made_E], [target], self._cast.voices(clip.song))
        by_spectrum = nearest_by_spectrum(made_M, target, self._cast.spectra(clip.song))
        return Scores(nearest=judged.nearest_rate, cosine_to_target=judged.cosine, nearest_spectrum=float(by_spectrum))

    def _lines(self, clip: Clip, made_S: np.ndarray) -> tuple[Recognised, ...]:
        if not self._words or clip.lines is None:
            return ()
        judged = []
        for text, start_s, end_s in clip.lines:
            first, last = (round(max(0.0, at_s) * clip.rate_hz) for at_s in (start_s - _BEFORE_S, end_s + _AFTER_S))
            heard = self._meter.heard(made_S[first:last], clip.language)
            judged.append(recognised(text, heard, clip.language))
        return tuple(judged)

    def _found(self, clip: Clip, made_S: np.ndarray) -> tuple[int, int] | None:
        if not self._words or clip.lines is not None:
            return None
        truth = self._meter.heard(clip.audio_S, clip.language)
        return found_again(truth, self._meter.heard(made_S, clip.language), clip.language)
