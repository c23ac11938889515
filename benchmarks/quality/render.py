"""A run of visinger and made songs that it has not learnt -> how well it sings their scores, as JSON on stdout.

python benchmarks/quality/render.py RUN --songs MADE --voices MADE ... [more]
    more: [--clips 24] [--seconds 15] [--set key=value ...] [--no-words] [--keep FOLDER] [--sounds FOLDER]

MADE is what `autosing songs` writes. The first whole lines of each song are rendered from their score, as `autosing
render` does it, with --set its options. Who sings is the song's own singer: by name where the run knows it, else
enrolled from the song's speech. --voices: songs of the same singers, by which the singer is judged.

Ways, on the same lines:
truth    the dry voice itself                     space    through the model's space: what is possible at best
times    the score with the phones' own times     beat     phones without times: the model says how long they last
world    the spoken line, word by word stretched on the score, on the true f0, by WORLD: needs no model

Figures, each with its 95 % interval by bootstrap over clips: f0 by FCPE against the truth's, tracked likewise
(correlation, RMSE in cents where both are voiced, share of frames of wrong voicing); WER and CER of Whisper base
(temperature 0, line by line) against the true words; whether the singer is nearest of all, and the cosine (GE2E); mel
distance and MCD against the dry voice; `onset_ms`: how far vowels begin from their notes, after plosives, affricates
and fricatives, where a rise can be told. `asked_rmse_cents`: f0 by FCPE against the curve that the model drew.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from autosing.audio.io import Audio, decode, save
from autosing.config import load_config
from autosing.metrics.controls import WorldVoice
from autosing.metrics.kept import Kept
from autosing.metrics.meter import Meter
from autosing.metrics.pitch import pitch_errors
from autosing.metrics.scores import Scores, summary
from autosing.models.singers import singers_of_run
from autosing.models.visinger import VisingerVoice
from autosing.score.change import without_times
from autosing.score.cut import cut
from autosing.score.made import score_of_truth
from autosing.score.phones import inventory
from autosing.score.score import Score
from autosing.songs import F0_RATE_HZ, SongTruth, load_truth
from autosing.songs.onsets import vowel_starts
from autosing.timebase import PITCH_RATE_HZ
from inference.evaluate.cast import Cast
from inference.evaluate.clips import RATE_HZ, Clip, made_clips, spread
from inference.evaluate.judge import Judge
from inference.render import RenderConfig, chosen
from inference.voice.engine import render
from inference.voice.load import load_score_voice
from inference.voice.score_song import song_of
from inference.voice.singers import Voice, find_voice, voice_of

_NEAR_MS = 20.0
_CLOSED = ("stop", "affricate", "fricative")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--voices", type=Path, nargs="*", default=[])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--no-words", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--sounds", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    config = load_config(RenderConfig, given.config, given.set)
    voice = load_score_voice(given.run, "cpu", config.vocoder)
    known = {singer.name for singer in singers_of_run(given.run)}
    with ExitStack() as stack:
        work = given.sounds or Path(stack.enter_context(TemporaryDirectory(prefix="autosing-")))
        clips = made_clips(given.songs, given.seconds)
        more = [clip for folder in given.voices for clip in made_clips(folder, given.seconds)]
        meter = Meter(Kept(given.keep), RATE_HZ)
        cast = Cast([*more, *clips], meter)
        cast.check_all_known()
        judge = Judge(cast, meter, words=not given.no_words)
        found: dict[str, list[tuple[Scores, np.ndarray, float | None]]] = {}
        for clip in spread(clips, given.clips):
            lines = Lines.of(clip, given.songs)
            singer = find_voice(clip.singer, run=given.run) if clip.singer in known else enrolled(clip, work)
            for way, made in ways(lines, voice, singer, config):
                if given.sounds:
                    save(Audio(made.audio_S[None].clip(-1, 1), RATE_HZ), work / f"{clip.song}-{way}.wav")
                found.setdefault(way, []).append(judged(lines, made, judge))
    report = {
        "what": "render", "run": str(given.run), "clips": len(found["truth"]), "known_singers": len(known),
        "config": config.dump(), "ways": {way: figures(each) for way, each in found.items()},
        "wall_s": round(time.monotonic() - started),
    }  # fmt: skip
    print(json.dumps(report, indent=1))


@dataclass(frozen=True)
class Lines:
    """The lines that are sung: their sound, their score on the clip's time, and the whole song's truth."""

    clip: Clip
    truth: SongTruth
    score: Score

    @classmethod
    def of(cls, clip: Clip, songs: Path) -> "Lines":
        truth = load_truth(songs, clip.path.parent.name)
        return cls(clip, truth, cut(score_of_truth(truth), clip.start_s, clip.start_s + clip.duration_s))

    @property
    def vowels_s(self) -> np.ndarray:
        """When the notes of vowels start that follow a consonant which they rise from."""
        starts = []
        for number, phones in enumerate(self.score.phones_by_syllable):
            onset = [phone for phone in phones if phone.place == "onset"]
            if onset and inventory()[onset[-1].symbol].manner in _CLOSED and self.score.notes_of(number):
                starts.append(self.score.notes_of(number)[0].start_s)
        return np.array(starts)


@dataclass(frozen=True)
class Made:
    """A sound at RATE_HZ, and the pitch that the model drew for it, at 100 Hz."""

    audio_S: np.ndarray
    drawn_hz_T: np.ndarray | None = None


def ways(lines: Lines, voice: VisingerVoice, singer: Voice, config: RenderConfig) -> Iterator[tuple[str, Made]]:
    clip = lines.clip
    yield "truth", Made(clip.audio_S)
    yield "space", Made(through_space(clip, voice))
    yield "times", rendered(chosen(lines.score, config), voice, singer, config)
    yield "beat", rendered(chosen(without_times(lines.score), config), voice, singer, config)
    yield "world", Made(stretched(lines))


@torch.no_grad()
def through_space(clip: Clip, voice: VisingerVoice) -> np.ndarray:
    from autosing.audio.pitch import load_tracker
    from autosing.models.told import f0_at, frame_times

    spec = voice.space.spec
    audio_S = Audio(clip.audio_S[None], RATE_HZ).resampled(spec.sample_rate_hz).samples_CS[0]
    f0_hz_T = load_tracker("fcpe")(clip.audio_S, RATE_HZ)
    f0_F = f0_at(f0_hz_T, frame_times(0, spec.num_frames(len(audio_S)), float(spec.rate_hz)))
    f0_BF = torch.from_numpy(f0_F.astype(np.float32))[None]
    made_BS = voice.space.sound(voice.space.frames(torch.from_numpy(audio_S)[None], f0_BF), f0_BF)
    return Audio(made_BS.numpy(), spec.sample_rate_hz).resampled(RATE_HZ).samples_CS[0]


def rendered(score: Score, voice: VisingerVoice, singer: Voice, config: RenderConfig) -> Made:
    """As `autosing render` makes it."""
    sung = song_of(voice, score, singer.vector_E, config.vibrato)
    audio_S = np.concatenate(list(render(voice, sung.song, config.engine)))
    audio = Audio(audio_S[None], voice.space.spec.sample_rate_hz).resampled(RATE_HZ)
    return Made(audio.samples_CS[0], sung.song.f0_hz_T)


def stretched(lines: Lines, f0_hz_T: np.ndarray | None = None) -> np.ndarray:
    """audio_S of the clip: WORLD's frames of the spoken words, each laid over the time in which its word is sung. On
    the true f0, or on another of the clip (at F0_RATE_HZ, without gaps)."""
    clip, truth = lines.clip, lines.truth
    speech = decode(clip.path.with_name("speech.flac")).resampled(RATE_HZ)
    spoken = WorldVoice.of(speech.mono_S(), RATE_HZ)
    rate = 1000 / 5.0
    count = int(clip.duration_s * rate) + 1
    at_s = clip.start_s + np.arange(count) / rate
    source_T = np.full(count, -1)
    for number, line in enumerate(truth.lines):
        sung = [word for word in truth.words if word.line == number]
        said = [word for word in truth.spoken_words if word.line == number]
        if len(sung) != len(said):  # speech runs some words together: the line as a whole, then
            sung = [replace(sung[0], end_s=sung[-1].end_s)]
            said = [replace(said[0], end_s=said[-1].end_s)]
        for to, of in zip(sung, said, strict=True):
            inside_T = (at_s >= to.start_s) & (at_s < to.end_s) & (at_s <= line.end_s)
            share_T = (at_s[inside_T] - to.start_s) / max(to.end_s - to.start_s, 1e-3)
            source_T[inside_T] = np.round((of.start_s + share_T * (of.end_s - of.start_s)) * rate)
    silent_T = source_T < 0
    source_T = np.clip(source_T, 0, len(spoken.f0_hz_T) - 1)
    whole_T, from_s = (_gapless(truth.f0_hz), 0.0) if f0_hz_T is None else (f0_hz_T, clip.start_s)
    asked_T = np.interp((at_s - from_s) * float(F0_RATE_HZ), np.arange(len(whole_T)), whole_T)
    voice = WorldVoice(
        np.where((spoken.f0_hz_T[source_T] > 0) & ~silent_T, asked_T, 0.0),
        np.where(silent_T[:, None], 1e-12, spoken.envelope_TK[source_T]),
        np.ascontiguousarray(spoken.aperiodicity_TK[source_T]), RATE_HZ, len(clip.audio_S),
    )  # fmt: skip
    return voice.sound()


def _gapless(f0_hz_T: np.ndarray) -> np.ndarray:
    voiced = np.flatnonzero(f0_hz_T > 0)
    filled_T: np.ndarray = np.interp(np.arange(len(f0_hz_T)), voiced, f0_hz_T[voiced].astype(np.float64))
    return filled_T


def enrolled(clip: Clip, work: Path) -> Voice:
    """A singer whom the run does not know, from the song's speech."""
    speech = work / f"{clip.song}-speech.wav"
    save(decode(clip.path.with_name("speech.flac")), speech)
    return voice_of(clip.song, [speech])


def judged(lines: Lines, made: Made, judge: Judge) -> tuple[Scores, np.ndarray, float | None]:
    """(scores, how far vowels begin from their notes in ms, f0 RMSE against what was drawn)."""
    clip = lines.clip
    scores = judge.scores(clip, made.audio_S, judge.track(clip.audio_S), clip.singer, rebuilt=True)
    asked_s = lines.vowels_s
    late_ms = 1000 * (vowel_starts(made.audio_S.astype(np.float64), RATE_HZ, asked_s) - asked_s)
    drawn = None
    if made.drawn_hz_T is not None:
        drawn = pitch_errors(made.drawn_hz_T, PITCH_RATE_HZ, judge.track(made.audio_S), PITCH_RATE_HZ).rmse_cents
    return scores, late_ms[np.isfinite(late_ms)], drawn


def figures(found: list[tuple[Scores, np.ndarray, float | None]]) -> dict[str, Any]:
    late_ms = np.concatenate([late for _, late, _ in found])
    drawn = [cents for _, _, cents in found if cents is not None]
    return {
        **summary([scores for scores, _, _ in found]),
        "onset_ms": {
            "vowels": len(late_ms), "median": _rounded(np.median(late_ms)) if len(late_ms) else None,
            "median_abs": _rounded(np.median(np.abs(late_ms))) if len(late_ms) else None,
            f"within_{_NEAR_MS:.0f}": _rounded((np.abs(late_ms) <= _NEAR_MS).mean(), 3) if len(late_ms) else None,
        },
        **({"asked_rmse_cents": _rounded(np.mean(drawn))} if drawn else {}),
    }  # fmt: skip


def _rounded(value: Any, digits: int = 2) -> float:
    return round(float(value), digits)


if __name__ == "__main__":
    main()
