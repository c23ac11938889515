"""A reference song and a window of it -> what the models are told of: its instrumental, its singer, its balance.

Shapes: C channels, S samples.
"""

import math
from dataclasses import dataclass

import numpy as np

from autosing.audio.io import Audio
from autosing.audio.loudness import integrated_lufs
from autosing.errors import InputError
from autosing.models.separation import VocalsOf, at_most_stereo, split
from inference.mix import balance_lu
from inference.request import ResolvedRequest

OTHER_VOICE = "give --singer FILE with a voice, or another --start"
"""What helps where the reference's own voice cannot be had."""
LEAKED_LU = -25.0
"""A separated voice this far below the music is leakage: nobody sings there."""


@dataclass(frozen=True)
class Reference:
    """Everything about the window that singing needs; None for what was not asked for."""

    instrumental: Audio | None
    """The window, at the reference's rate and channels."""
    singer: np.ndarray
    """float32[256], a unit vector."""
    balance_lu: float | None
    """How much louder the reference's own voice is than its instrumental; None where that cannot be heard."""


def listen(resolved: ResolvedRequest, separate: VocalsOf | None, device: str = "cpu") -> Reference:
    """Separate what must be separated, cut the window, hear the singers. Raises InputError where no voice is found."""
    request, config, other_voice = resolved.request, resolved.request.config, resolved.inputs.singer
    first_s, last_s = excerpt(resolved)
    vocals, instrumental = _stems(resolved, separate, first_s, last_s)
    window = None
    if config.music:
        assert instrumental is not None
        window = instrumental.cut(resolved.start_s - first_s, resolved.length_s)
    own = other = None
    if resolved.needs_own_voice:
        assert vocals is not None, "open_inputs() asks for a singer where the reference has none"
        name = f"reference {request.reference}"
        if instrumental and integrated_lufs(vocals) - integrated_lufs(instrumental) < LEAKED_LU:
            raise InputError(f"{name}: no voice heard in {first_s:.0f}-{last_s:.0f} s of it; {OTHER_VOICE}")
        own = _voice(vocals, name, OTHER_VOICE, device)
    if other_voice is not None:
        other = _voice(other_voice, f"singer {request.singer}", "give --singer FILE with more of a voice", device)
    balance = balance_lu(vocals, instrumental) if vocals and instrumental else None
    return Reference(window, interpolate(own, other, config.singer_mix), balance)


def interpolate(own: np.ndarray | None, other: np.ndarray | None, share: float) -> np.ndarray:
    """Between two unit vectors along the arc: `share` 0 gives the first, 1 the second; one alone gives itself."""
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
    """(start, end) of what is listened to: the window, widened evenly to `context_s` as far as the song reaches."""
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
    """float32[256]. Raises InputError where nobody is heard."""
    from autosing.models.speaker import load_speaker_encoder

    try:
        return load_speaker_encoder(device).embed(vocals.mono_S(), vocals.sample_rate_hz)
    except InputError as error:
        raise InputError(f"{name}: {error}; {remedy}") from None
