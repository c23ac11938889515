"""A dataset, made songs or recordings -> clips: so many seconds of one voice alone, and what is known of them.

Of a made song (`autosing songs`) a clip is its first lines, whole ones, dry; of a recording each piece of that length
in turn; of a dataset each of its own clips. Shapes: S samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path

import numpy as np

from autosing.audio.blocks import reading
from autosing.audio.io import Audio, decode, encode, save
from autosing.errors import InputError
from autosing.ids import clean_id, seed_of
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.score.cut import cut
from autosing.score.made import score_of_truth
from autosing.score.score import Score
from autosing.songs import SongTruth, load_truth, song_ids
from autosing.storage.shards import read_shard
from autosing.text.files import read_text_file
from autosing.text.lrc import LrcLine, parse_lrc
from inference.voice.singers import audio_in

RATE_HZ = 24_000
MARGIN_S = 0.3
"""Before a clip's first line and behind its last."""
_LEAST_S = 3.0
MOST_CLIPS = 400
"""Of a dataset's split; of a larger one, so many from all over it."""
Span = tuple[str, float, float]
"""Text, its start and its end in seconds of the clip."""


@dataclass(frozen=True)
class Cut:
    """So many seconds of a file."""

    path: Path
    start_s: float
    duration_s: float

    def mono_S(self, rate_hz: int) -> np.ndarray:
        """As a file of 16 bits at that rate holds it, since other systems' sounds come in such files."""
        audio = decode(self.path).cut(self.start_s, self.duration_s)
        mono = Audio(audio.mono_S()[None], audio.sample_rate_hz).resampled(rate_hz)
        mono_S: np.ndarray = decode(encode(mono, "wav")).samples_CS[0]
        return mono_S

    @property
    def own_rate_hz(self) -> int:
        """Of the file."""
        with reading(self.path) as reader:
            return int(reader.sample_rate_hz)


@dataclass(frozen=True)
class Clip:
    """What is sung in it is known line by line, or not at all."""

    song: str
    singer: str
    language: str
    path: Path
    start_s: float
    duration_s: float
    lines: tuple[Span, ...] | None = None
    name: str = ""
    """Of the clip among all others; other systems' sounds have it, too."""
    words: tuple[Span, ...] = ()
    read_score: Callable[[], Score] | None = None
    """What is sung, as notes and phones on the clip's time, where it is known."""
    speech: Cut | None = None
    """The same words, spoken, where there is such a recording."""
    rate_hz: int = RATE_HZ

    @cached_property
    def audio_S(self) -> np.ndarray:
        """At `rate_hz`."""
        return self.cut.mono_S(self.rate_hz)

    @property
    def cut(self) -> Cut:
        return Cut(self.path, self.start_s, self.duration_s)


def clips_of(data: Path, work: Path, seconds: float, language: str, split: str | None, seed: int) -> list[Clip]:
    """The clips of whatever lies in that folder. `work`: a folder for sounds of a dataset; `split`: of a dataset.

    Raises InputError where there are none.
    """
    if (data / "index.json").is_file():
        return dataset_clips(data, work, split, seed)
    if split is not None:
        raise InputError(f"--split {split}: {data} is no dataset (no index.json in it); leave it out")
    return made_clips(data, seconds) if (data / "truth").is_dir() else real_clips(data, seconds, language)


def made_clips(folder: Path, seconds: float) -> list[Clip]:
    """A clip a song. Raises InputError where there are none."""
    return [_made_clip(folder, name, seconds) for name in song_ids(folder)]


def _made_clip(folder: Path, name: str, seconds: float) -> Clip:
    home, truth = folder / "truth" / name, load_truth(folder, name)
    start_s = max(0.0, truth.lines[0].start_s - MARGIN_S)
    fitting = [line for line in truth.lines if line.end_s + MARGIN_S - start_s <= seconds] or truth.lines[:1]
    end_s = min(truth.duration_s, fitting[-1].end_s + MARGIN_S)
    lines = tuple((line.text, line.start_s - start_s, line.end_s - start_s) for line in fitting)
    inside = [word for word in truth.words if word.line < len(fitting)]
    return Clip(
        f"{folder.name}-{name}", truth.artist, truth.language, home / "vocals_dry.flac", start_s, end_s - start_s,
        lines, name=name,
        words=tuple((word.text, word.start_s - start_s, word.end_s - start_s) for word in inside),
        read_score=partial(_score_of, truth, start_s, end_s),
        speech=_speech(home / "speech.flac", truth, len(fitting)),
    )  # fmt: skip


def _score_of(truth: SongTruth, start_s: float, end_s: float) -> Score:
    return cut(score_of_truth(truth), start_s, end_s)


def _speech(path: Path, truth: SongTruth, lines: int) -> Cut | None:
    """The first lines, spoken."""
    spoken = [word for word in truth.spoken_words if word.line < lines]
    if not spoken or not path.is_file():
        return None
    start_s = max(0.0, spoken[0].start_s - MARGIN_S)
    return Cut(path, start_s, spoken[-1].end_s + MARGIN_S - start_s)


def real_clips(folder: Path, seconds: float, language: str) -> list[Clip]:
    """All pieces of all recordings: FOLDER/<singer>/*.wav, or FOLDER/*.wav of one singer. Words are known from an .lrc
    beside a recording, or a .txt where the recording is one piece. Raises InputError where there are none."""
    if not folder.is_dir():
        raise InputError(f"clips {folder}: no such folder; need a dataset, made songs, or a folder of recordings")
    found = []
    for path in audio_in(folder, "clips "):
        total_s = decode(path).duration_s
        singer = path.parent.relative_to(folder).parts[:1] or (folder.name,)
        pieces = [float(start_s) for start_s in np.arange(0, max(_LEAST_S, total_s - _LEAST_S), seconds)]
        for start_s in pieces:
            duration_s = min(seconds, total_s - start_s)
            stem = str(path.relative_to(folder).with_suffix(""))
            lines, words = _text_beside(path, start_s, duration_s, whole=len(pieces) == 1)
            found.append(
                Clip(
                    clean_id(f"{singer[0]}-{path.stem}-{start_s:g}"),
                    singer[0],
                    language,
                    path,
                    start_s,
                    duration_s,
                    lines,
                    name=stem if len(pieces) == 1 else f"{stem}-{start_s:g}",
                    words=words,
                )
            )
    return found


def _text_beside(
    path: Path, start_s: float, duration_s: float, whole: bool
) -> tuple[tuple[Span, ...] | None, tuple[Span, ...]]:
    """(lines, words) of a piece of a recording. A line that the piece cuts is left out."""
    if path.with_suffix(".lrc").is_file():
        lines = parse_lrc(read_text_file(path.with_suffix(".lrc"))[0]).lines
        return _stamped_text([(line.start_s, line) for line in lines if line.start_s is not None], start_s, duration_s)
    if whole and path.with_suffix(".txt").is_file():
        text = " ".join(read_text_file(path.with_suffix(".txt"))[0].split())
        return ((text, 0.0, duration_s),) if text else None, ()
    return None, ()


def _stamped_text(
    stamped: Sequence[tuple[float, LrcLine]], start_s: float, duration_s: float
) -> tuple[tuple[Span, ...] | None, tuple[Span, ...]]:
    lines: list[Span] = []
    words: list[Span] = []
    for number, (first_s, line) in enumerate(stamped):
        next_s = stamped[number + 1][0] if number + 1 < len(stamped) else start_s + duration_s
        end_s = min(line.end_s or next_s, next_s)
        if line.text and start_s <= first_s < end_s <= start_s + duration_s:
            lines.append((line.text, first_s - start_s, end_s - start_s))
            ends_s = [*(word.start_s for word in line.words[1:]), end_s]
            words += [
                (w.text, w.start_s - start_s, last_s - start_s) for w, last_s in zip(line.words, ends_s, strict=False)
            ]
    return tuple(lines) or None, tuple(words)


def dataset_clips(dataset: Path, work: Path, split: str | None, seed: int) -> list[Clip]:
    """Clips of a split (test, or valid where there is no test), their voices written into `work`.

    Raises InputError: no such split, no audio in it.
    """
    index = DatasetIndex.load(dataset)
    filled = [name for name, record in index.splits.items() if record.rows]
    chosen_split = split or next((name for name in ("test", "valid") if name in filled), None)
    if chosen_split not in filled:
        asked = f"--split {split}" if split else "no test and no valid split with clips in it"
        raise InputError(f"dataset {dataset}: {asked}; it has {', '.join(filled) or 'none'}: give one by --split")
    if "audio" not in index.members:
        raise InputError(
            f"dataset {dataset}: has members {', '.join(index.members)}; need audio among them: build it anew"
        )
    record = index.splits[chosen_split]
    taken = set(np.random.default_rng(seed_of("clips", seed)).permutation(record.rows)[:MOST_CLIPS].tolist())
    found, number = [], 0
    for shard in record.shards:
        for _, sample in read_shard(dataset / shard.path):
            if number in taken:
                found.append(_dataset_clip(sample, work))
            number += 1
    return found


def _dataset_clip(sample: Sample, work: Path) -> Clip:
    meta, path, audio = sample.meta, work / f"{sample.id}.flac", sample.audio("vocals")
    path.parent.mkdir(parents=True, exist_ok=True)
    save(audio, path)
    lines = tuple((line.text, line.start_s, line.end_s) for line in meta.lines if line.fits and line.text.strip())
    held = bytes(sample.score().to_json()) if sample.has("score") else None
    return Clip(
        meta.song, meta.singer or meta.song, meta.language, path, 0.0, audio.duration_s, lines or None, name=sample.id,
        words=tuple((word.text, word.start_s, word.end_s) for word in meta.words),
        read_score=None if held is None else partial(Score.from_json, held, f"{sample.id}.score.json"),
    )  # fmt: skip


def chosen(clips: Sequence[Clip], count: int, seed: int) -> list[Clip]:
    """So many of them by lot, singers in turn, in their order. The same seed, the same clips."""
    of_singer: dict[str, list[int]] = {}
    for number in np.random.default_rng(seed_of("chosen", seed)).permutation(len(clips)).tolist():
        of_singer.setdefault(clips[number].singer, []).append(number)
    in_turn = [number for turn in zip_longest(*of_singer.values()) for number in turn if number is not None]
    return [clips[number] for number in sorted(in_turn[:count])]


def spread(clips: Sequence[Clip], count: int | None) -> list[Clip]:
    """So many of them, from all over the list."""
    count = min(count or len(clips), len(clips))
    return [clips[n * len(clips) // count] for n in range(count)]


def check_clip_rates(clips: Sequence[Clip], rate_hz: int) -> None:
    """Raises InputError for clips of a lower rate: what they lack above would count against who sings it."""
    for path, clip in {clip.path: clip for clip in clips}.items():
        found = clip.cut.own_rate_hz
        if found < rate_hz:
            raise InputError(
                f"clip {clip.name} ({path.name}): is at {found} Hz, need {rate_hz} Hz or more; give --rate {found}"
            )
