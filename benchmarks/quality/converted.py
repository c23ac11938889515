"""A converted clip, the pitch that was asked for, and who should sing -> its scores; many clips -> means and intervals.

Shapes: S samples at RATE_HZ, T values of pitch at 100 Hz.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from clips import RATE_HZ, Cast, Clip, embedded
from listener import Listener, found_again

from autosing.audio.pitch import load_tracker
from autosing.metrics.interval import bootstrap_interval, ratio_of_sums
from autosing.metrics.pitch import pitch_errors
from autosing.metrics.recognition import Recognised, recognised
from autosing.metrics.speaker import cosine, speaker_scores
from autosing.metrics.spectral import mcd_db, mel_distance_db
from autosing.timebase import PITCH_RATE_HZ

_BEFORE_S, _AFTER_S = 0.15, 0.15
"""A line is heard with so much around it."""


@dataclass(frozen=True)
class Scores:
    """Of one clip; None where a figure has no meaning."""

    f0_correlation: float | None = None
    f0_rmse_cents: float | None = None
    voicing_error: float | None = None
    cosine_to_source: float | None = None
    nearest: float | None = None
    """1 where the target is nearer than all other singers."""
    cosine_to_target: float | None = None
    mel_distance_db: float | None = None
    mcd_db: float | None = None
    lines: tuple[Recognised, ...] = ()
    """Against the words of the truth."""
    found: tuple[int, int] | None = None
    """(words of the source that are heard again, words heard in the source)."""


class Judge:
    """Scores of clips; Whisper is asked only where there is a listener."""

    def __init__(self, cast: Cast, listener: Listener | None) -> None:
        self._cast, self._listener, self._track = cast, listener, load_tracker("fcpe")

    def track(self, audio_S: np.ndarray) -> np.ndarray:
        """f0_hz_T by FCPE."""
        f0_hz_T: np.ndarray = self._track(audio_S, RATE_HZ)
        return f0_hz_T

    def scores(self, clip: Clip, made_S: np.ndarray, asked_hz_T: np.ndarray, target: str, rebuilt: bool) -> Scores:
        """`target`: who should sing. `rebuilt`: the clip itself should have come out."""
        made_S = np.pad(made_S, (0, max(0, len(clip.audio_S) - len(made_S))))[: len(clip.audio_S)]
        pitch = pitch_errors(asked_hz_T, PITCH_RATE_HZ, self.track(made_S), PITCH_RATE_HZ)
        made_E, source_E = embedded(made_S), clip.voice_E
        nearest, near = self._nearness(clip, made_E, target)
        return Scores(
            f0_correlation=pitch.correlation,
            f0_rmse_cents=pitch.rmse_cents,
            voicing_error=pitch.voicing_error,
            cosine_to_source=0.0 if made_E is None or source_E is None else cosine(made_E, source_E),
            nearest=nearest,
            cosine_to_target=near,
            mel_distance_db=mel_distance_db(clip.audio_S, made_S, RATE_HZ) if rebuilt else None,
            mcd_db=mcd_db(clip.audio_S, made_S, RATE_HZ) if rebuilt else None,
            lines=self._lines(clip, made_S),
            found=self._found(clip, made_S),
        )

    def own(self, clip: Clip) -> Scores:
        """How near the clip itself is to its own singer: as near as a conversion can be asked to come."""
        nearest, near = self._nearness(clip, clip.voice_E, clip.singer)
        return Scores(nearest=nearest, cosine_to_target=near)

    def _nearness(self, clip: Clip, made_E: np.ndarray | None, target: str) -> tuple[float, float]:
        """(whether the target is nearer than all others, cosine to it). What does not sound is nobody's."""
        if made_E is None:
            return 0.0, 0.0
        judged = speaker_scores([made_E], [target], self._cast.centroids(target, clip.song))
        return judged.nearest_rate, judged.cosine

    def _lines(self, clip: Clip, made_S: np.ndarray) -> tuple[Recognised, ...]:
        if self._listener is None or clip.lines is None:
            return ()
        judged = []
        for text, start_s, end_s in clip.lines:
            first, last = (round(max(0.0, at_s) * RATE_HZ) for at_s in (start_s - _BEFORE_S, end_s + _AFTER_S))
            heard = self._listener.hear(made_S[first:last], RATE_HZ, clip.language)
            judged.append(recognised(text, heard, clip.language))
        return tuple(judged)

    def _found(self, clip: Clip, made_S: np.ndarray) -> tuple[int, int] | None:
        if self._listener is None or clip.lines is not None:
            return None
        truth = self._listener.hear(clip.audio_S, RATE_HZ, clip.language)
        return found_again(truth, self._listener.hear(made_S, RATE_HZ, clip.language), clip.language)


def summary(scores: Sequence[Scores]) -> dict[str, Any]:
    """Of each figure that the clips have: its mean, its 95 % interval by bootstrap over clips (none for a single clip),
    and of how many clips where not of all. Error rates are over all words; a line's errors are at most its words."""
    found: dict[str, Any] = {"clips": len(scores)}
    for name in (field.name for field in fields(Scores) if field.name not in ("lines", "found")):
        values = [value for one in scores if (value := getattr(one, name)) is not None]
        if values:
            found[name] = _interval({"mean": values})
            if len(values) < len(scores):
                found[name]["clips"] = len(values)
    for name, whole, wrong in (("wer", "words", "word_errors"), ("cer", "characters", "character_errors")):
        sung = [one.lines for one in scores if one.lines]
        if sung:
            errors = [sum(min(getattr(line, wrong), getattr(line, whole)) for line in lines) for lines in sung]
            found[name] = _interval({"errors": errors, "of": [sum(getattr(x, whole) for x in lines) for lines in sung]})
    pairs = [one.found for one in scores if one.found is not None and one.found[1]]
    if pairs:
        found["found_again"] = _interval({"hits": [hits for hits, _ in pairs], "of": [words for _, words in pairs]})
    return found


def _interval(columns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """One column: its mean. Two: the sum of the first over that of the second."""
    arrays = [np.asarray(column, np.float64) for column in columns.values()]
    value = float(arrays[0].mean() if len(arrays) == 1 else arrays[0].sum() / arrays[1].sum())
    result: dict[str, Any] = {"mean": round(value, 4), "interval": None}
    if len(arrays[0]) > 1:
        within = (
            bootstrap_interval(*arrays, statistic=ratio_of_sums) if len(arrays) == 2 else bootstrap_interval(*arrays)
        )
        result["interval"] = [round(within.low, 4), round(within.high, 4)]
    if len(arrays) == 2:
        result["of"] = int(arrays[1].sum())
    return result
