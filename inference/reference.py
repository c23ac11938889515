"""A window of a reference song -> conditions of the models: instrumental, singer vector, balance of voice and music.

Shapes: C channels, S samples.
"""

import math
from dataclasses import dataclass

import numpy as np

from autosing.audio.io import Audio
from autosing.audio.key import Key, key_of
from autosing.audio.loudness import integrated_lufs
from autosing.errors import InputError
from autosing.models.separation import VocalsOf, at_most_stereo, split
from inference.mix import balance_lu
from inference.request import ResolvedRequest
from inference.voice.singers import Voice

OTHER_VOICE = "give --singer NAME or FILE, or another --start"
"""Remedy in messages where the reference has no usable voice."""
LEAKED_LU = -25.0
"""Separated vocals this far below the music are leakage, not singing."""


@dataclass(frozen=True)
class Reference:
    """The conditions; None for those that the request does not need."""

    instrumental: Audio | None
    """The window, at the reference's rate and channels."""
    singer: np.ndarray
    """float32[256], a unit vector."""
    balance_lu: float | None
    """Loudness of the reference's vocals above its instrumental; None where one of them is silent or not known."""
    key: Key | None
    """Of the instrumental in and around the window; None where it has none, or nothing is to be kept in it."""


def listen(resolved: ResolvedRequest, separate: VocalsOf | None, device: str = "cpu") -> Reference:
    """Separate the reference if needed, cut the window, embed the singers. Raises InputError without a voice."""
    request, config, other_voice = resolved.request, resolved.request.config, resolved.inputs.singer
    first_s, last_s = excerpt(resolved)
    vocals, instrumental = _stems(resolved, separate, first_s, last_s)
    window = key = None
    if config.music:
        assert instrumental is not None
        window = instrumental.cut(resolved.start_s - first_s, resolved.length_s)
        key = key_of(instrumental) if config.in_key else None
    own = other = None
    if resolved.needs_own_voice:
        assert vocals is not None, "open_inputs() finds another singer where the reference has none"
        name = f"reference {request.reference}"
        if instrumental and integrated_lufs(vocals) - integrated_lufs(instrumental) < LEAKED_LU:
            raise InputError(f"{name}: no voice heard in {first_s:.0f}-{last_s:.0f} s of it; {OTHER_VOICE}")
        own = _voice(vocals, name, OTHER_VOICE, device)
    if isinstance(other_voice, Voice):
        other = other_voice.vector_E
    elif other_voice is not None:
        other = _voice(other_voice, f"singer {request.singer}", "give --singer FILE with more of a voice", device)
    balance = balance_lu(vocals, instrumental) if vocals and instrumental else None
    return Reference(window, interpolate(own, other, config.singer_mix), balance, key)


def interpolate(own: np.ndarray | None, other: np.ndarray | None, share: float) -> np.ndarray:
    """Spherical interpolation of unit vectors: `share` 0 gives the first, 1 the second; with one None, the other."""
    if own is None or other is None:
        only = own if other is None else other
        assert only is not None
        return only
    angle = math.acos(float(np.clip(own @ other, -1.0, 1.0)))
    if angle < 1e-4:
        return other if share == 1 else own
    between = (math.sin((1 - share) * angle) * own + math.sin(share * angle) * other) / math.sin(angle)
    return (between / np.linalg.norm(between)).astype(np.float32)


def excerpt(resolved: ResolvedRequest) -> tuple[float, float]:
    """(start, end) in s of the part that is separated: the window, widened evenly to `context_s` within the song."""
    if resolved.inputs.reference is None:
        return 0.0, 0.0
    total_s, context_s = resolved.inputs.reference.mix.duration_s, resolved.request.config.context_s
    start_s, end_s = min(resolved.start_s, total_s), min(resolved.start_s + resolved.length_s, total_s)
    missing_s = max(0.0, context_s - (end_s - start_s))
    first_s = max(0.0, min(start_s - missing_s / 2, total_s - (end_s - start_s) - missing_s))
    return min(first_s, start_s), min(total_s, max(end_s, first_s + context_s))


def _stems(
    resolved: ResolvedRequest, separate: VocalsOf | None, first_s: float, last_s: float
) -> tuple[Audio | None, Audio | None]:
    """(vocals, instrumental) of the excerpt, as far as they are needed."""
    config, source = resolved.request.config, resolved.inputs.reference
    if source is None or not (config.music or resolved.needs_own_voice):
        return None, None
    if source.stems is not None:
        vocals, music = source.stems
        return vocals.cut(first_s, last_s - first_s), music.cut(first_s, last_s - first_s) if music else None
    song = at_most_stereo(source.mix.cut(first_s, last_s - first_s))
    return split(song, separate) if separate else (None, song)


def _voice(vocals: Audio, name: str, remedy: str, device: str) -> np.ndarray:
    """Singer vector, float32[256]. Raises InputError where there is too little voice."""
    from autosing.models.speaker import load_speaker_encoder

    try:
        return load_speaker_encoder(device).embed(vocals.mono_S(), vocals.sample_rate_hz)
    except InputError as error:
        raise InputError(f"{name}: {error}; {remedy}") from None
