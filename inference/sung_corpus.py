"""A model that sings scores -> a corpus that it sang, with all word times known:

    python -m inference.sung_corpus OUT [-n 1500] [--run RUN] [--seed 8001] [--partitions 12] [--workers 2]
    autosing process OUT --config configs/processing/sung.yaml
    autosing build OUT DATASET --set apart=songs

Sentences of the grammar of `autosing songs` are sung to composed tunes, with a band, by the run's singers in turn. A
second of such a song costs a tenth of the CPU time of a natural voice of `autosing songs`, so that `t2s` and `sm2a` can
learn from many hours. OUT/<k>/index.parquet holds the mixes, OUT/<k>/segment.parquet each song as one clip, with both
stems. Run again, whole partitions are kept if they were made with the same arguments.
"""

import argparse
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from autosing.ids import clip_id, seed_of
from autosing.models.bundled import VISINGER
from autosing.models.visinger import VisingerVoice
from autosing.processes import in_processes
from autosing.schemas.tables import Clip, Line, Song, Word
from autosing.score.cut import cut
from autosing.score.score import Score
from autosing.songs.compose import accompaniment, compose
from autosing.songs.grammar import english_sentence
from autosing.songs.score import BEATS_A_BAR
from autosing.storage import tables
from autosing.timebase import PITCH_RATE_HZ
from inference.mix import lay_over
from inference.provenance.origin import digests_of
from inference.render import lrc_of
from inference.voice.engine import EngineConfig, render
from inference.voice.load import check_voice, load_score_voice
from inference.voice.score_song import song_of
from inference.voice.singers import Voice, voices_of_run

LANGUAGE, LICENCE = "en", "CC0-1.0"
VERSION = 1
_MOST_LINES = 2
_BEFORE_S, _BEHIND_S = (0.2, 1.5), (0.3, 0.8)
"""Of the band around the words."""
_BALANCE_LU = (-1.0, 4.0)
"""Of the voice above its band."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("-n", "--count", type=int, default=1500)
    parser.add_argument("--run", type=Path, default=Path(VISINGER))
    parser.add_argument("--seed", type=int, default=8001)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    made = write_sung(given.out, given.count, given.run, given.seed, given.partitions, given.workers)
    print(f"{made} of {given.count} songs made in {given.out}, the others kept")  # noqa: T201


def write_sung(out: Path, count: int, run: Path, seed: int, partitions: int = 12, workers: int = 2) -> int:
    """How many songs were made. The same arguments give the same bytes with any number of workers.

    Raises InputError where the run sings no scores, or names no singers, and where `out` holds more partitions.
    """
    check_voice(run, "render")
    if not voices_of_run(run):
        raise InputError(f"--run {run}: names no singers; give a run that does")
    if min(count, partitions, workers) < 1:
        raise InputError(f"{count} songs, {partitions} partitions, {workers} workers: need at least 1 of each")
    if beyond := [number for number in tables.find_partitions(out) if number >= min(partitions, count)]:
        raise InputError(f"{out}: holds partition {beyond[0]}, which is none of these songs; give another folder")
    model = digests_of({"visinger": run})["visinger"]
    made, jobs = 0, []
    for number, songs in enumerate(np.array_split(np.arange(count), min(partitions, count))):
        details = {"made_by": "inference.sung_corpus", "model": model, "seed": seed, "songs": songs.tolist()}
        if not _is_kept(out, number, details):
            jobs.append((number, details))
            made += len(songs)
    for _ in in_processes(partial(_write_partition, out, run), jobs, workers, "partitions"):
        pass
    return made


def _is_kept(out: Path, partition: int, details: dict[str, Any]) -> bool:
    held = [tables.read_meta(tables.table_path(out, partition, name)) for name in ("index", "segment")]
    return all(meta is not None and meta.details == details for meta in held)


def _write_partition(out: Path, run: Path, job: tuple[int, dict[str, Any]]) -> None:
    torch.set_num_threads(1)
    partition, details = job
    index, segment = (tables.table_path(out, partition, name) for name in ("index", "segment"))
    index.parent.mkdir(parents=True, exist_ok=True)
    with tables.TableWriter(index, Song) as songs, tables.TableWriter(segment, Clip) as clips:
        for number in details["songs"]:
            song, clip = sung_song(run, details["seed"], number)
            songs.add(song)
            clips.add(clip)
        songs.commit("index", VERSION, len(details["songs"]), details)
        clips.commit("segment", VERSION, len(details["songs"]), details)


@cache
def _loaded(run: Path) -> tuple[VisingerVoice, list[Voice]]:
    return load_score_voice(run), voices_of_run(run)


def sung_song(run: Path, seed: int, number: int) -> tuple[Song, Clip]:
    """A function of the arguments alone."""
    model, singers = _loaded(run)
    rng = np.random.default_rng(seed_of("sung corpus", seed, number))
    singer, rate, pitches = singers[number % len(singers)], model.spec.sample_rate_hz, float(PITCH_RATE_HZ)
    texts = [english_sentence(rng) for _ in range(int(rng.integers(1, _MOST_LINES + 1)))]
    tune = compose(texts, LANGUAGE, singer.middle_hz, seed_of("tune", seed, number))
    tune = tune._replace(chords=(tune.chords[-1], *tune.chords))  # a bar of the band alone
    lead_s = BEATS_A_BAR * 60 / tune.score.tempo.tempos[0].bpm
    sung = song_of(model, cut(tune.score, -lead_s, tune.score.duration_s), singer.vector_E)
    whole = timed_words(sung.score)
    start_s = max(0.0, whole[0].start_s - float(rng.uniform(*_BEFORE_S)))
    end_s = min(sung.score.duration_s, whole[-1].end_s + float(rng.uniform(*_BEHIND_S)))
    first, last = (round(time_s * rate) for time_s in (start_s, end_s))
    voice_S = np.concatenate(list(render(model, sung.song, EngineConfig())))
    band_CS = accompaniment(tune, rate, len(voice_S), seed=seed_of("band", seed, number)).samples_CS
    voice_S, band_CS = voice_S[first:last], band_CS[:, first:last]
    mixed = lay_over(Audio(voice_S[None], rate), Audio(band_CS, rate), float(rng.uniform(*_BALANCE_LU)))
    assert mixed.instrumental is not None
    score = cut(sung.score, start_s, end_s)
    name, words = f"sung{number:05d}", timed_words(score)
    song = Song(
        id=name, audio=encode(mixed.mix, "flac"), lrc_lyrics=lrc_of(score), artist=singer.name, title=texts[0],
        language=LANGUAGE, licence=LICENCE,
    )  # fmt: skip
    voiced_T = sung.song.f0_hz_T[round(start_s * pitches) : round(end_s * pitches)] > 0
    clip = Clip(
        id=clip_id(name, 0.0), song=name, singer=singer.name, language=LANGUAGE, licence=LICENCE, start_s=0.0,
        duration_s=len(voice_S) / rate, singing_fraction=float(voiced_T.mean()),
        vocals=encode(Audio(mixed.vocals.mono_S()[None], rate), "flac"),
        instrumental=encode(Audio(mixed.instrumental.mono_S()[None], rate), "flac"),
        lines=lines_of(texts, words), words=words,
    )  # fmt: skip
    return song, clip


def timed_words(score: Score) -> list[Word]:
    """From first phone to last. `score`: with times of its phones."""
    found: dict[int, Word] = {}
    for phone in score.phones:
        assert phone.start_s is not None and phone.end_s is not None, "phones without times"
        number = score.syllables[phone.syllable].word
        start_s = found[number].start_s if number in found else phone.start_s
        found[number] = Word(score.words[number].text, start_s, phone.end_s, 1.0, score.words[number].line)
    return list(found.values())


def lines_of(texts: Sequence[str], words: Sequence[Word]) -> list[Line]:
    held = [[word for word in words if word.line == number] for number in range(len(texts))]
    return [
        Line(text, mine[0].start_s, mine[-1].end_s, 1.0, True) for text, mine in zip(texts, held, strict=True) if mine
    ]


if __name__ == "__main__":
    main()
