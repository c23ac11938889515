"""Recordings of one person and a trained svc_flow -> a run that sings in that person's voice, and the voice enrolled.

Each step is one command in its own process (see autosing/steps.py). After a kill, the same request goes on where it
stopped. Everything lies in the run's folder; adapt.json in it says whose voice it is, and who agreed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from autosing.audio.blocks import inspected
from autosing.checkpoint import WEIGHTS, describe_model, located
from autosing.codecs import BUNDLED, codec_digest
from autosing.config import Config, read_yaml
from autosing.demo import CONFIGS, LYRICS
from autosing.errors import InputError
from autosing.ids import check_id
from autosing.models.content import EncoderConfig, parts_of
from autosing.models.svc_flow import SvcFlowConfig
from autosing.schemas.sample import DatasetIndex
from autosing.steps import LEDGER, Step, run_steps
from autosing.storage.store import digest_of, write_whole
from inference.files import check_writable
from inference.report.collect import metrics
from inference.voice.singers import audio_in, checked_consent, enrolled, keep, voices_of_run

MADE_BY = "autosing adapt"
RECORD = "adapt.json"
_LONG_S = 600
"""From so much audio on it is worth while to start Ray and its workers."""


class AdaptConfig(Config):
    """What may be chosen of an adaptation."""

    steps: int = Field(default=300, ge=1)
    """Of training."""
    early_steps: int = Field(default=20, ge=1)
    """After so many of them a first sound is made. The rate rises until then, so that what is learnt in all is what it
    would be without that stop."""
    minutes: float | None = Field(default=None, gt=0)
    """About so long the whole may take: of the steps after the early ones only as many are made as fit."""
    separate: bool = False
    """The recordings are songs with a band, whose voice is separated first."""
    least_s: float = Field(default=20.0, gt=0)
    """Seconds of singing without which there is nothing to learn a voice from."""
    training: dict[str, Any] = Field(default_factory=dict)
    """What else differs from configs/train/svc_flow_tune.yaml."""
    content_files: dict[str, str] = Field(default_factory=dict)
    """Content encoder -> its file of weights, where the base was trained with one of the user's own."""


@dataclass(frozen=True)
class AdaptRequest:
    """Whose voice, in which run."""

    voice: Path
    out: Path
    name: str
    base: Path
    source: Path | None = None
    """Singing from which the sounds are converted; None: a line that `autosing render` sings."""
    config: AdaptConfig = field(default_factory=AdaptConfig)

    @property
    def early(self) -> int:
        return min(self.config.early_steps, self.config.steps)


@dataclass(frozen=True)
class Begun:
    """What a run's adapt.json holds."""

    name: str
    sources: tuple[str, ...]
    """sha256 of the recordings."""
    base: str
    """sha256 of the weights that training begins with."""
    separate: bool
    seconds: float
    """Of the recordings."""
    consent: str | None = None


def checked(request: AdaptRequest) -> Begun:
    """What is asked for; with the consent, where it is recorded in the run, or among the enrolled voices.

    Raises InputError: no audio or too little, a base that cannot be trained on, a name or a folder that is another
    voice's.
    """
    check_id(request.name)
    voice, out = request.voice, request.out
    files = audio_in(voice, "--voice ")
    if out.resolve().is_relative_to(voice.resolve()):
        raise InputError(f"--out {out}: lies in --voice {voice}, whose recordings it would join; give another folder")
    check_writable(out / RECORD)
    _check_base(request)
    seconds, needed = sum(map(_seconds, files)), request.config.least_s
    if seconds < needed:
        raise InputError(
            f"--voice {voice}: {seconds:.1f} s of audio in {len(files)} files, need {needed:g} s of singing; "
            "add recordings"
        )
    sources = tuple(sorted(digest_of(path) for path in files))
    base = digest_of(located(request.base) / WEIGHTS)
    asked = Begun(request.name, sources, base, request.config.separate, round(seconds, 3))
    held = _begun(out)
    if held is None and out.is_dir() and any(out.iterdir()):
        raise InputError(f"--out {out}: is not empty, and '{MADE_BY}' did not make it; give another folder")
    for key, what in _OPTIONS.items():
        if held is not None and getattr(held, key) != getattr(asked, key):
            raise InputError(
                f"--out {out}: was begun with another {what} (it is the voice {held.name}); give another --out, or "
                "what it was begun with"
            )
    known = next((voice for voice in enrolled() if voice.name == request.name), None)
    if known is not None and set(known.sources) != set(sources):
        raise InputError(
            f"--name {request.name}: a voice of that name is enrolled from other recordings; give another --name"
        )
    recorded = (held.consent if held else None) or (known.consent if known else None)
    return replace(asked, consent=recorded)


_OPTIONS = {"name": "--name", "sources": "--voice", "base": "--base", "separate": "--separate"}


def adapt(request: AdaptRequest, begun: Begun, program: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """A row for each step. `begun`: as `checked` gives it, with a consent.

    Raises InputError where a step fails, as `run_steps` does; without a consent; where too little is sung.
    """
    begun = replace(begun, consent=checked_consent(begun.consent or ""))
    request.out.mkdir(parents=True, exist_ok=True)
    facts = {"made_by": MADE_BY, **vars(begun)}
    write_whole(request.out / RECORD, json.dumps(facts, indent=1, ensure_ascii=False).encode())
    rows = run_steps(plan(request, begun.seconds), request.out, program)
    (voice,) = voices_of_run(request.out)
    keep(request.name, replace(voice, sources=begun.sources, consent=begun.consent))
    return rows


def plan(request: AdaptRequest, seconds: float) -> list[Step]:
    """The work in order, for so many seconds of audio. Both trainings are of one run: the early sound is made between
    them."""
    out, config = request.out, request.config
    corpus, dataset, source = out / "corpus", out / "dataset", request.source or out / "line.wav"
    base = _base(request)
    encoders = [{"name": part.name, "layer": part.layer} for part in base.content]
    files = json.dumps(config.content_files)
    address = "local" if seconds >= _LONG_S else "inline"
    train = (
        *("train", "svc_flow", "--data", str(dataset), "--run", str(out), "--resume"),
        *("--config", str(CONFIGS / "train" / "svc_flow_tune.yaml"), "--set", f"task.begin_with={request.base}"),
        *("--set", f"task.flow={json.dumps(base.flow.dump())}"),
        *(word for key, value in config.training.items() for word in ("--set", f"{key}={json.dumps(value)}")),
    )

    def convert(name: str, says: str, reads: tuple[str, ...] = ()) -> Step:
        return Step(
            name, says,
            (
                *("convert", "--model", str(out), "--source", str(source), "--singer", request.name, "--key", "auto"),
                *("--out", str(out / f"{name}.wav"), "--set", f"content_files={files}"),
            ),
            reads=reads, writes=(f"{name}.wav",),
        )  # fmt: skip

    line = Step(
        "line", "Sing a line, to be converted",
        ("render", "--lyrics", LYRICS, "--out", str(source)), writes=("line.wav",),
    )  # fmt: skip
    return [
        *([] if request.source else [line]),
        Step(
            "import", "Import the recordings", ("import", str(request.voice), str(corpus), "--singer", request.name),
            writes=("corpus/*/index.parquet",),
        ),
        Step(
            "process", "Cut into clips; pitch, loudness, content, singer",
            (
                *("process", str(corpus), "--config", str(CONFIGS / "processing" / "svc.yaml"), "--address", address),
                *("--set", f"content.encoders={json.dumps(encoders)}", "--set", f"content.files={files}"),
                *(("--set", "separate.separator=spleeter") if config.separate else ()),
            ),
            reads=("corpus/*/index.parquet",), writes=("corpus/*/singer.parquet",),
        ),
        Step(
            "build", "Write shards",
            (
                *("build", str(corpus), str(dataset), "--config", str(CONFIGS / "dataset_builder" / "svc.yaml")),
                *("--set", "valid=0", "--set", "test=0"),
            ),
            reads=("corpus/*/*.parquet",), writes=("dataset/index.json",),
        ),
        Step(
            "begin", f"Train for {request.early} steps", (*train, "--set", f"steps={request.early}"),
            reads=("dataset/index.json",), late_args=lambda: _with_enough(dataset, config.least_s),
        ),
        convert("early", f"Convert a line: an early sound, {out / 'early.wav'}"),
        Step(
            "train", "Train on", train, reads=("dataset/index.json",), writes=(WEIGHTS,),
            late_args=lambda: ("--set", f"steps={fitting_steps(request)}"),
        ),
        convert("sung", f"Convert the line again: {out / 'sung.wav'}", reads=(WEIGHTS,)),
    ]  # fmt: skip


def fitting_steps(request: AdaptRequest) -> int:
    """Steps of training in all, within the minutes that are asked for: by the pace of the early ones."""
    config, early = request.config, request.early
    if config.minutes is None:
        return config.steps
    ledger = json.loads((request.out / LEDGER).read_text("utf-8"))
    took_s = {name: step["seconds"] for name, step in ledger.items() if "seconds" in step}
    pace = [row["samples_per_s"] for row in metrics(request.out) if "samples_per_s" in row and row["step"] <= early]
    step_s = read_yaml(request.out / "config.yaml")["batch_size"] / pace[-1]
    before_s = sum(took_s[name] for name in ("line", "import", "process", "build", "begin", "early") if name in took_s)
    # What is to come beside the steps: a training's start, and a conversion.
    after_s = max(0.0, took_s["begin"] - early * step_s) + took_s["early"]
    return max(early, min(config.steps, early + int((60 * config.minutes - before_s - after_s) / step_s)))


def _base(request: AdaptRequest) -> SvcFlowConfig:
    return SvcFlowConfig.build(describe_model(request.base, "svc_flow").config, origin=f"--base {request.base}")


def _check_base(request: AdaptRequest) -> None:
    """Raises InputError where it is not one that svc_flow_tune.yaml can train on, with content that is made here."""
    base, known = request.base, _base(request)
    if known.space.kind != "codec_latent" or known.space.digest != codec_digest(BUNDLED):
        raise InputError(
            f"--base {base}: makes frames of {known.space.kind} {known.space.digest[:12]}, need the latent of the "
            "bundled codec; give another run, or train this one on with 'autosing train svc_flow'"
        )
    if known.flow.steps is not None:
        raise InputError(f"--base {base}: is distilled to {known.flow.steps} steps; give the run it was distilled from")
    encoders = [EncoderConfig(name=part.name, layer=part.layer) for part in known.content]
    if parts_of(encoders, request.config.content_files) != known.content:
        names = ", ".join(part.name for part in known.content)
        raise InputError(
            f"--base {base}: hears by other weights of {names} than those here; give them as "
            "--set content_files={NAME: FILE}"
        )


def _seconds(path: Path) -> float:
    """0 for what is not readable: `import` leaves it out, and says why."""
    try:
        return inspected(path).duration_s
    except InputError:
        return 0.0


def _with_enough(dataset: Path, least_s: float) -> tuple[str, ...]:
    """No more arguments. Raises InputError where too little was found to be sung."""
    found_s = DatasetIndex.load(dataset).splits["train"].seconds
    if found_s < least_s:
        raise InputError(
            f"--voice: only {found_s:.1f} s of it are singing, need {least_s:g} s; add recordings (see "
            f"'autosing status {dataset.parent / 'corpus'}')"
        )
    return ()


def _begun(out: Path) -> Begun | None:
    path = out / RECORD
    if not path.is_file():
        return None
    try:
        held = json.loads(path.read_text("utf-8"))
        del held["made_by"]
        return Begun(**{**held, "sources": tuple(held["sources"])})
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not as '{MADE_BY}' wrote it ({error}); give another --out") from None
