"""clip -> score: words, syllables, phones and notes, with their times.

Three sources: the truth of made songs; the score file that lay beside the song; else the aligned words and the f0, from
which notes are transcribed. Phones are laid into words by their sound (autosing.alignment.phones).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from autosing.alignment.phones import RATE_HZ, PlacingConfig, WordSpan, place
from autosing.audio.io import decode_mono
from autosing.clock import in_model
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.bundled import PHONES, phone_classes_digest
from autosing.schemas.base import Float32s
from autosing.schemas.features import ClipScore
from autosing.schemas.tables import Word
from autosing.score import score as scores
from autosing.score.cut import cut
from autosing.score.g2p.bind import with_phones
from autosing.score.made import score_of_truth
from autosing.score.notes import NotesConfig, agreement, with_notes
from autosing.score.score import Score
from autosing.score.sounds import CLASSES, SAMPLE_RATE_HZ
from autosing.score.timing import with_times
from autosing.songs.truth import load_truth
from autosing.stage import Rejected, Stage

MADE, FILE, TRANSCRIBED = "made", "file", "transcribed"


class ScoreConfig(Config):
    """Where scores come from."""

    truth: str | None = None
    """The folder of the `autosing songs` that the corpus was made with: their truth is their score."""
    classes: str | None = PHONES
    """The classifier by which phones are laid into words: the bundled one, or a folder of `python -m
    train.phone_classes`. None: they are laid by the times of their words and by their usual lengths alone."""
    transcribe: bool = True
    """Clips without a score file are transcribed; else they are rejected."""
    min_agreement: float = Field(default=0.5, ge=0, le=1)
    """A score file whose notes are sung (in any octave) in a smaller share of the voiced frames is rejected."""
    placing: PlacingConfig = PlacingConfig()
    notes: NotesConfig = NotesConfig()


@dataclass(frozen=True)
class ClipToScore:
    """What is read of a clip."""

    id: str
    song: str
    language: str
    start_s: float
    duration_s: float
    words: list[Word]
    vocals: bytes
    score: str | None = None
    f0_hz: Float32s | None = None
    """None: the clip was rejected by `pitch`, or that stage was not run."""


class WriteScore(Stage[ClipToScore, ClipScore]):
    """From truth, from a file, or transcribed."""

    name = "score"
    version = 3
    reads = ("segment", "pitch")
    optional = ("pitch",)
    sparse = ("pitch",)
    takes = ClipToScore
    gives = ClipScore
    Settings = ScoreConfig
    config: ScoreConfig

    def weights(self) -> dict[str, str]:
        """What lies in the folder of the truth decides the table as weights do."""
        if self.config.truth is None:
            return {} if self.config.classes is None else {"classes": phone_classes_digest(self.config.classes)}
        whole = hashlib.sha256()
        for path in sorted(Path(self.config.truth).glob("truth/*/truth.json")):
            whole.update(f"{path.parent.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return {"truth": whole.hexdigest()}

    def setup(self) -> None:
        self._song: tuple[str, Score] | None = None
        if self.config.truth is not None:
            if not (Path(self.config.truth) / "truth").is_dir():
                raise InputError(
                    f"score: truth {self.config.truth}: no folder 'truth' in it; give one of `autosing songs`"
                )
            return
        if self.config.classes is None:
            return
        from autosing.models.phone_classes import load_phone_classes

        self._network, self._log_prior_C = load_phone_classes(self.config.classes)

    def apply(self, row: ClipToScore) -> ClipScore | Rejected:
        if self.config.truth is not None:
            score = cut(self._truth(row.song), row.start_s, row.start_s + row.duration_s)
            return self._found(row, MADE, score)
        try:
            if row.score is not None:
                return self._of_file(row, Score.from_json(row.score, f"score of {row.id}"))
            if not self.config.transcribe:
                return Rejected(row.id, "no_score", "no score file beside the song")
            return self._transcribed(row)
        except InputError as error:
            return Rejected(row.id, "no_pronunciation", str(error))

    def _of_file(self, row: ClipToScore, score: Score) -> ClipScore | Rejected:
        if row.f0_hz is not None:
            found, needed = agreement(score, row.f0_hz), self.config.min_agreement
            if found < needed:
                said = f"its notes are sung in {found:.0%} of the voiced frames, need {needed:.0%}"
                return Rejected(row.id, "another_melody", said)
        if not score.timed:
            score = with_times(with_phones(score) if not score.phones else score)
            score = self._placed(row, score, _spans(score))
        return self._found(row, FILE, score)

    def _transcribed(self, row: ClipToScore) -> ClipScore | Rejected:
        words = [word for word in row.words if any(letter.isalnum() for letter in word.text)]
        if not words:
            return Rejected(row.id, "no_words", f"no word in {row.duration_s:.1f} s of voice")
        if row.f0_hz is None:
            return Rejected(row.id, "no_pitch", "the clip has no f0; run the stage pitch")
        plain = Score(
            duration_s=row.duration_s,
            words=tuple(scores.Word(text=w.text, language=row.language, line=w.line) for w in words),
            syllables=tuple(scores.Syllable(word=k) for k in range(len(words))),
        )
        spans = [WordSpan(word.start_s, word.end_s) for word in words]
        score = self._placed(row, with_phones(plain), spans)
        return self._found(row, TRANSCRIBED, with_notes(score, row.f0_hz, self.config.notes))

    def _placed(self, row: ClipToScore, score: Score, spans: Sequence[WordSpan]) -> Score:
        if self.config.classes is None:
            unheard_TC = np.zeros((round(row.duration_s * RATE_HZ) + 1, len(CLASSES)))
            return place(score, spans, unheard_TC, self.config.placing)
        from autosing.models.phone_classes import class_scores

        voice = decode_mono(row.vocals, f"vocals of {row.id}", SAMPLE_RATE_HZ)[0].samples_CS[0]
        with in_model():
            score_TC = class_scores(self._network, self._log_prior_C, np.asarray(voice))
        return place(score, spans, score_TC, self.config.placing)

    def _found(self, row: ClipToScore, source: str, score: Score) -> ClipScore | Rejected:
        if not score.words:
            return Rejected(row.id, "no_words", f"no whole word of the song in {row.duration_s:.1f} s")
        return ClipScore(row.id, source, score.to_json().decode())

    def _truth(self, song: str) -> Score:
        """Clips of one song come one after the other: its score is read once."""
        held = self._song
        if held is None or held[0] != song:
            assert self.config.truth is not None
            held = self._song = (song, score_of_truth(load_truth(Path(self.config.truth), song)))
        return held[1]


def _spans(score: Score) -> list[WordSpan]:
    """When each word is sung, by its phones."""
    found = [WordSpan(0.0, 0.0)] * len(score.words)
    for phone in score.phones:
        word = score.syllables[phone.syllable].word
        start_s, end_s = phone.start_s or 0.0, phone.end_s or 0.0
        first = found[word].start_s if found[word].end_s else start_s
        found[word] = WordSpan(first, end_s)
    return found
