"""A folder of made songs, or of singers' recordings -> clips, and the voices of the singers in them.

A clip is so many seconds of one voice alone. Of a made song (`autosing songs`) it is its first lines, whole ones, dry;
of a recording (FOLDER/<singer>/*.wav) each piece of that length in turn. Shapes: S samples, E = 256 numbers of a voice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from autosing.audio.io import Audio, decode, save
from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.models.speaker import load_speaker_encoder
from autosing.songs import load_truth, song_ids
from inference.voice.singers import Voice, audio_in, voice_of

RATE_HZ = 24_000
MARGIN_S = 0.3
"""Before a clip's first line and behind its last."""
_LEAST_S = 3.0
_MOST_SONGS = 4
"""Of a singer whose voice is taken: two for the voice that a model is told, two for the one it is compared with."""


@dataclass(frozen=True)
class Clip:
    """What is sung in it is known line by line (text, start and end within the clip), or not at all."""

    song: str
    singer: str
    language: str
    path: Path
    start_s: float
    duration_s: float
    lines: tuple[tuple[str, float, float], ...] | None = None

    @cached_property
    def audio_S(self) -> np.ndarray:
        """At RATE_HZ."""
        audio = decode(self.path).cut(self.start_s, self.duration_s)
        mono_S: np.ndarray = Audio(audio.mono_S()[None], audio.sample_rate_hz).resampled(RATE_HZ).samples_CS[0]
        return mono_S

    @cached_property
    def voice_E(self) -> np.ndarray | None:
        """None where too little of it sounds."""
        return embedded(self.audio_S)


def embedded(audio_S: np.ndarray) -> np.ndarray | None:
    """The voice_E (GE2E) of a sound at RATE_HZ; None where too little of it sounds."""
    try:
        voice_E: np.ndarray = load_speaker_encoder().embed(audio_S, RATE_HZ)
    except InputError:
        return None
    return voice_E


def made_clips(folder: Path, seconds: float) -> list[Clip]:
    """A clip a song. Raises InputError where there are none."""
    found = []
    for name in song_ids(folder):
        home, truth = folder / "truth" / name, load_truth(folder, name)
        start_s = max(0.0, truth.lines[0].start_s - MARGIN_S)
        fitting = [line for line in truth.lines if line.end_s + MARGIN_S - start_s <= seconds] or truth.lines[:1]
        end_s = min(truth.duration_s, fitting[-1].end_s + MARGIN_S)
        lines = tuple((line.text, line.start_s - start_s, line.end_s - start_s) for line in fitting)
        song = f"{folder.name}-{name}"
        found.append(
            Clip(song, truth.artist, truth.language, home / "vocals_dry.flac", start_s, end_s - start_s, lines)
        )
    return found


def real_clips(folder: Path, seconds: float, language: str) -> list[Clip]:
    """All pieces of all recordings. Raises InputError where there are none."""
    found = []
    for home in sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []:
        for path in audio_in(home):
            total_s = decode(path).duration_s
            for start_s in np.arange(0, max(_LEAST_S, total_s - _LEAST_S), seconds):
                length_s = min(seconds, total_s - start_s)
                song = clean_id(f"{home.name}-{path.stem}-{start_s:g}")
                found.append(Clip(song, home.name, language, path, float(start_s), length_s))
    if not found:
        raise InputError(f"recordings {folder}: need folders of singers, FOLDER/<singer>/*.wav")
    return found


def spread(clips: Sequence[Clip], count: int | None) -> list[Clip]:
    """So many of them, from all over the list."""
    count = min(count or len(clips), len(clips))
    return [clips[n * len(clips) // count] for n in range(count)]


class Cast:
    """The singers of some clips, two or more clips each: what a model is told of them, and what it is judged by.

    The first half of a singer's clips says who it is; the others, which the model is not told of, judge.
    """

    def __init__(self, clips: Sequence[Clip], work: Path) -> None:
        """`work`: a folder for sounds that voices are taken from. Raises InputError for a singer of one clip."""
        self._clips: dict[str, list[Clip]] = {}
        self._work, self._told = work, dict[str, Voice]()
        for clip in clips:
            of_singer = self._clips.setdefault(clip.singer, [])
            if len(of_singer) < _MOST_SONGS and clip.voice_E is not None:
                of_singer.append(clip)
        alone = [singer for singer, own in self._clips.items() if len(own) < 2]
        if alone or len(self._clips) < 2:
            raise InputError(
                f"voices of {len(self._clips)} singers, of whom {len(alone)} ({', '.join(alone[:3])}) have fewer than "
                "two clips that sound; need two singers and two clips of each: give more songs of them with --voices"
            )

    @property
    def singers(self) -> list[str]:
        return sorted(self._clips)

    def told(self, singer: str, seconds: float | None = None, without: str = "") -> Voice:
        """As the product enrols a singer: from the clips that say who it is, or from so many seconds of the first of
        them. `without`: a song that must not be among them."""
        key = f"{singer}-{seconds or 'all'}-{without}"
        if key not in self._told:
            files = []
            for number, clip in enumerate(self._telling(singer, without)[: 1 if seconds else None]):
                path = self._work / f"{clean_id(key)}-{number}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                save(Audio(clip.audio_S[None], RATE_HZ).cut(0.0, seconds or clip.duration_s), path)
                files.append(path)
            self._told[key] = voice_of(clean_id(singer), files)
        return self._told[key]

    def telling_S(self, singer: str) -> np.ndarray:
        """The first clip that says who a singer is."""
        return self._telling(singer, "")[0].audio_S

    def centroids(self, target: str, without: str) -> dict[str, np.ndarray]:
        """Of all singers, the mean voice_E without one song; of the target also without what is told of it, where it
        has other songs."""
        found = {}
        for singer, own in self._clips.items():
            told = {clip.song for clip in self._telling(singer, "")} if singer == target else set()
            rest = [clip for clip in own if clip.song != without] or own
            others = [clip for clip in rest if clip.song not in told] or rest
            found[singer] = np.mean([clip.voice_E for clip in others], axis=0)
        return found

    def _telling(self, singer: str, without: str) -> list[Clip]:
        own = self._clips[singer]
        return [clip for clip in own if clip.song != without][: max(1, len(own) // 2)]


def assigned(clips: Sequence[Clip], targets: Sequence[str], seed: int) -> Iterator[str]:
    """For each clip a target that is not its own singer; all come equally often, as far as that goes."""
    rng, waiting = np.random.default_rng(seed), list[str]()
    for clip in clips:
        at = next((n for n, name in enumerate(waiting) if name != clip.singer), None)
        if at is None:
            waiting += [str(name) for name in rng.permutation(list(targets))]
            at = next((n for n, name in enumerate(waiting) if name != clip.singer), None)
        if at is None:
            raise InputError(f"clip {clip.song}: no target but its own singer {clip.singer}; name more singers")
        yield waiting.pop(at)
