"""Speech and the words in it -> when each word and each of its phones is spoken; or speech alone -> its words.

Words by the letters that are heard (autosing.alignment), phones inside them by their sound (autosing.alignment.phones).
Used alike where clips are made for training and where speech is sung.

Shapes: S samples at 16 kHz, T frames, C classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from autosing.alignment.chain import Costs
from autosing.alignment.emissions import SAMPLE_RATE_HZ, EmissionModel, Emissions, Scoring, class_scores, start_scores
from autosing.alignment.phones import PlacingConfig, WordSpan, place
from autosing.alignment.place import Scores, SungLine, place_plain
from autosing.alignment.transcribe import transcribe
from autosing.clock import in_model
from autosing.config import Config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.models.bundled import LETTERS, PHONES
from autosing.score.score import Score
from autosing.timebase import LETTER_RATE_HZ

_SCORING = Scoring(
    prior_weight=0.3, mishearing=0.02, held_weight=1.0, pause_cost=0.1, between_cost=4.0, unlisted_cost=math.inf
)
"""As the stage `align`, but no frame counts less than another: nothing is held in speech; pauses are nearly free; and
all that is said is in the lyrics."""
_COSTS = Costs(silent_letter=3.0, absent_line=30.0, gap=10.0)
_START_WEIGHT = 0.5
_SHORT_S = 0.05
"""So long at least is a word whose place is a guess."""


class ListenerConfig(Config):
    """What hears words and phones."""

    head: str = LETTERS
    """The bundled letter head, or the folder of a run of `autosing train ctc_head`."""
    classes: str = PHONES
    """The bundled classifier of phones, or a folder of `python -m train.phone_classes`."""
    placing: PlacingConfig = PlacingConfig()


@dataclass(frozen=True)
class HeardWords:
    """Where the words of a score are spoken."""

    score: Score
    """Words and phones alone, the phones on the speech's time; as long as the speech."""
    found_W: tuple[float, ...]
    """For each word how surely it was heard there, 0 to 1; 0: it was not, and its place is a guess."""


class Listener:
    """Whisper is loaded when words are first looked for."""

    def __init__(self, config: ListenerConfig, device: str = "cpu") -> None:
        from autosing.models.phone_classes import load_phone_classes

        self._config, self._device = config, device
        self._network, self._log_prior_C = load_phone_classes(config.classes)

    @cached_property
    def _emit(self) -> EmissionModel:
        return EmissionModel(self._config.head, self._device)

    def words(self, audio_S: np.ndarray, language: str | None, name: str) -> tuple[list[str], str]:
        """(lines as Whisper writes them, their language). `name`: what draws are derived from.

        Raises InputError where no word is heard.
        """
        with in_model():
            lines, spoken = transcribe(self._emit.whisper, audio_S, language, seed_of("speech", name))
        if not lines:
            found = f"{len(audio_S) / SAMPLE_RATE_HZ:.1f} s"
            raise InputError(f"speech: no word was recognised in {found}; give its words, by --lyrics", "no_words")
        return [line.text for line in lines], spoken

    def place(self, score: Score, audio_S: np.ndarray) -> HeardWords:
        """Where the score's words are spoken. `score`: with phones; what it says of time and notes is not read.

        Raises InputError where it has no phones.
        """
        if not score.phones:
            raise InputError("speech: the score has no words with phones to look for; give its words, by --lyrics")
        emissions = self._emit(iter([np.ascontiguousarray(audio_S, np.float32)[None]]))
        spans, found_W = self._words(score, emissions)
        return HeardWords(self._phones(score, spans, audio_S), found_W)

    def place_phones(self, score: Score, times_s_W2: np.ndarray, audio_S: np.ndarray) -> Score:
        """The same where it is known when each word starts and ends; as HeardWords.score."""
        return self._phones(score, [WordSpan(float(start), float(end)) for start, end in times_s_W2], audio_S)

    def _phones(self, score: Score, spans: Sequence[WordSpan], audio_S: np.ndarray) -> Score:
        from autosing.models.phone_classes import class_scores as phone_scores

        phones = tuple(phone.model_copy(update={"start_s": None, "end_s": None}) for phone in score.phones)
        plain = Score(
            duration_s=len(audio_S) / SAMPLE_RATE_HZ, words=score.words, syllables=score.syllables, phones=phones
        )
        with in_model():
            score_TC = phone_scores(self._network, self._log_prior_C, np.asarray(audio_S, np.float32))
        return place(plain, spans, score_TC, self._config.placing)

    def _words(self, score: Score, emissions: Emissions) -> tuple[list[WordSpan], tuple[float, ...]]:
        lines = [SungLine("", tuple(word.text for word in line)) for line in score.lines]
        class_TC = class_scores(emissions.letter_TL, self._emit.log_prior_L, _SCORING)
        scores = Scores(class_TC, start_scores(emissions.start_T, _START_WEIGHT))
        placed, _ = place_plain(scores, lines, _COSTS, LETTER_RATE_HZ)
        spans: list[WordSpan | None] = []
        sure: list[float] = []
        for line, found in zip(lines, placed, strict=True):
            if found.words is None:
                spans += [None] * len(line.words)
                sure += [0.0] * len(line.words)
            else:
                spans += [WordSpan(word.start_s, word.end_s) for word in found.words]
                sure += [word.score for word in found.words]
        return filled(spans, emissions.duration_s), tuple(sure)


def filled(spans: Sequence[WordSpan | None], duration_s: float) -> list[WordSpan]:
    """Words that were not found share what lies between their neighbours, alike."""
    known = [-1, *(k for k, span in enumerate(spans) if span is not None), len(spans)]
    found = list(spans)
    for before, after in pairwise(known):
        left, right = (spans[k] if 0 <= k < len(spans) else None for k in (before, after))
        first_s = left.end_s if left else 0.0
        last_s = max(right.start_s if right else duration_s, first_s + _SHORT_S)
        edges = np.linspace(first_s, last_s, after - before)
        for k in range(before + 1, after):
            found[k] = WordSpan(float(edges[k - before - 1]), float(edges[k - before]))
    return [span for span in found if span is not None]
