"""voice and lyrics -> when each word is sung, with a score; songs without lyrics are transcribed first."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from autosing.alignment.chain import Costs
from autosing.alignment.emissions import (
    QUIET,
    SAMPLE_RATE_HZ,
    EmissionModel,
    Emissions,
    Scoring,
    class_scores,
    start_scores,
)
from autosing.alignment.offset import estimate_offset
from autosing.alignment.place import Scores, place_plain, place_stamped
from autosing.alignment.transcribe import transcribe
from autosing.audio.blocks import mixed
from autosing.audio.encoded import Stem
from autosing.audio.io import AudioReader, decode_mono
from autosing.clock import in_model
from autosing.config import Config
from autosing.device import device_of
from autosing.ids import seed_of
from autosing.schemas.tables import Lyrics
from autosing.stage import Rejected, Stage
from autosing.text.normalize import written_in
from autosing.timebase import LETTER_RATE_HZ
from processing.alignment.backing import place_backing
from processing.alignment.confidence import rated
from processing.alignment.lines import Timing, backing_lines, lead_spans, table_lines
from processing.alignment.lyrics import (
    LRC,
    PLAIN,
    TRANSCRIBED,
    Reading,
    known_language,
    likely_language,
    read_lyrics,
    transcribed,
)


class AlignConfig(Config):
    """How lyrics are aligned to the voice. The costs and the shift were tuned on synthetic songs."""

    head: str = "autosing-letters"
    """The bundled letter head, or the folder of a run of `autosing train ctc_head`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    transcribe: bool = True
    """Whether songs without lyrics are transcribed; otherwise they are rejected."""
    instrumental_share: float = Field(0.25, ge=0, le=1)
    """The gain with which the accompaniment is mixed back in: a separator moves parts of low voices into it."""
    prior_weight: float = Field(0.3, ge=0, le=1)
    """How much the scores of frequent letters are lowered: this part of the letter's log-prior is subtracted."""
    mishearing: float = Field(0.02, gt=0, le=1)
    """The probability that a sung letter sounds like any other."""
    held_weight: float = Field(0.5, gt=0, le=1)
    """The weight of a frame in the middle of a held sound; where sounds change it is 1."""
    start_weight: float = Field(0.5, ge=0, le=2)
    """The weight of the detected starts of words, relative to that of the letters."""
    pause_cost: float = Field(0.3, ge=0)
    """Cost per frame of silence within a line (nats)."""
    between_cost: float = Field(4.0, ge=0)
    """Cost per frame of singing that is not in the lyrics (nats)."""
    unlisted_cost: float = Field(1.0, ge=0)
    """Cost per frame of singing that is not in the lyrics, beside the letter that it sounds most like (nats)."""
    unlisted_start_cost: float = Field(20.0, ge=0)
    """Cost of beginning to sing what is not in the lyrics, however long it lasts, where lines have stamps (nats)."""
    unlisted_start_cost_plain: float = Field(6.0, ge=0)
    """The same without stamps: a real song's ad lib would else be taken for a line."""
    gap_cost: float = Field(10.0, ge=0)
    """Cost of silence between two words of a line, however long it lasts, where `pause_cost` is not less (nats)."""
    silent_letter_cost: float = Field(3.0, ge=0)
    """Cost of a letter that is written but not sung (nats)."""
    absent_line_cost: float = Field(30.0, ge=0)
    """Cost of a line that is not sung (nats)."""
    onset_shift_s: float = Field(0.0, ge=-0.5, le=0.5)
    """Added to each word's time."""
    min_line_score: float = Field(0.7, ge=0, le=1)
    """A line with a lower score is kept, but marked as not fitting. Of lines above the default, 96 % were in place."""


@dataclass(frozen=True)
class SongToAlign:
    """The columns of a song that the stage reads."""

    id: str
    vocals: Stem
    instrumental: Stem | None
    """None: the song is a cappella."""
    lrc_lyrics: str | None
    raw_lyrics: str | None
    language: str | None
    title: str | None = None
    artist: str | None = None


class Align(Stage[SongToAlign, Lyrics]):
    """Finds the best path through the letters of the lyrics, given how likely each letter is at each time."""

    name = "align"
    version = 9
    reads = ("separate", "index")
    takes = SongToAlign
    gives = Lyrics
    Settings = AlignConfig
    config: AlignConfig

    def weights(self) -> dict[str, str]:
        from autosing.models.bundled import letters_digest, letters_encoder
        from autosing.pretrained import digest

        letters = letters_digest(self.config.head)
        encoder = letters_encoder(self.config.head)
        return {encoder: digest(encoder), "letters": letters}

    def setup(self) -> None:
        self.emit = EmissionModel(self.config.head, device_of(self.config.device))

    def apply(self, row: SongToAlign) -> Lyrics | Rejected:
        language = known_language(row.language)
        readings, source = read_lyrics(row.lrc_lyrics, row.raw_lyrics, [row.title or "", row.artist or ""], language)
        written = [reading for reading in readings if _may_be(reading, language)]
        if readings and not written:
            found = f"lyrics in {str(readings[0].script).title()} letters"
            return Rejected(
                row.id, "other_alphabet", f"{found}; need lyrics as {language} is written, or another language"
            )
        with AudioReader(row.vocals, f"vocals of {row.id}") as vocals:
            if all(np.abs(block_CS).max(initial=0.0) < QUIET for block_CS in vocals.mono_blocks(SAMPLE_RATE_HZ)):
                return Rejected(row.id, "no_voice", f"{vocals.read_s:.1f} s of vocals, all below -60 dBFS")
        emissions = self.hear(row)
        if not written:
            if not self.config.transcribe:
                return Rejected(row.id, "no_lyrics", "no line with words in lrc_lyrics and raw_lyrics")
            voice_S = decode_mono(row.vocals, f"vocals of {row.id}", SAMPLE_RATE_HZ)[0].samples_CS[0]
            with in_model():
                lines, language = transcribe(self.emit.whisper, voice_S, language, seed_of(self.name, row.id))
            source = TRANSCRIBED
            if not lines:
                return Rejected(row.id, "no_words", f"no word recognised in {emissions.duration_s:.1f} s of voice")
            written = [transcribed(lines)]
        return self.placed(row.id, source, language, written, emissions)

    def hear(self, row: SongToAlign) -> Emissions:
        """What the encoder hears in a song: nearly all of the time that a song takes."""
        with ExitStack() as files:
            vocals = files.enter_context(AudioReader(row.vocals, f"vocals of {row.id}"))
            voice = vocals.mono_blocks(SAMPLE_RATE_HZ)
            if row.instrumental is not None and self.config.instrumental_share > 0:
                music = files.enter_context(AudioReader(row.instrumental, f"instrumental of {row.id}"))
                voice = mixed(voice, music.mono_blocks(SAMPLE_RATE_HZ), self.config.instrumental_share)
            return self.emit(voice)

    def placed(
        self, song: str, source: str, language: str | None, readings: list[Reading], emissions: Emissions
    ) -> Lyrics:
        """Where the lines of the likeliest reading are in what was heard."""
        config = self.config
        scoring = Scoring(
            config.prior_weight, config.mishearing, config.held_weight, config.pause_cost, config.between_cost,
            config.unlisted_cost,
        )  # fmt: skip
        class_TC = class_scores(emissions.letter_TL, self.emit.log_prior_L, scoring)
        scores = Scores(class_TC, start_scores(emissions.start_T, config.start_weight))
        unlisted = config.unlisted_start_cost_plain if source == PLAIN else config.unlisted_start_cost
        costs = Costs(config.silent_letter_cost, config.absent_line_cost, config.gap_cost, unlisted)
        reading = self._heard(readings, scores, costs)
        offset = None
        if source == PLAIN:
            lead, _ = place_plain(scores, reading.sung, costs, LETTER_RATE_HZ)
        else:
            lead, offset = place_stamped(scores, reading.sung, costs, LETTER_RATE_HZ)
        lead = rated(lead, reading.sung)
        language = language or likely_language(emissions.languages, reading.script)
        shown = offset if source == LRC else None
        timing = Timing(
            shown.offset_s if shown else 0.0, config.onset_shift_s, emissions.duration_s, config.min_line_score
        )
        beside = backing_lines(reading, lead_spans(reading, lead, timing))
        backing = place_backing(scores, beside, costs, LETTER_RATE_HZ, offset or estimate_offset([], []))
        lines, words = table_lines(reading, lead, list(zip(beside, backing, strict=True)), timing)
        offset_s = None if shown is None else shown.offset_s + config.onset_shift_s
        return Lyrics(song, source, language, lines, words, offset_s, None if shown is None else shown.inlier_ratio)

    def _heard(self, readings: list[Reading], scores: Scores, costs: Costs) -> Reading:
        """The reading whose lines are heard: that with the best path through the song."""
        if len(readings) == 1:
            return readings[0]
        return max(readings, key=lambda reading: place_plain(scores, reading.sung, costs, LETTER_RATE_HZ)[1])


def _may_be(reading: Reading, language: str | None) -> bool:
    script = reading.script
    return language is None or script is None or written_in(language, script)
