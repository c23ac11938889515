"""voice and lyrics -> when each word is sung, with a score; songs without lyrics are transcribed first."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from autosing.audio.blocks import mixed
from autosing.audio.encoded import Stem
from autosing.audio.io import AudioReader, decode_mono
from autosing.clock import in_model
from autosing.config import Config
from autosing.device import device_of
from autosing.ids import seed_of
from autosing.schemas.tables import Line, Lyrics, Word
from autosing.stage import Rejected, Stage
from autosing.text.normalize import main_script, written_in
from autosing.timebase import LETTER_RATE_HZ
from processing.alignment.chain import Costs
from processing.alignment.emissions import QUIET, SAMPLE_RATE_HZ, Heard, Hearing, Listener, class_scores, start_scores
from processing.alignment.guess import fill_gaps
from processing.alignment.lyrics import LRC, PLAIN, TRANSCRIBED, known_language, likely_language, read_lyrics
from processing.alignment.place import Scores, SungLine, place_plain, place_stamped
from processing.alignment.transcribe import transcribe


class AlignConfig(Config):
    """How lyrics are laid on the voice. The costs and the shift were chosen on made songs."""

    head: str = "autosing-letters"
    """The bundled letter head, or the folder of a run of `autosing train ctc_head`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    transcribe: bool = True
    """Songs without lyrics are transcribed; else they are rejected."""
    instrumental_share: float = Field(0.25, ge=0, le=1)
    """How loud the accompaniment stays beside the voice: a separator takes some of a low voice with it."""
    prior_weight: float = Field(0.3, ge=0, le=1)
    """How far frequent letters are made dearer."""
    mishearing: float = Field(0.02, gt=0, le=1)
    """The chance that a sung letter sounds like any other."""
    held_weight: float = Field(0.5, gt=0, le=1)
    """What a frame in the middle of a held sound counts; where sounds change it counts 1."""
    start_weight: float = Field(0.5, ge=0, le=2)
    """How much the sound of a word's start counts beside that of its letters."""
    pause_cost: float = Field(0.3, ge=0)
    """What silence within a line costs, a frame (nats)."""
    between_cost: float = Field(4.0, ge=0)
    """What singing costs, a frame, that the lyrics do not hold (nats)."""
    silent_letter_cost: float = Field(3.0, ge=0)
    """What it costs not to hear a letter that is written (nats)."""
    absent_line_cost: float = Field(30.0, ge=0)
    """What it costs not to find a line (nats)."""
    onset_shift_s: float = Field(0.0, ge=-0.5, le=0.5)
    """Added to each word's time."""
    min_line_score: float = Field(0.15, ge=0, le=1)
    """A line below is kept and marked as not fitting."""


@dataclass(frozen=True)
class SongToAlign:
    """What is read of a song."""

    id: str
    vocals: Stem
    instrumental: Stem | None
    """None: the song is a cappella."""
    lrc_lyrics: str | None
    raw_lyrics: str | None
    language: str | None


class Align(Stage[SongToAlign, Lyrics]):
    """By a best path through the letters of the lyrics, over how likely each letter is at each time."""

    name = "align"
    version = 5
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
        self.listen = Listener(self.config.head, device_of(self.config.device))

    def apply(self, row: SongToAlign) -> Lyrics | Rejected:
        lines, source = read_lyrics(row.lrc_lyrics, row.raw_lyrics)
        script = main_script(" ".join(line.text for line in lines))
        language = known_language(row.language)
        if language and script and not written_in(language, script):
            found = f"lyrics in {script.title()} letters; need lyrics as {language} is written, or another language"
            return Rejected(row.id, "other_alphabet", found)
        with AudioReader(row.vocals, f"vocals of {row.id}") as vocals:
            if all(np.abs(block_CS).max(initial=0.0) < QUIET for block_CS in vocals.mono_blocks(SAMPLE_RATE_HZ)):
                return Rejected(row.id, "no_voice", f"{vocals.read_s:.1f} s of vocals, all below -60 dBFS")
        heard = self._hear(row)
        if not lines:
            if not self.config.transcribe:
                return Rejected(row.id, "no_lyrics", "no line with words in lrc_lyrics and raw_lyrics")
            voice_S = decode_mono(row.vocals, f"vocals of {row.id}", SAMPLE_RATE_HZ)[0].samples_CS[0]
            with in_model():
                lines, language = transcribe(self.listen.whisper, voice_S, language, seed_of(self.name, row.id))
            source = TRANSCRIBED
            if not lines:
                return Rejected(row.id, "no_words", f"no word heard in {heard.duration_s:.1f} s of voice")
        language = language or likely_language(heard.languages, script)
        return self._placed(row.id, source, language, lines, heard)

    def _hear(self, row: SongToAlign) -> Heard:
        with ExitStack() as files:
            vocals = files.enter_context(AudioReader(row.vocals, f"vocals of {row.id}"))
            voice = vocals.mono_blocks(SAMPLE_RATE_HZ)
            if row.instrumental is not None and self.config.instrumental_share > 0:
                music = files.enter_context(AudioReader(row.instrumental, f"instrumental of {row.id}"))
                voice = mixed(voice, music.mono_blocks(SAMPLE_RATE_HZ), self.config.instrumental_share)
            return self.listen(voice)

    def _placed(self, song: str, source: str, language: str, lines: list[SungLine], heard: Heard) -> Lyrics:
        config = self.config
        hearing = Hearing(
            config.prior_weight, config.mishearing, config.held_weight, config.pause_cost, config.between_cost
        )
        class_TC = class_scores(heard.letter_TL, self.listen.log_prior_L, hearing)
        scores = Scores(class_TC, start_scores(heard.start_T, config.start_weight))
        costs = Costs(config.silent_letter_cost, config.absent_line_cost)
        offset_s = ratio = None
        if source == PLAIN:
            placed, _ = place_plain(scores, lines, costs, LETTER_RATE_HZ)
        else:
            placed, offset = place_stamped(scores, lines, costs, LETTER_RATE_HZ)
            if source == LRC:
                offset_s, ratio = offset.offset_s + config.onset_shift_s, offset.inlier_ratio
        spans = fill_gaps(placed, lines, offset_s or 0.0, config.onset_shift_s, heard.duration_s)
        out_lines, out_words = [], []
        for number, (line, found, words) in enumerate(zip(lines, placed, spans, strict=True)):
            score = round(found.score, 4)
            fits = found.words is not None and score >= config.min_line_score
            out_lines.append(Line(line.text, words[0].start_s, words[-1].end_s, score, fits))
            out_words += [
                Word(text, word.start_s, word.end_s, round(word.score, 4), number)
                for text, word in zip(line.words, words, strict=True)
            ]
        return Lyrics(song, source, language, out_lines, out_words, offset_s, ratio)
