"""A run of a voice model -> ONNX graphs of it, checked against torch at two lengths.

| kind | graphs |
|---|---|
| svc_vits, svc_flow | voice.onnx: content, pitch, loudness, singer, noise -> audio |
| visinger | melody.onnx: a score's numbers -> content, pitch, loudness; voice.onnx; lengths.onnx: consonants' lengths |

Shapes: B = 1 clip, F frames, T = F / fold steps, N signs, P phones, M notes, E = 256.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autosing.checkpoint import describe_model
from autosing.errors import InputError
from autosing.models.acoustic import AcousticSpace
from autosing.models.melody import PHONES, SINGER_WIDTH
from autosing.models.sung_score import FRAME_NUMBERS, LENGTH_NUMBERS, NOTE_NUMBERS, SIGN_NUMBERS
from autosing.models.svc_flow import SvcFlow, SvcFlowVoice
from autosing.models.svc_vits import SvcVitsVoice
from autosing.models.told import Sampling
from autosing.models.visinger import VisingerVoice
from autosing.nn.folding import fold_weight_norms
from inference.export.graphs import FlowGraph, LengthsGraph, MelodyGraph, SvcVitsGraph
from inference.export.manifest import write_manifest
from inference.export.onnx_file import OPSET, Given, difference, write_onnx
from inference.voice.load import load_score_voice, load_voice

KINDS = ("svc_vits", "svc_flow", "visinger")
_FRAMES, _MORE_FRAMES = 45, 96
"""Of the examples: the first is no multiple of a fold, nor of what a U-Net halves."""


@dataclass(frozen=True)
class Graph:
    """A module, its outputs with their axes of any length, and examples of its inputs for so many frames."""

    module: nn.Module
    made: dict[str, dict[int, str]]
    given: Callable[[int], dict[str, Given]]


def export_onnx(run: Path, kind: str, out: Path, vocoder: Path | None, steps: int | None) -> list[dict[str, Any]]:
    """Raises InputError for another kind, for steps that the model does not know, and as the loaders do."""
    if kind not in KINDS:
        raise InputError(f"model {run}: is a {kind}; --as onnx needs {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    graphs, facts = graphs_of(run, kind, vocoder, steps)
    rows, described = [], {}
    for name, graph in graphs.items():
        path = out / f"{name}.onnx"
        given = graph.given(_FRAMES)
        worst = write_onnx(graph.module, path, given, graph.made, facts)
        others = tuple(one.example for one in graph.given(_MORE_FRAMES).values())
        worst = max(worst, difference(graph.module, path, others))
        rows.append({"file": str(path), "kind": kind, "bytes": path.stat().st_size, "from_torch": f"{worst:.1e}"})
        described[path.name] = {
            "inputs": {name: _described(one) for name, one in given.items()}, "outputs": list(graph.made),
        }  # fmt: skip
    singers = describe_model(run).extra.get("singers", [])
    write_manifest(out, {"form": "onnx", "opset": OPSET, **facts, "graphs": described, "singers": singers})
    return rows


def graphs_of(run: Path, kind: str, vocoder: Path | None, steps: int | None) -> tuple[dict[str, Graph], dict[str, Any]]:
    """(graphs by name, what is true of them all)."""
    voice = load_score_voice(run, "cpu", vocoder) if kind == "visinger" else load_voice(run, "cpu", vocoder)
    spec = voice.spec
    facts: dict[str, Any] = {
        "kind": kind, "run": str(run), "sample_rate_hz": spec.sample_rate_hz, "hop_samples": spec.hop_samples,
    }  # fmt: skip
    if isinstance(voice, SvcVitsVoice):
        if steps is not None:
            raise InputError(f"--steps {steps}: {run} is a svc_vits model, which sings in one pass; leave it out")
        config = voice.model.config
        if config.refiner is not None:
            raise InputError(
                f"model {run}: its latent is refined in several steps, which no graph of ours does; export the run "
                "that was refined, or --as safetensors"
            )
        told = _told(config.content_width, config.latent, 1)
        facts["content"] = [part.dump() for part in config.content]
        return {"voice": Graph(SvcVitsGraph(voice.model), {"audio": {1: "samples"}}, told)}, facts
    assert isinstance(voice, SvcFlowVoice | VisingerVoice), voice
    flow = voice.model if isinstance(voice, SvcFlowVoice) else voice.model.flow
    count = flow.num_steps(Sampling(steps=steps))
    facts |= {
        "steps": count, "guidance_singer": flow.config.usual_guidance_singer, "fold": flow.config.fold,
        "content": [part.dump() for part in flow.config.content],
    }  # fmt: skip
    graphs = {"voice": voice_graph(flow, voice.space, count)}
    if isinstance(voice, VisingerVoice):
        graphs |= {
            "melody": Graph(
                MelodyGraph(voice.model),
                {
                    "content": {2: "frames"},
                    "f0_hz": {1: "frames"},
                    "voiced": {1: "frames"},
                    "loudness_db": {1: "frames"},
                },
                _score,
            ),
            "lengths": Graph(LengthsGraph(voice.model.lengths), {"seconds": {1: "phones"}}, _phones),
        }
    return graphs, facts


def voice_graph(flow: SvcFlow, space: AcousticSpace, steps: int) -> Graph:
    fold_weight_norms(flow)
    given = _told(flow.config.content_width, flow.config.fold * flow.config.space.width, flow.config.fold)
    return Graph(FlowGraph(flow, space, steps), {"audio": {1: "samples"}}, given)


def _told(content: int, noise: int, fold: int) -> Callable[[int], dict[str, Given]]:
    def given(frames: int) -> dict[str, Given]:
        draw = torch.Generator().manual_seed(frames)
        along = {1: "frames"}
        f0_hz_BF = 220 * 2 ** torch.linspace(-1, 1, frames)[None]
        steps = "frames" if fold == 1 else "steps"
        return {
            "content": Given(torch.randn(1, content, frames, generator=draw), {2: "frames"}),
            "f0_hz": Given(f0_hz_BF, along),
            "voiced": Given(torch.arange(frames)[None] % 16 < 12, along),
            "loudness_db": Given(-30 + 10 * torch.rand(1, frames, generator=draw), along),
            "singer": Given(_singer(draw), {}),
            "noise": Given(torch.randn(1, noise, -(-frames // fold), generator=draw), {2: steps}),
        }

    return given


def _score(frames: int) -> dict[str, Given]:
    draw = torch.Generator().manual_seed(frames)
    signs, notes = 3 + frames // 12, 2 + frames // 24
    along, since_BF = {1: "frames"}, (torch.arange(frames)[None] % 24) / 40
    return {
        "sign": Given(_ids(signs, draw), {2: "signs"}),
        "sign_numbers": Given(torch.randn(1, SIGN_NUMBERS, signs, generator=draw), {2: "signs"}),
        "note_numbers": Given(torch.randn(1, NOTE_NUMBERS, notes, generator=draw), {2: "notes"}),
        "sign_of_frame": Given(_places(frames, signs), along),
        "note_of_frame": Given(_places(frames, notes) - 1, along),
        "frame_numbers": Given(torch.rand(1, FRAME_NUMBERS, frames, generator=draw), {2: "frames"}),
        "midi": Given(60 + 5 * torch.rand(1, frames, generator=draw), along),
        "since_s": Given(since_BF, along),
        "swell": Given((since_BF * 2).clamp(max=1), along),
        "singer": Given(_singer(draw), {}),
    }


def _phones(frames: int) -> dict[str, Given]:
    draw = torch.Generator().manual_seed(frames)
    phones = 3 + frames // 12
    return {
        "phone": Given(_ids(phones, draw), {2: "phones"}),
        "phone_numbers": Given(torch.randn(1, LENGTH_NUMBERS, phones, generator=draw), {2: "phones"}),
        "singer": Given(_singer(draw), {}),
    }


def _ids(count: int, draw: torch.Generator) -> Tensor:
    """Phone, place and language."""
    return torch.cat([torch.randint(high, (1, 1, count), generator=draw) for high in (PHONES, 4, 8)], dim=1)


def _places(frames: int, count: int) -> Tensor:
    return torch.arange(frames)[None] * count // frames


def _singer(draw: torch.Generator) -> Tensor:
    return nn.functional.normalize(torch.randn(1, SINGER_WIDTH, generator=draw), dim=1)


def _described(one: Given) -> dict[str, Any]:
    shape = [one.axes.get(axis, size) for axis, size in enumerate(one.example.shape)]
    return {"shape": shape, "type": str(one.example.dtype).removeprefix("torch.")}
