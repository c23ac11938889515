"""The singers of some clips -> what a model is told of each of them, and what its sound is judged by.

Shapes: S samples, E = 256 numbers of a voice, M mel bands.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from autosing.errors import InputError
from autosing.ids import clean_id
from autosing.metrics.meter import Meter
from inference.evaluate.clips import Clip, Cut, spread
from inference.voice.singers import Voice, mean_voice

_MOST_CLIPS = 8
"""Of a singer, whose voice is taken, from all of its clips: half of them tell a model who it is, half are what its
singing is compared with."""


class Cast:
    """Every other clip of a singer says who it is; those between, which the model is not told of, judge. Recordings
    lie side by side as they were made: parts of one piece, high or low, must not be all that judges."""

    def __init__(self, clips: Sequence[Clip], meter: Meter) -> None:
        self._meter, self._told = meter, dict[str, Voice]()
        self._measured: dict[tuple[str, Cut], np.ndarray | None] = {}
        """Of clips, by what is measured: all are asked for at each score, and even a look-up by digest takes time."""
        all_clips: dict[str, list[Clip]] = {}
        for clip in clips:
            all_clips.setdefault(clip.singer, []).append(clip)
        self._clips = {
            singer: [clip for clip in spread(own, _MOST_CLIPS) if self.voice(clip) is not None]
            for singer, own in all_clips.items()
        }

    def check_all_known(self) -> None:
        """Raises InputError for a singer of one clip, and where there is only one singer."""
        alone = [singer for singer, own in self._clips.items() if len(own) < 2]
        if alone or len(self._clips) < 2:
            raise InputError(
                f"voices of {len(self._clips)} singers, of whom {len(alone)} ({', '.join(alone[:3])}) have fewer than "
                "two clips that sound; need two singers and two clips of each: give more songs of them"
            )

    @property
    def singers(self) -> list[str]:
        """Those who are heard in a clip."""
        return sorted(singer for singer, own in self._clips.items() if own)

    def voice(self, clip: Clip) -> np.ndarray | None:
        """voice_E; None where too little of it sounds."""
        return self._once("voice", clip, self._meter.voice)

    def spectrum(self, clip: Clip) -> np.ndarray | None:
        """spectrum_M; None where nothing of it sounds."""
        return self._once("spectrum", clip, self._meter.spectrum)

    def _once(self, what: str, clip: Clip, measure: Callable[[np.ndarray], np.ndarray | None]) -> np.ndarray | None:
        key = what, clip.cut
        if key not in self._measured:
            self._measured[key] = measure(clip.audio_S)
        return self._measured[key]

    def told(self, singer: str, seconds: float | None = None, without: str = "") -> Voice:
        """As the product enrols a singer: from the clips that say who it is, or from so many seconds of the first of
        them. `without`: a song that must not be among them, unless there is no other."""
        key = f"{singer}-{seconds or 'all'}-{without}"
        if key not in self._told:
            sounds = [clip.audio_S for clip in self._telling(singer, without)[: 1 if seconds else None]]
            if seconds:
                sounds = [sounds[0][: round(seconds * self._meter.rate_hz)]]
            voices = [self._meter.voice(audio_S) for audio_S in sounds]
            heard = [(v_E, x_S) for v_E, x_S in zip(voices, sounds, strict=True) if v_E is not None]
            if not heard:
                raise InputError(f"voice {singer}: nothing sounds in {seconds} s of it; give a longer piece")
            self._told[key] = mean_voice(
                clean_id(singer), [v_E for v_E, _ in heard], [len(x_S) / self._meter.rate_hz for _, x_S in heard],
                [self._meter.f0_hz(x_S) for _, x_S in heard],
            )  # fmt: skip
        return self._told[key]

    def telling_S(self, singer: str) -> np.ndarray:
        """The first clip that says who a singer is."""
        return self._telling(singer, "")[0].audio_S

    def is_known(self, singer: str, without: str) -> bool:
        """Whether there is another song of that singer to judge by, and another singer."""
        return len(self.singers) > 1 and any(clip.song != without for clip in self._clips.get(singer, []))

    def voices(self, without: str) -> dict[str, np.ndarray]:
        """Of all singers, the mean voice_E without one song, and without what is told of them, where they have other
        songs: the mean of more clips would be nearer to everyone."""
        return self._means(without, self.voice)

    def spectra(self, without: str) -> dict[str, np.ndarray]:
        """The same of their spectrum_M."""
        return self._means(without, self.spectrum)

    def _means(self, without: str, measure: Callable[[Clip], np.ndarray | None]) -> dict[str, np.ndarray]:
        found = {}
        for singer in self.singers:
            own = self._clips[singer]
            told = {clip.song for clip in self._telling(singer, "")}
            rest = [clip for clip in own if clip.song != without] or own
            others = [clip for clip in rest if clip.song not in told] or rest
            found[singer] = np.mean([value for c in others if (value := measure(c)) is not None], axis=0)
        return found

    def _telling(self, singer: str, without: str) -> list[Clip]:
        own = self._clips.get(singer, [])
        if not own:
            raise InputError(f"singer {singer}: too little sounds in its clips to tell its voice; leave them out")
        songs = list(dict.fromkeys(clip.song for clip in own))
        telling = set(songs[1::2]) - {without} or set(songs) - {without} or set(songs)
        return [clip for clip in own if clip.song in telling]


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
