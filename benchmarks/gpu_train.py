"""A training task -> what its step takes in bf16, eager and with its layers compiled, on made clips.

A step is that of train.loop: every phase's loss, backward, clip, update. The data is prepared before. FLOPs are counted
by torch over forward and backward of an eager step (products, convolutions, attention); Fourier transforms and
elementwise work are not.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gpu_clock import seconds_a_call, wait
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autosing.audio.io import Audio
from autosing.codecs.spec import CodecSpec
from autosing.schemas.features import FEATURES
from autosing.schemas.records import CodecRecord, FeatureRecord, MemberRecord, Part, SemanticRecord
from autosing.schemas.sample import DatasetIndex, Sample, SampleMeta
from autosing.schemas.tables import Line, Word
from support.scores import made_score
from train.config import TrainConfig
from train.distributed import Gradients
from train.optim import build_optimisers, clip, parameters_of, step_if
from train.task import Task
from train.tasks import task_class

SPEC = CodecSpec(
    name="made-24khz", sample_rate_hz=24_000, hop_samples=256, strides=(4, 2, 2, 1), codebook_sizes=(512,) * 4
)
BEFORE = 3
"""Steps before the first that counts: in them a codec's quantiser and a codebook's statistics begin."""


@dataclass(frozen=True)
class Case:
    """How a task is measured."""

    settings: dict[str, Any] = field(default_factory=dict)
    batch: int = 16
    clip_s: float = 4.0


CASES = {
    "t2s": Case({"size": "small", "semantic": None}, 16, 30.0),
    "sm2a": Case({"size": "small", "semantic": None}, 8, 30.0),
    "codec": Case({"unquantised_steps": 1}),
    "semantic": Case({"statistics_steps": 1}, 8, 12.0),
    "vocoder": Case({"adversarial_from": 0}),
    "ctc_head": Case({}, 4, 20.0),
    "svc_flow": Case({"heard_weight": 0.0}),
    "svc_vits": Case({"adversarial_from": 0}, 8),
    "visinger": Case({"losses": {"heard_weight": 0.0}}),
    "sts": Case({"losses": {"heard_weight": 0.0}}),
}
"""What differs from Case's defaults. Weights that would have to be fetched are left out where a task can do without."""
_NARROW = {"width": 16, "hidden": 16, "blocks": 1, "encoder_blocks": 1}
TINY = {
    "t2s": Case({"size": "debug", "semantic": None}, 2, 2.0),
    "sm2a": Case({"size": "debug", "semantic": None}, 2, 2.0),
    "codec": Case({"unquantised_steps": 1}, 2, 2.0),
    "semantic": Case({"statistics_steps": 1, "crop_codes": 25}, 2, 2.0),
    "vocoder": Case({"adversarial_from": 0, "crop_frames": 16}, 2, 2.0),
    "svc_flow": Case({"heard_weight": 0.0, "crop_frames": 96, "model": _NARROW}, 2, 2.0),
    "svc_vits": Case({"adversarial_from": 0, "segment_frames": 16, "judged_frames": 16}, 2, 2.0),
    "visinger": Case({"losses": {"heard_weight": 0.0}, "crop_frames": 96, "flow_model": _NARROW}, 2, 2.0),
    "sts": Case({"losses": {"heard_weight": 0.0}, "crop_frames": 96, "flow_model": _NARROW}, 2, 2.0),
}
"""For a CPU's seconds."""


def training(name: str, case: Case, device: str, at_least_s: float, backend: str | None) -> dict[str, Any]:
    """`backend`: of torch.compile, or None: only eager. Raises InputError where a task's weights are missing."""
    torch.manual_seed(0)
    task = task_class(name)(task_class(name).Settings.build(case.settings, name), made_index())
    task.device = torch.device(device)
    task.modules.to(device)
    step = Step(task, batch_of(task, case), device)
    for _ in range(BEFORE):
        step()
    with FlopCounterMode(display=False) as counter:
        step()
    flops = counter.get_total_flops()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    found: dict[str, Any] = {
        "parameters": sum(p.numel() for p in task.modules.parameters() if p.requires_grad), "batch": case.batch,
        "clip_s": case.clip_s, "tflop_per_step": flops / 1e12,
        "eager": _taken(seconds_a_call(step, device, at_least_s), flops, case),
    }  # fmt: skip
    if device == "cuda":
        found["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    if backend is not None:
        found["compiled_layers"] = compile_layers(task, backend)
        start_s = time.perf_counter()
        step()
        wait(device)
        first_s = time.perf_counter() - start_s
        found["compiled"] = _taken(seconds_a_call(step, device, at_least_s), flops, case) | {"first_step_s": first_s}
    return found


def _taken(step_s: float, flops: int, case: Case) -> dict[str, float]:
    return {"step_s": step_s, "tflops": flops / step_s / 1e12, "clip_hours_per_hour": case.batch * case.clip_s / step_s}


class Step:
    """One update on one batch, as train.loop does it. Without waiting for the device, unless the task must."""

    def __init__(self, task: Task, batch: dict[str, torch.Tensor], device: str) -> None:
        config = TrainConfig(precision="bf16")
        self._task, self._device, self._number = task, device, 0
        self._batch = {name: tensor.to(device) for name, tensor in batch.items()}
        self._optimisers = build_optimisers(task, config)
        self._gradients = Gradients({phase: task.modules[phase] for phase in task.phases}, 1)
        task.modules.train()

    def __call__(self) -> None:
        task = self._task
        self._number += 1
        counts = {name: count.float().clamp(min=1.0) for name, count in task.counts(self._batch).items()}
        running = task.losses(self._batch, self._number, counts)
        for phase in task.phases:
            optimiser = self._optimisers[phase]
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast(self._device, torch.bfloat16):
                _, loss, _ = next(running)
            self._gradients.backward(phase, loss, last=True, retain_graph=phase != task.phases[-1])
            step_if(optimiser, torch.isfinite(clip(parameters_of(optimiser), 1.0)))
        if task.has_after_step:
            with torch.no_grad():
                task.after_step(self._number)


def compile_layers(task: Task, backend: str) -> int:
    """How many were compiled: what the task names, or else every layer of its stacks."""
    if task.compiled:
        layers = [task.modules.get_submodule(name) for name in task.compiled]
    else:
        stacks = [module for phase in task.phases for module in task.modules[phase].modules()]
        layers = [layer for stack in stacks if isinstance(stack, nn.ModuleList | nn.Sequential) for layer in stack]
        inner = {id(part) for layer in layers for part in layer.modules() if part is not layer}
        layers = [layer for layer in layers if id(layer) not in inner and any(True for _ in layer.parameters())]
    for layer in layers:
        layer.compile(backend=backend)
    return len(layers)


def batch_of(task: Task, case: Case) -> dict[str, torch.Tensor]:
    items = [task.prepare(made_sample(n, case.clip_s), np.random.default_rng(n)) for n in range(case.batch)]
    found: dict[str, torch.Tensor] = task.collate([item for item in items if item is not None])
    return found


def made_index() -> DatasetIndex:
    """Of clips with all members."""
    content = Part(name="whisper-base", layer=5, width=512, digest="0" * 64)
    return DatasetIndex(
        fingerprint="made", members=("meta", *FEATURES, "audio"), codec=CodecRecord(spec=SPEC, digest="0" * 64),
        semantic=SemanticRecord(size=2048, digest="1" * 64),
        features={
            "content": FeatureRecord(
                members={"content": MemberRecord(dtype="float16", rate_hz=50.0, width=(512,))}, digest="2" * 64,
                parts=(content,),
            ),
            "score": FeatureRecord(members={"score": MemberRecord(dtype="json")}, digest="3"),
            "speech": FeatureRecord(
                members={"speech": MemberRecord(dtype="float16"), "speech_knots": MemberRecord(dtype="float32")},
                digest="4", parts=(content,),
            ),
        },
    )  # fmt: skip


def made_sample(seed: int, seconds: float) -> Sample:
    """A clip with all members: a buzz with noise, random codes, a word each half second."""
    rng, rate = np.random.default_rng(seed), SPEC.sample_rate_hz
    words = [Word("la", i * 0.5, i * 0.5 + 0.4, 0.9, i // 8) for i in range(int(seconds / 0.5))]
    lines = [
        Line(" ".join("la" for _ in own), own[0].start_s, own[-1].end_s, 0.9, True)
        for own in (words[k : k + 8] for k in range(0, len(words), 8))
    ]
    t_S = np.arange(round(seconds * rate)) / rate
    buzz_S = 0.2 * np.sin(2 * np.pi * 220 * t_S) + 0.05 * rng.standard_normal(len(t_S))
    frames = SPEC.num_blocks(len(t_S)) * SPEC.block_frames

    def codes() -> np.ndarray:
        return SPEC.flatten([rng.integers(512, size=frames // stride) for stride in SPEC.strides])

    singer_E = rng.standard_normal(256)
    files: dict[str, Any] = {
        "semantic.npy": rng.integers(2048, size=int(seconds * 25)).astype(np.int16),
        "singer.npy": (singer_E / np.linalg.norm(singer_E)).astype(np.float32),
        "pitch.npy": np.full(int(seconds * 100), 220.0, np.float32),
        "loudness.npy": np.full(int(seconds * 100), -20.0, np.float32),
        "content.npy": rng.standard_normal((int(seconds * 50), 512)).astype(np.float16),
        "score.json": made_score(seconds, 57).to_json(),
        "speech.npy": rng.standard_normal((int(seconds * 25), 512)).astype(np.float16),
        "speech_knots.npy": np.array([0.05, seconds - 0.1, 0.02, seconds / 2 - 0.1], np.float32),
        "vocals_codes.npy": codes(), "instrumental_codes.npy": codes(),
        "vocals.flac": Audio(buzz_S[None].astype(np.float32), rate),
        "instrumental.flac": Audio((0.1 * rng.standard_normal((1, len(t_S)))).astype(np.float32), rate),
    }  # fmt: skip
    return Sample(
        f"made{seed}", SampleMeta(f"song{seed}", f"singer{seed % 4}", "en", None, seconds, lines, words), files
    )
