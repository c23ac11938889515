"""A size of t2s or sm2a -> what a step of decoding takes: the library's own loop, and one captured CUDA graph a step.

Both draw with the same random numbers, so their codes can be compared one by one. `captured_is_uncaptured` must be
true. `library_is_fixed` should be, but sums are ordered otherwise, and a draw on the very bound between two classes may
fall on either side. Weights are random, moved off their zeros. Without a card the same steps run uncaptured.

Shapes: C candidates, B = C (there is no guidance), T places, R rows, V classes.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gpu_clock import wait

from autosing.codecs.delay import FREE
from autosing.codecs.spec import CodecSpec
from autosing.generation.acoustic import Scale, generate_acoustic
from autosing.generation.incremental import FixedDecoder
from autosing.generation.sampling import Sampling, choose, uniforms
from autosing.generation.semantic import generate_semantic
from autosing.models.conditions import music_item, music_window, semantic_item, singer_item, stack, text_item
from autosing.models.presets import SHAPES
from autosing.models.sm2a import SM2A, SM2AConfig
from autosing.models.t2s import RATE_HZ, T2S, T2SConfig
from autosing.text.tokenizer import TimedText
from support.models import stir

SAMPLING = Sampling(temperature=1.0, top_k=16, stop_at_eos=False)
"""Among all 4096 classes one draw in some hundred would lie so near to a bound that rounding decides it."""
SEMANTIC_SIZE = 2048
SPEC = CodecSpec(
    name="snac-32khz", sample_rate_hz=32_000, hop_samples=384, strides=(8, 4, 2, 1), codebook_sizes=(4096,) * 4
)


@dataclass(frozen=True)
class Steps:
    """A song's steps: `step(t)` is the work of the t-th, `kind(t)` says which of them are the same work."""

    decoder: FixedDecoder
    count: int
    step: Callable[[int], None]
    kind: Callable[[int], tuple[int, ...]]
    codes: Callable[[], list[np.ndarray]]


def decoding(
    kind: str, size: str, seconds: float, candidates: int, device: str, scale: Scale = "fine"
) -> dict[str, Any]:
    """Seconds a step of both ways, whether their codes are the same, and the bytes that a step must read."""
    torch.manual_seed(0)
    model = (t2s_of(size) if kind == "t2s" else sm2a_of(size)).to(device)
    with torch.inference_mode():
        if kind == "t2s":
            eager, encode, steps = t2s_ways(model, seconds, candidates, device)
        else:
            eager, encode, steps = sm2a_ways(model, seconds, candidates, device, scale)
        eager()  # kernels are chosen, memory is taken
        wanted, eager_s = timed(eager, device)
        _, encode_s = timed(encode, device)
        replay, capture_s = timed(lambda: captured(steps, device), device)
        steps.decoder.place_1.zero_()
        for t in range(steps.count):
            steps.step(t)
        alone = steps.codes()
        steps.decoder.place_1.zero_()
        _, fixed_s = timed(replay, device)
    found = steps.codes()
    same = np.concatenate([(a == b).ravel() for a, b in zip(wanted, found, strict=True)])
    step_s = fixed_s / steps.count
    return {
        "size": size, "candidates": candidates, "steps": steps.count, "captured": device == "cuda",
        "eager_s_per_step": (eager_s - encode_s) / steps.count, "graph_s_per_step": step_s, "capture_s": capture_s,
        "real_time_factor": fixed_s / seconds,
        "captured_is_uncaptured": all(np.array_equal(a, b) for a, b in zip(alone, found, strict=True)),
        "library_is_fixed": bool(same.all()), "share_as_library": float(same.mean()),
        "read_mb_per_step": steps.decoder.read_bytes / 1e6, "read_gb_per_s": steps.decoder.read_bytes / step_s / 1e9,
    }  # fmt: skip


def captured(steps: Steps, device: str) -> Callable[[], None]:
    """A function that does all steps: by one graph for each kind of step, where there is a card."""
    if device != "cuda":
        return lambda: [steps.step(t) for t in range(steps.count)] and None
    graphs: dict[tuple[int, ...], torch.cuda.CUDAGraph] = {}
    for t in range(steps.count):
        if (key := steps.kind(t)) in graphs:
            continue
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                steps.decoder.place_1.fill_(t)
                steps.step(t)
        torch.cuda.current_stream().wait_stream(side)
        steps.decoder.place_1.fill_(t)
        graphs[key] = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graphs[key]):
            steps.step(t)

    def replay() -> None:
        for t in range(steps.count):
            graphs[steps.kind(t)].replay()

    return replay


def t2s_of(size: str) -> T2S:
    config = T2SConfig(shape=SHAPES[size], semantic_size=SEMANTIC_SIZE, codec=SPEC, use_singer=True)
    model = T2S(config, torch.randn(SEMANTIC_SIZE, config.semantic_width))
    stir(model)
    return model.eval().requires_grad_(False)


def sm2a_of(size: str) -> SM2A:
    config = SM2AConfig(shape=SHAPES[size], semantic_size=SEMANTIC_SIZE, codec=SPEC)
    model = SM2A(config, torch.randn(SEMANTIC_SIZE, config.semantic_width))
    stir(model)
    return model.eval().requires_grad_(False)


def t2s_ways(
    model: T2S, seconds: float, candidates: int, device: str
) -> tuple[Callable[[], list[np.ndarray]], Callable[[], Any], Steps]:
    """(the library's loop, the conditions alone, the fixed steps)."""
    lyrics, music, singer = _lyrics(seconds), _levels(seconds), _singer()
    count = round(seconds * RATE_HZ)
    levels, start_s = music_window(music, SPEC, 0.0, count / RATE_HZ)
    item = text_item(lyrics.window(0.0, count / RATE_HZ)) | music_item(levels, model.pattern, model.music_rows, start_s)
    batch = {name: value.to(device) for name, value in stack([item | singer_item(singer)] * candidates).items()}

    def encode() -> Any:
        return model.encode(batch)

    memory, positions_T = encode(), torch.arange(count, device=device, dtype=torch.float32)
    decoder = FixedDecoder(model.decoder, memory.text, memory.music, positions_T, candidates)
    moments_BTD = model.moments(positions_T[None], memory)
    uniform_TC = uniforms(SAMPLING, "semantic at 0", range(candidates), count)[:, 0].to(device)
    codes_TC = torch.zeros(count + 1, candidates, dtype=torch.long, device=device)
    codes_TC[0] = model.start
    no_end_V = torch.zeros(SEMANTIC_SIZE + 1, device=device)
    no_end_V[model.end] = float("-inf")

    def step(_: int) -> None:
        here_1 = decoder.place_1.clone()
        x_BD = model.codes(codes_TC.index_select(0, here_1).T)[:, 0] + moments_BTD.index_select(1, here_1)[:, 0]
        logits_CV = model.logits(decoder(x_BD)) + no_end_V
        code_C = choose(logits_CV, uniform_TC.index_select(0, here_1)[0], SAMPLING)
        codes_TC.index_copy_(0, here_1 + 1, code_C[None])

    def eager() -> list[np.ndarray]:
        return generate_semantic(model, lyrics, music, singer, seconds, SAMPLING, candidates)

    return eager, encode, Steps(decoder, count, step, lambda t: (), lambda: list(codes_TC[1:].T.cpu().numpy()))


def sm2a_ways(
    model: SM2A, seconds: float, candidates: int, device: str, scale: Scale
) -> tuple[Callable[[], list[np.ndarray]], Callable[[], Any], Steps]:
    """The same. A place is a column; the steps in which the same rows are drawn are one kind."""
    music, singer, blocks = _levels(seconds), _singer(), SPEC.num_blocks(round(seconds * SPEC.sample_rate_hz))
    semantic = np.random.default_rng(2).integers(0, SEMANTIC_SIZE, round(seconds * RATE_HZ))
    pattern = model.fine if scale == "fine" else model.coarse
    item = semantic_item(semantic) | music_item(music, model.coarse, model.num_rows) | singer_item(singer)
    batch = {name: value.to(device) for name, value in stack([item] * candidates).items()}

    def encode() -> Any:
        return model.encode(batch)

    memory = encode()
    lengths = [blocks * SPEC.block_frames // stride for stride in SPEC.strides]
    template_RT = pattern.to_columns([torch.full((n,), FREE) for n in lengths])
    free_RT = template_RT == FREE
    live = [torch.nonzero(rows_R)[:, 0].tolist() for rows_R in free_RT.T]
    stop = max(t for t, rows in enumerate(live) if rows)
    columns_TCR = template_RT.T[:, None].repeat(1, candidates, 1).to(device)
    positions_T = pattern.positions(stop, 1).to(device)
    decoder = FixedDecoder(model.decoder, memory.semantic, memory.music, positions_T, candidates)
    steps = pattern.num_columns(max(2, int(model.config.context_s * _block_rate())) * SPEC.block_frames)
    uniform_TRC = uniforms(SAMPLING, "acoustic at 0", range(candidates), steps, pattern.num_rows).to(device)

    def step(t: int) -> None:
        here_1 = decoder.place_1.clone()
        column_CR1 = columns_TCR.index_select(0, here_1).permute(1, 2, 0)
        x_CD = decoder((model.columns(column_CR1) + memory.singer_B1D)[:, 0])
        next_CR, uniform_RC = columns_TCR.index_select(0, here_1 + 1)[0], uniform_TRC.index_select(0, here_1 + 1)[0]
        for row in live[t + 1]:
            next_CR[:, row] = choose(model.row_logits(x_CD, row), uniform_RC[row], SAMPLING)
        columns_TCR.index_copy_(0, here_1 + 1, next_CR[None])

    def codes() -> list[np.ndarray]:
        levels = pattern.to_levels(columns_TCR.permute(1, 2, 0).cpu())
        return [level_CN.numpy() for level_CN in levels]

    def eager() -> list[np.ndarray]:
        sung = generate_acoustic(model, [semantic], music, singer, seconds, SAMPLING, candidates, scale)
        return [np.stack(level) for level in zip(*sung, strict=True)]

    return eager, encode, Steps(decoder, stop, step, lambda t: tuple(live[t + 1]), codes)


def timed(work: Callable[[], Any], device: str) -> tuple[Any, float]:
    wait(device)
    start_s = time.perf_counter()
    found = work()
    wait(device)
    return found, time.perf_counter() - start_s


def _block_rate() -> float:
    return SPEC.sample_rate_hz / SPEC.block_samples


def _lyrics(seconds: float) -> TimedText:
    return TimedText.plain("la la love " * round(3 * seconds)).spread(seconds)


def _levels(seconds: float) -> Sequence[np.ndarray]:
    rng, blocks = np.random.default_rng(1), SPEC.num_blocks(round(seconds * SPEC.sample_rate_hz))
    return [rng.integers(0, 4096, blocks * SPEC.block_frames // stride) for stride in SPEC.strides]


def _singer() -> np.ndarray:
    return np.random.default_rng(3).standard_normal(256).astype(np.float32)
