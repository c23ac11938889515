"""Words that were to be sung and a sound -> which of them Whisper hears: word and character error rates, by jiwer.

Shapes: S samples, N clips.
"""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autosing.audio.io import resample
from autosing.errors import InputError

_SPACELESS = ("zh", "yue", "ja", "th", "lo", "my")
"""Languages written without spaces: their words are characters, as in Whisper's own evaluation (Radford et al. 2022,
section 3.2)."""
_RATE_HZ = 16_000


@dataclass(frozen=True)
class Recognised:
    """One clip's errors: substitutions, deletions and insertions, and what they are counted of."""

    words: int
    word_errors: int
    characters: int
    character_errors: int


def hear(audio_S: np.ndarray, sample_rate_hz: int, language: str | None = None, model: str = "whisper-base") -> str:
    """What Whisper hears, at temperature 0: the same samples give the same words. `language` (en, ko ...): None lets it
    guess. Sound of more than 30 s is heard in parts, each without the words of the one before."""
    from autosing.models.whisper import load_whisper

    audio_S = resample(audio_S.astype(np.float32), sample_rate_hz, _RATE_HZ)
    heard = load_whisper(model).transcribe(
        audio_S, language=language, temperature=0.0, condition_on_previous_text=False, fp16=False
    )
    return str(heard["text"])


def spelled(text: str, language: str) -> str:
    """The text in the form in which errors are counted. English by Whisper's normaliser (numbers, contractions and
    spellings are made one); others in lower case without punctuation, each character a word where there are no spaces.
    What stands in brackets (`[Chorus]`, `(music)`) is left out."""
    return re.sub(r"\s+", " ", _normalizer(language)(text)).strip()


@functools.cache
def _normalizer(language: str) -> Callable[[str], str]:
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    normalizer: Callable[[str], str] = (
        EnglishTextNormalizer() if language == "en" else BasicTextNormalizer(split_letters=language in _SPACELESS)
    )
    return normalizer


def recognised(wanted: str, heard: str, language: str) -> Recognised:
    """One clip's errors. Raises InputError where nothing was to be sung."""
    import jiwer

    asked, said = spelled(wanted, language), spelled(heard, language)
    if not asked:
        raise InputError(f"words: {wanted!r} has none, so no error rate")
    word, character = jiwer.process_words(asked, said), jiwer.process_characters(asked, said)
    return Recognised(
        words=len(asked.split()),
        word_errors=word.substitutions + word.deletions + word.insertions,
        characters=len(asked),
        character_errors=character.substitutions + character.deletions + character.insertions,
    )


def found_again(truth: str, heard: str, language: str) -> tuple[int, int]:
    """(how many words of the truth stand in what was heard, in order; how many words the truth has)."""
    import jiwer

    wanted = spelled(truth, language)
    hits = int(jiwer.process_words(wanted, spelled(heard, language)).hits) if wanted else 0
    return hits, len(wanted.split())


def error_rates(clips: Sequence[Recognised], capped: bool = True) -> dict[str, float]:
    """{"wer", "cer"} over all words of all clips. `capped`: a clip's errors count at most as many as its words, since
    one loop of the recogniser (at temperature 0 there are some) would drown the rest."""
    rates = {}
    for name, whole, wrong in (("wer", "words", "word_errors"), ("cer", "characters", "character_errors")):
        total_N = [getattr(clip, whole) for clip in clips]
        errors_N = [getattr(clip, wrong) for clip in clips]
        if not sum(total_N):
            raise InputError("error rate: no clip with words")
        counted_N = np.minimum(errors_N, total_N) if capped else np.asarray(errors_N)
        rates[name] = float(counted_N.sum() / sum(total_N))
    return rates
