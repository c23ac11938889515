"""A dataset or a folder, models, other systems' sounds -> every figure of every clip, a page, and the same as JSON.

All systems sing the same clips, and all are judged by the same code; see docs/evaluate.md for what each figure means.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from pydantic import Field

from autosing.audio.io import Audio, decode, save
from autosing.checkpoint import describe_model
from autosing.config import Config
from autosing.console import progress
from autosing.device import device_here
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.metrics.kept import Kept
from autosing.metrics.meter import Meter
from autosing.metrics.scores import Scores, badness, summary
from autosing.metrics.speed import measure_speed
from autosing.pretrained.cache import home
from inference.evaluate.baselines import AsItIs, Resynthesis, World
from inference.evaluate.cast import Cast, assigned
from inference.evaluate.clips import RATE_HZ, Clip, check_clip_rates, chosen, clips_of
from inference.evaluate.judge import Judge
from inference.evaluate.page import Exhibit, page_of
from inference.evaluate.systems import FromFiles, HowToSing, Made, System, check_given, common_rate, load_system
from inference.files import check_inputs, check_owned, check_writable, writing
from inference.provenance.origin import NO_WATERMARK, Origin, digests_of, sentence_of
from inference.provenance.tags import write_tags
from inference.render import RenderConfig
from inference.speech_to_singing import SpeechConfig
from inference.voice.convert import ConvertConfig
from inference.voice.singers import Voice

MADE_BY = "autosing evaluate"


class EvaluateConfig(Config):
    """What may be chosen of an evaluation."""

    clips: int = Field(default=12, ge=1)
    seconds: float = Field(default=15.0, ge=0.5)
    """At most, of a clip of made songs or recordings."""
    seed: int = Field(default=0, ge=0)
    """Which clips, who sings them, and the draws of the intervals."""
    split: str | None = None
    """Of a dataset; by default test, or valid where there is no test."""
    language: str = "en"
    """Of recordings."""
    target: Literal["own", "other"] = "own"
    """own: each clip is to be sung as by its own singer, and the clip is the truth. other: by another of the clips'
    singers, and there is no truth to measure spectra against."""
    rate_hz: int | None = Field(default=None, ge=8_000, le=96_000)
    """All sounds are resampled to it; by default the models' own, which must be the same."""
    words: bool = True
    """Whisper is asked what it hears."""
    shown: int = Field(default=12, ge=0)
    """Clips with players on the page, the worst first; its table has all."""
    keep_figures: bool = True
    """Figures are kept in $AUTOSING_HOME/figures by the digests of sounds, so that what was measured once need not be
    again."""
    convert: ConvertConfig = ConvertConfig(keep_features=False)
    """How conversion models sing. Without keep_features RTF counts reading the source, too."""
    render: RenderConfig = RenderConfig()
    """How models of scores sing."""
    speech: SpeechConfig = SpeechConfig()
    """How models of speech sing."""


@dataclass(frozen=True)
class EvaluateRequest:
    """One evaluation."""

    data: Path
    out: Path
    models: Sequence[Path] = ()
    against: Sequence[Path] = ()
    sounds: Path | None = None
    """A folder in which all sounds stay, as <system>/<clip>.wav."""
    config: EvaluateConfig = field(default_factory=EvaluateConfig)
    force: bool = False


@dataclass(frozen=True)
class PageFiles:
    """The page, and its record with all figures: page.html and page.json."""

    page: Path
    made_by: str = MADE_BY

    @property
    def record(self) -> Path:
        return self.page.with_suffix(".json")

    def __iter__(self) -> Iterator[Path]:
        yield self.page


def evaluate(request: EvaluateRequest) -> dict[str, Any]:
    """Write the page and its JSON; returns what the JSON holds.

    Raises InputError before anything is sung: no clips, no model, names of --against that do not match, rates that
    differ, outputs that would replace somebody's own.
    """
    started, config = time.perf_counter(), request.config
    files = checked_files(request)
    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="autosing-")))
        how = HowToSing(config.convert, config.render, config.speech)
        models = named(request.models)
        runs = {name: load_system(run, how, work) for name, run in models.items()}
        found = clips_of(request.data, work / "clips", config.seconds, config.language, config.split, config.seed)
        rate_hz = common_rate(runs, config.rate_hz, RATE_HZ)
        pool = [replace(clip, rate_hz=rate_hz) for clip in found]
        clips = chosen(pool, config.clips, config.seed)
        check_clip_rates(clips, rate_hz)
        for name, system in runs.items():
            check_given(name, system, clips)
        against = named(request.against, taken=runs)
        theirs = {name: FromFiles(folder, clips) for name, folder in against.items()}
        device = device_here(config.convert.device)
        meter = Meter(Kept(home() / "figures" if config.keep_figures else None), rate_hz, device)
        cast = Cast([clip for clip in pool if clip not in clips] + clips, meter)
        other = config.target == "other"
        targets = (
            list(assigned(clips, cast.singers, seed_of("target", config.seed))) if other else [c.singer for c in clips]
        )
        names = [clip.name for clip in clips]
        controls: dict[str, System] = {
            "truth": AsItIs(), "source": AsItIs(), "resynthesis": Resynthesis(),
            "world": World(cast, meter, config.convert, dict(zip(names, targets, strict=True)) if other else {}),
        }  # fmt: skip
        sounds = request.sounds or work / "sounds"
        tags = {name: tags_of(models[name], how.of(system.takes)) for name, system in runs.items()}
        judge = Judge(cast, meter, config.words)
        measured = Measured(clips, targets, cast, judge, meter, sounds, tags, device != "cpu")
        scores = measured.all({**controls, **runs, **theirs})
        bad_N = badness({name: scores[name] for name in (*runs, *theirs)})
        order = sorted(range(len(clips)), key=lambda n: (-bad_N[n], n))
        facts = {
            "what": "evaluate", "data": str(request.data), "rate_hz": rate_hz, "target": config.target,
            "seed": config.seed, "singers": len(cast.singers), "config": config.dump(),
            "models": {name: str(path) for name, path in models.items()},
            "against": {name: str(path) for name, path in against.items()},
            "systems": {name: summary(found, config.seed) for name, found in scores.items()},
            "clips": [_clip_facts(clips[n], targets[n], bad_N[n], scores, n) for n in order],
            "figures": {"kept": meter.kept.hits, "measured": meter.kept.misses},
            "wall_s": round(time.perf_counter() - started, 1),
        }  # fmt: skip
        exhibits = [
            Exhibit(clips[n], {name: sound_path(sounds, name, clips[n]) for name in scores})
            for n in order[: config.shown]
        ]
        with writing(files) as under_way:
            under_way.at(files.page).write_text(page_of(facts, exhibits, meter), encoding="utf-8")
            under_way.commit(facts)
    return facts


class Measured:
    """Sings and judges clips, and keeps their sounds."""

    def __init__(
        self, clips: Sequence[Clip], targets: Sequence[str], cast: Cast, judge: Judge, meter: Meter, sounds: Path,
        tags: Mapping[str, Mapping[str, str]], by_wall: bool,
    ) -> None:  # fmt: skip
        """`tags`: of each model's sounds. `by_wall`: time is that of the clock, as the work is not the processor's."""
        self._clips, self._targets, self._cast, self._judge = clips, targets, cast, judge
        self._meter, self._sounds, self._tags, self._by_wall = meter, sounds, tags, by_wall

    def all(self, systems: Mapping[str, System]) -> dict[str, list[Scores]]:
        """System -> the scores of all clips, in their order."""
        found: dict[str, list[Scores]] = {name: [] for name in systems}
        pairs = list(zip(self._clips, self._targets, strict=True))
        for number, (clip, target) in enumerate(progress(pairs, "clips", len(pairs))):
            told = self._cast.told(target, without=clip.song)
            for name, system in systems.items():
                made, rtf = self._sung(system, clip, told, first=number == 0)
                made_S = self._filed(name, clip, made)
                asked_hz_T = self._meter.f0_hz(clip.audio_S) if made.asked_hz_T is None else made.asked_hz_T
                aim = clip.singer if name == "truth" else target
                rebuilt = aim == clip.singer
                found[name].append(self._judge.scores(clip, made_S, asked_hz_T, aim, rebuilt, rtf))
        return found

    def _filed(self, name: str, clip: Clip, made: Made) -> np.ndarray:
        """The sound as its file holds it, so that --against a folder of such files gives the same figures. What a model
        made says so in its tags."""
        if not np.isfinite(made.audio_S).all():
            raise InputError(f"{name}, clip {clip.name}: sings what is no number (NaN or infinite); leave it out")
        path = sound_path(self._sounds, name, clip)
        save(Audio(made.audio_S[None], clip.rate_hz), path)
        if tags := self._tags.get(name, made.tags):
            write_tags(path, tags, sentence_of(tags))
        filed_S: np.ndarray = decode(path).samples_CS[0]
        return filed_S

    def _sung(self, system: System, clip: Clip, told: Voice, first: bool) -> tuple[Made, float | None]:
        """(the sound, its real-time factor). The first clip is sung twice: encoders are loaded by it."""
        made: list[Made] = []
        warm_up = int(first and system.costs)
        speed = measure_speed(lambda: made.append(system.sing(clip, told)), clip.duration_s, 1, warm_up)
        if not system.costs:
            return made[-1], None
        return made[-1], (speed.wall_s / speed.audio_s if self._by_wall else speed.rtf)


def tags_of(run: Path, config: ConvertConfig | RenderConfig | SpeechConfig) -> dict[str, str]:
    """Of the sounds of a run. They bear no watermark, which figures would be measured with."""
    digests = digests_of({describe_model(run).kind: run, "vocoder": config.vocoder})
    return Origin(MADE_BY, digests, config.engine.sampling.seed).tags(NO_WATERMARK)


def sound_path(sounds: Path, system: str, clip: Clip) -> Path:
    """Where a sound lies. Clips' names may hold dots."""
    path = sounds / system / f"{clip.name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def named(paths: Sequence[Path], taken: Mapping[str, object] | None = None) -> dict[str, Path]:
    """A name for each run or folder: its own, with its parents' where two are alike. Raises InputError for one that is
    given twice."""
    held = {"truth", "source", "resynthesis", "world", *(taken or ())}
    found: dict[str, Path] = {}
    for path in paths:
        parts = path.absolute().parts
        name = next((n for k in range(1, len(parts)) if (n := "-".join(parts[-k:])) not in {*held, *found}), "")
        if not name or path.absolute() in [other.absolute() for other in found.values()]:
            raise InputError(f"{path}: is given twice; give each once")
        found[name] = path
    return found


def checked_files(request: EvaluateRequest) -> PageFiles:
    """Raises InputError where there is nothing to evaluate, or something of others would be replaced."""
    if not request.models and not request.against:
        raise InputError("nothing to evaluate: give --model RUN, or --against a folder of sounds")
    if request.out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {request.out}: ends in {request.out.suffix or 'nothing'!r}, need .html")
    files = PageFiles(request.out)
    check_writable(request.out)
    read = {**{f"--model {path}": path for path in request.models}, "the clips": request.data / "index.json"}
    check_inputs(files, read)
    check_owned(files, request.force)
    if request.sounds is not None and not request.force and request.sounds.exists() and any(request.sounds.iterdir()):
        raise InputError(f"--sounds {request.sounds}: is not empty; give another folder, or --force to write into it")
    return files


def _clip_facts(
    clip: Clip, target: str, bad: float, scores: Mapping[str, Sequence[Scores]], number: int
) -> dict[str, Any]:
    return {
        "name": clip.name, "song": clip.song, "singer": clip.singer, "target": target, "language": clip.language,
        "duration_s": round(clip.duration_s, 3), "badness": round(float(bad), 3),
        "text": " / ".join(text for text, _, _ in clip.lines or ()),
        "systems": {name: {k: round(v, 4) for k, v in found[number].row().items()} for name, found in scores.items()},
    }  # fmt: skip
