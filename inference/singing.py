"""A reference song and lyrics -> vocals, a mix over the reference's instrumental, and the lyrics' times.

Shapes: C channels, S samples, N semantic codes.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from autosing.audio.io import Audio, resample
from autosing.audio.key import Key
from autosing.codecs.base import Codec
from autosing.console import counting
from autosing.generation.acoustic import generate_acoustic
from autosing.generation.semantic import generate_semantic
from autosing.ids import seed_of
from autosing.models.semantic import SemanticTokenizer
from inference.clarity import Clarity
from inference.load import Models, load_models
from inference.lyrics_plan import as_timed_text
from inference.mix import lay_over
from inference.reference import Reference, listen
from inference.request import ResolvedRequest, SingRequest, resolve
from inference.result import Candidate, Sung
from inference.takes import choose, joined

_FREE_CENTS, _OFF_CENTS = 30.0, 50.0
"""Off a tone of the scale: nothing is taken off up to here, everything from here on."""


def sing(request: SingRequest) -> Sung:
    """Sing one request. Outputs have exactly round(length * rate) samples; same request and weights, same samples.

    Raises InputError for unusable input, before the first step of generation.
    """
    resolved = resolve(request)
    return perform(resolved, load_models(resolved))


def perform(resolved: ResolvedRequest, models: Models) -> Sung:
    """`sing` with loaded models. Raises InputError where the reference or singer file has no usable voice."""
    clock, resolved = _Clock({"load": models.load_s}), _as_usual(resolved, models)
    config, lines = resolved.request.config, resolved.lines
    chooses = config.keep == "best" and config.drawn > 1
    # Loaded first, so that missing weights are told before anything is sung.
    clarity = Clarity.for_lines(lines, models.device) if chooses and models.t2s is not None else None
    reference = listen(resolved, models.separate, models.device)
    music = _music_codes(models, reference.instrumental, resolved.length_s)
    clock.lap("reference")
    semantic = _content(models, resolved, music, reference.singer)
    clock.lap("semantic")
    key = reference.key if models.codec.pitch_codes() is not None else None
    acoustic = _sound(models, resolved, semantic, music, reference.singer, key)
    clock.lap("acoustic")
    candidates = [
        _candidate(models, resolved, reference, codes, levels) for codes, levels in zip(semantic, acoustic, strict=True)
    ]
    clock.lap("mix")
    if clarity is not None:
        candidates = [_clearest(models, resolved, reference, candidates, clarity)]
        clock.lap("choice")
    elif chooses:
        candidates = [max(candidates, key=lambda candidate: candidate.agreement or 0.0)]
    return Sung(resolved, candidates, models.device, clock.seconds, models.digests, key)


def _as_usual(resolved: ResolvedRequest, models: Models) -> ResolvedRequest:
    """With the models' usual sampling and number of takes where none is asked for."""
    config, sm2a, t2s = resolved.request.config, models.sm2a, models.t2s
    candidates, keep = config.candidates, config.keep or "all"
    if candidates is None and config.keep != "all":
        candidates, keep = t2s.config.usual.candidates if t2s else 1, "best"
    filled = {"acoustic": config.acoustic.filled(sm2a.config.usual), "candidates": candidates or 1, "keep": keep}
    if t2s is not None:
        filled["semantic"] = config.semantic.filled(t2s.config.usual)
    return replace(resolved, request=replace(resolved.request, config=config.model_copy(update=filled)))


def _music_codes(models: Models, instrumental: Audio | None, length_s: float) -> list[np.ndarray] | None:
    """Codec codes of the instrumental over the whole window, an array for each level."""
    if instrumental is None:
        return None
    spec = models.codec.spec
    mono_S = resample(instrumental.mono_S(), instrumental.sample_rate_hz, spec.sample_rate_hz)
    return spec.unflatten(models.codec.encode_flat(fitted(mono_S, round(length_s * spec.sample_rate_hz))))


def _content(
    models: Models, resolved: ResolvedRequest, music: Sequence[np.ndarray] | None, singer: np.ndarray
) -> list[np.ndarray]:
    """Semantic codes, an array for each candidate: tokenised from given vocals, or sampled from the lyrics."""
    config = resolved.request.config
    if resolved.inputs.semantic_from is not None:
        assert models.tokenizer is not None
        codes_N = models.tokenizer.tokenize(resolved.inputs.semantic_from.cut(0, resolved.length_s))
        return [codes_N.astype(np.int64)] * config.drawn
    assert models.t2s is not None
    sampling = config.semantic.model_copy(update={"seed": seed_of(config.seed, "semantic", config.semantic.seed)})
    return generate_semantic(
        models.t2s, as_timed_text(resolved.lines), music, singer, resolved.length_s, sampling, config.drawn,
        progress=counting("semantic codes"),
    )  # fmt: skip


def _sound(
    models: Models,
    resolved: ResolvedRequest,
    semantic: Sequence[np.ndarray],
    music: Sequence[np.ndarray] | None,
    singer: np.ndarray,
    key: Key | None,
) -> list[np.ndarray]:
    """Flat codec codes of the voice, an array for each candidate."""
    config = resolved.request.config
    sampling = config.acoustic.model_copy(update={"seed": seed_of(config.seed, "acoustic", config.acoustic.seed)})
    found = generate_acoustic(
        models.sm2a, semantic, music, singer, resolved.length_s, sampling, scale=models.scale,
        progress=counting("codec codes"), bias=off_key(models.codec, key, config.in_key) if key else None,
    )  # fmt: skip
    return [models.codec.spec.flatten(levels) for levels in found]


def off_key(codec: Codec, key: Key, penalty: float) -> dict[int, Tensor]:
    """level -> bias_V, for generate_acoustic: `penalty` is taken off the logits of pitches that are nearer to another
    semitone than to one of the scale, less off those from 30 cents on, so that vibrato is free."""
    coded = codec.pitch_codes()
    assert coded is not None, codec.spec.name
    level, hz_V = coded
    bias_V = torch.zeros(hz_V.shape)
    voiced_V = hz_V.cpu() > 0
    off_V = torch.from_numpy(key.cents_off(hz_V.cpu()[voiced_V].double().numpy()))
    bias_V[voiced_V] = -penalty * ((off_V - _FREE_CENTS) / (_OFF_CENTS - _FREE_CENTS)).clamp(0, 1).float()
    return {level: bias_V}


def _candidate(
    models: Models, resolved: ResolvedRequest, reference: Reference, semantic_N: np.ndarray, acoustic: np.ndarray
) -> Candidate:
    config, spec = resolved.request.config, models.codec.spec
    rate = config.sample_rate_hz or spec.sample_rate_hz
    # A model may end at once, without a code, and some codecs cannot decode an empty array.
    sung_S = models.codec.decode_flat(acoustic) if len(acoustic) else np.zeros(0, np.float32)
    voice = Audio(fitted(sung_S, round(resolved.length_s * spec.sample_rate_hz))[None], spec.sample_rate_hz)
    num_samples = round(resolved.length_s * rate)
    vocals = Audio(fitted(voice.resampled(rate).samples_CS, num_samples), rate)
    music = None
    if reference.instrumental is not None:
        music = Audio(fitted(reference.instrumental.resampled(rate).samples_CS, num_samples), rate)
    agreement = None
    if models.tokenizer is not None and config.drawn > 1:
        agreement = _agreement(models.tokenizer, voice, semantic_N)
    mix = lay_over(vocals, music, reference.balance_lu, config.music_gain_db)
    return Candidate(mix, semantic_N, acoustic, agreement)


def _clearest(
    models: Models, resolved: ResolvedRequest, reference: Reference, takes: Sequence[Candidate], clarity: Clarity
) -> Candidate:
    """Each line as the take sings it in which it is clearest."""
    choice = choose(clarity, takes, resolved.lines)
    if len(set(choice.takes)) <= 1:
        best = takes[choice.takes[0]] if choice.takes else takes[0]
    else:
        best = _candidate(models, resolved, reference, *joined(models.codec.spec, takes, choice))
    return replace(best, clarity=choice.clarity)


def _agreement(tokenizer: SemanticTokenizer, voice: Audio, semantic_N: np.ndarray) -> float:
    """Fraction of the semantic codes that the tokenizer gives for this audio."""
    heard_N = tokenizer.tokenize(voice)
    shared = min(len(heard_N), len(semantic_N))
    return float((heard_N[:shared] == semantic_N[:shared]).sum() / max(len(semantic_N), 1))


def fitted(samples: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut or zero-pad the last axis to `num_samples`."""
    short = num_samples - samples.shape[-1]
    kept = samples[..., :num_samples]
    return np.pad(kept, [(0, 0)] * (samples.ndim - 1) + [(0, short)]) if short > 0 else kept


class _Clock:
    """Seconds between laps, by name."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now
