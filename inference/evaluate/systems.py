"""Model runs and folders of sounds -> systems: each sings a clip. What a model is given depends on what it takes.

Shapes: S samples at the clips' rate, T values of pitch at 100 Hz.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal, Protocol

import numpy as np

from autosing.audio.io import Audio, decode, save
from autosing.checkpoint import describe_model
from autosing.device import device_here
from autosing.errors import InputError
from autosing.models.content import SAMPLE_RATE_HZ, load_content
from autosing.pretrained.cache import home
from autosing.score.change import transposed
from autosing.score.score import Score
from autosing.speech.listener import Listener
from inference.evaluate.clips import Clip
from inference.provenance.tags import read_tags
from inference.render import RenderConfig, chosen
from inference.speech_to_singing import SpeechConfig
from inference.voice.convert import ConvertConfig, in_key
from inference.voice.engine import Song, render
from inference.voice.features import Reader
from inference.voice.load import (
    LOADERS,
    SCORE_LOADERS,
    SPEECH_LOADERS,
    check_sampling,
    load_score_voice,
    load_speech_voice,
    load_voice,
)
from inference.voice.retrieval import Retrieval
from inference.voice.score_song import ScoreSong, song_of
from inference.voice.singers import AUDIO_ENDINGS, Voice
from inference.voice.speech_song import HeardSpeech, hear, song_of_speech, timed

Takes = Literal["source", "score", "speech"]
"""source: the clip itself. score: its notes and phones. speech: its words spoken, and its score."""
_SLACK_S = 0.1
"""How much longer or shorter than its clip another system's sound may be."""


@dataclass(frozen=True)
class Made:
    """A sound at the clip's rate, and the pitch that was asked for; None: that of the clip."""

    audio_S: np.ndarray
    asked_hz_T: np.ndarray | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the file of another system's sound says of its origin."""


class System(Protocol):
    """Whatever sings clips."""

    @property
    def takes(self) -> Takes: ...

    @property
    def sample_rate_hz(self) -> int | None:
        """At which it sings; None: at no rate of its own."""
        ...

    @property
    def costs(self) -> bool:
        """Whether the time it takes is that of singing."""
        ...

    def sing(self, clip: Clip, voice: Voice) -> Made: ...


class FromSource:
    """A conversion run: the clip's own sound again, in a voice."""

    takes: Takes = "source"
    costs = True

    def __init__(self, run: Path, config: ConvertConfig, work: Path) -> None:
        """`work`: a folder for what is needed on the way. Raises InputError where the run is none of these, or cannot
        sound."""
        device = device_here(config.device)
        self.model = load_voice(run, device, config.vocoder)
        check_sampling(run, self.model, config.engine.sampling)
        self._config, self._work = config, work
        kept = home() / "features" if config.keep_features else None
        self._reader = Reader(self.model.content, config.content_files, config.tracker, device, kept)
        self._drawn = None
        if config.index is not None:
            self._drawn = Retrieval(config.index, config.index_share, config.index_nearest, device)

    @property
    def sample_rate_hz(self) -> int:
        return self.model.spec.sample_rate_hz

    def song(self, clip: Clip, voice: Voice, as_it_is: bool = False) -> Song:
        """What is sung. `as_it_is`: at the clip's own pitch, whatever the config says."""
        # A song's content is read from its folder as long as it is sung, so each has one of its own.
        folder = Path(mkdtemp(dir=self._work))
        save(Audio(clip.audio_S[None], clip.rate_hz), folder / "source.wav")
        features = self._reader.read(folder / "source.wav", folder)
        f0_hz_T = features.f0_hz_T if as_it_is else in_key(features.f0_hz_T, voice.range, self._config)[0]
        return Song(features, f0_hz_T, lambda _: voice.vector_E, self._drawn)

    def sing(self, clip: Clip, voice: Voice, as_it_is: bool = False) -> Made:
        song = self.song(clip, voice, as_it_is)
        audio_S = np.concatenate(list(render(self.model, song, self._config.engine)))
        return Made(at_rate(audio_S, self.sample_rate_hz, clip), song.f0_hz_T)


class FromScore:
    """A run that sings scores: the clip's notes and phones with the times they were sung at, in a voice. The pitch that
    is asked for is the clip's, whatever curve the model draws."""

    takes: Takes = "score"
    costs = True

    def __init__(self, run: Path, config: RenderConfig) -> None:
        """Raises InputError where the run is none of these, or cannot sound."""
        self.model, self._config = load_score_voice(run, device_here(config.device), config.vocoder), config

    @property
    def sample_rate_hz(self) -> int:
        return self.model.spec.sample_rate_hz

    def sing(self, clip: Clip, voice: Voice) -> Made:
        assert clip.read_score is not None, f"clip {clip.name} has no score: check_given"
        score = chosen(clip.read_score(), self._config)
        song = song_of(self.model, score, voice.vector_E, self._config.vibrato).song
        audio_S = np.concatenate(list(render(self.model, song, self._config.engine)))
        return Made(at_rate(audio_S, self.sample_rate_hz, clip))


class FromSpeech:
    """A run that sings speech: the clip's words, spoken, on its notes and with the times that its phones were sung at,
    in a voice. The pitch that is asked for is the clip's, whatever curve the model draws."""

    takes: Takes = "speech"
    costs = True

    def __init__(self, run: Path, config: SpeechConfig) -> None:
        """Raises InputError where the run is none of these, or cannot sound."""
        device = device_here(config.device)
        self.model, self._config = load_speech_voice(run, device, config.vocoder), config
        self._content = load_content(self.model.content, config.content_files, device)
        self._listener, self._device = Listener(config.listener, device), device

    @property
    def sample_rate_hz(self) -> int:
        return self.model.spec.sample_rate_hz

    def hear(self, clip: Clip, score: Score) -> HeardSpeech:
        """The words are looked for, whatever else is known of the speech."""
        assert clip.speech is not None, f"clip {clip.name} has no speech: check_given"
        audio_S = clip.speech.mono_S(SAMPLE_RATE_HZ)
        return hear(audio_S, self._listener.place(score, audio_S).score, self._content, self._device)

    def sing_score(
        self, score: Score, heard: HeardSpeech, voice: Voice, f0_hz_T: np.ndarray | None = None
    ) -> ScoreSong:
        """What is sung of a score, whose phones may have times."""
        score = timed(transposed(score, self._config.shift), heard.spoken, self._config.consonants)
        return song_of_speech(self.model, score, heard, voice.vector_E, self._config.vibrato, None, f0_hz_T)

    def sound(self, sung: ScoreSong, clip: Clip) -> np.ndarray:
        """audio_S at the clip's rate."""
        audio_S = np.concatenate(list(render(self.model, sung.song, self._config.engine)))
        return at_rate(audio_S, self.sample_rate_hz, clip)

    def sing(self, clip: Clip, voice: Voice) -> Made:
        assert clip.read_score is not None, f"clip {clip.name} has no score: check_given"
        score = clip.read_score()
        return Made(self.sound(self.sing_score(score, self.hear(clip, score), voice), clip))


@dataclass(frozen=True)
class HowToSing:
    """The settings of each command that sings."""

    convert: ConvertConfig
    render: RenderConfig
    speech: SpeechConfig

    def of(self, takes: Takes) -> ConvertConfig | RenderConfig | SpeechConfig:
        """The settings of a run that takes this."""
        if takes == "source":
            return self.convert
        return self.render if takes == "score" else self.speech


MODELS: dict[str, Callable[[Path, HowToSing, Path], System]] = {
    **dict.fromkeys(LOADERS, lambda run, how, work: FromSource(run, how.convert, work)),
    **dict.fromkeys(SCORE_LOADERS, lambda run, how, work: FromScore(run, how.render)),
    **dict.fromkeys(SPEECH_LOADERS, lambda run, how, work: FromSpeech(run, how.speech)),
}
"""Kind of model -> how it sings clips, by what it takes."""


class FromFiles:
    """Another system's sounds: FOLDER/<clip's name>.wav (or .flac ...), or one of the whole recording or song that the
    clip is cut from."""

    takes: Takes = "source"
    costs = False
    sample_rate_hz = None

    def __init__(self, folder: Path, clips: Sequence[Clip]) -> None:
        """Raises InputError where a clip has none, or one of another length, or at a lower rate than the clips'."""
        self._folder = folder
        if not folder.is_dir():
            raise InputError(f"--against {folder}: no such folder")
        lacking = [clip.name for clip in clips if self._find(clip) is None]
        if lacking:
            there = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in AUDIO_ENDINGS)
            raise InputError(
                f"--against {folder}: nothing for {len(lacking)} of {len(clips)} clips ({', '.join(lacking[:3])}); it "
                f"has {', '.join(there[:3]) or 'no audio'}{' ...' if len(there) > 3 else ''}. Name each as its clip: "
                f"{lacking[0]}.wav"
            )
        for clip in clips:
            self._read(clip)

    def sing(self, clip: Clip, voice: Voice) -> Made:
        path = self._find(clip)
        assert path is not None, clip.name
        return Made(at_rate(*self._read(clip), clip), tags=read_tags(path))

    def _read(self, clip: Clip) -> tuple[np.ndarray, int]:
        """(audio_S, its rate) of the clip alone."""
        path = self._find(clip)
        assert path is not None, clip.name
        audio = decode(path)
        if audio.sample_rate_hz < clip.rate_hz:
            raise _too_low(f"--against {path}", audio.sample_rate_hz, clip.rate_hz)
        if (
            abs(audio.duration_s - clip.duration_s) > _SLACK_S
            and audio.duration_s >= clip.start_s + clip.duration_s - _SLACK_S
        ):
            audio = audio.cut(clip.start_s, clip.duration_s)
        if abs(audio.duration_s - clip.duration_s) > _SLACK_S:
            raise InputError(
                f"--against {path}: {audio.duration_s:.2f} s for clip {clip.name} of {clip.duration_s:.2f} s; need as "
                "long, or the whole that the clip is cut from"
            )
        return audio.mono_S(), audio.sample_rate_hz

    def _find(self, clip: Clip) -> Path | None:
        # Not with_suffix: names may hold dots.
        whole = clip.name[: -len(f"-{clip.start_s:g}")] if clip.name.endswith(f"-{clip.start_s:g}") else clip.name
        named = [self._folder / f"{name}{ending}" for name in (clip.name, whole) for ending in AUDIO_ENDINGS]
        return next((path for path in named if path.is_file()), None)


def load_system(run: Path, how: HowToSing, work: Path) -> System:
    """Raises InputError where there is no model that sings."""
    kind = describe_model(run).kind
    if kind not in MODELS:
        raise InputError(f"--model {run}: found a {kind} model, need {' or '.join(MODELS)}; give a run of these")
    return MODELS[kind](run, how, work)


def check_given(name: str, system: System, clips: Sequence[Clip]) -> None:
    """Raises InputError where a clip lacks what the system takes."""
    for clip in clips:
        if system.takes in ("score", "speech") and (clip.read_score is None or not clip.read_score().phones):
            raise InputError(
                f"--model {name}: takes a score, clip {clip.name} has none with words; give made songs, or a dataset "
                "built with the member score"
            )
        if system.takes == "speech" and clip.speech is None:
            raise InputError(f"--model {name}: takes speech, clip {clip.name} has none; give made songs with speech")


def common_rate(systems: dict[str, System], asked: int | None, usual: int) -> int:
    """The rate of all models; `asked`: one to which they are resampled. Raises InputError where they differ, or the one
    that is asked for is above one of them."""
    rates = {name: rate for name, system in systems.items() if (rate := system.sample_rate_hz) is not None}
    if asked is None:
        first = next(iter(rates), None)
        for name, rate in rates.items():
            if first is not None and rate != rates[first]:
                raise InputError(
                    f"--model {name}: sings at {rate} Hz, {first} at {rates[first]} Hz; figures of two rates cannot be "
                    f"compared: evaluate them apart, or give --rate {min(rates.values())}, to which all are resampled"
                )
        return usual if first is None else rates[first]
    for name, rate in rates.items():
        if rate < asked:
            raise _too_low(f"--model {name}", rate, asked)
    return asked


def at_rate(audio_S: np.ndarray, rate_hz: int, clip: Clip) -> np.ndarray:
    """audio_S at the clip's rate."""
    made_S: np.ndarray = Audio(audio_S[None], rate_hz).resampled(clip.rate_hz).samples_CS[0]
    return made_S


def _too_low(who: str, found_hz: int, needed_hz: int) -> InputError:
    return InputError(f"{who}: is at {found_hz} Hz, need {needed_hz} Hz or more; give --rate {found_hz}")
