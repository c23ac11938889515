"""Samples, pitch tracks, words and losses -> the figures of a page: PNG pictures and SVG lines drawn over them.

Time runs along x and mel-scaled frequency up y, so a pitch track lies on its own harmonics. Coordinates of what is
drawn over a picture are fractions of its width and height (0, 0 = top left), so any size will do.

Shapes: S samples, M mel bands, T frames.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosing.audio.io import Audio

LOW_HZ, HIGH_HZ = 60.0, 8000.0
NUM_MELS, MAX_FRAMES = 160, 1200
RANGE_DB = 75.0
_INK = ((13, 12, 29), (61, 26, 94), (136, 40, 107), (213, 74, 77), (248, 150, 72), (252, 246, 190))
"""From silence to the loudest: dark violet, red, cream."""


@dataclass(frozen=True)
class Mark:
    """A word over a picture: where it starts and ends, in fractions of the width."""

    text: str
    left: float
    right: float


def spectrogram_png(audio: Audio) -> bytes:
    """A mel spectrogram of the whole audio, 75 dB deep, at most 1200 frames wide."""
    import torch
    from PIL import Image
    from torchaudio.functional import melscale_fbanks

    mono_S = torch.from_numpy(audio.mono_S())
    window = 1 << round(math.log2(0.046 * audio.sample_rate_hz))
    hop = max(window // 8, -(-len(mono_S) // MAX_FRAMES))
    mono_S = torch.nn.functional.pad(mono_S, (0, max(0, window - len(mono_S))))
    power_FT = torch.stft(mono_S, window, hop, window=torch.hann_window(window), return_complex=True).abs() ** 2
    bands_FM = melscale_fbanks(len(power_FT), LOW_HZ, _top_hz(audio), NUM_MELS, audio.sample_rate_hz)
    level_MT = 10 * torch.log10(bands_FM.T @ power_FT + 1e-10).numpy()
    depth_MT = np.clip((level_MT - level_MT.max()) / RANGE_DB + 1, 0, 1)[::-1]
    sink = io.BytesIO()
    Image.fromarray(_coloured(depth_MT)).quantize(64).save(sink, "PNG", optimize=True)
    return sink.getvalue()


def pitch_lines(f0_hz_T: np.ndarray, rate_hz: float, audio: Audio) -> list[list[tuple[float, float]]]:
    """A pitch track as lines over `audio`'s picture: (x, y) in fractions, a new line after each unvoiced gap."""
    width = max(audio.duration_s * rate_hz, 1.0)
    lines: list[list[tuple[float, float]]] = []
    voiced = False
    for frame, f0_hz in enumerate(f0_hz_T):
        if f0_hz > 0:
            height = 1 - (_mel(float(f0_hz)) - _mel(LOW_HZ)) / (_mel(_top_hz(audio)) - _mel(LOW_HZ))
            if not voiced:
                lines.append([])
            lines[-1].append((frame / width, height))
        voiced = bool(f0_hz > 0)
    return lines


def pitch_path(f0_hz_T: np.ndarray, rate_hz: float, audio: Audio) -> str:
    """The same lines as an SVG path."""
    lines = pitch_lines(f0_hz_T, rate_hz, audio)
    return "".join("M" + "L".join(f"{x:.4f} {y:.4f}" for x, y in line) for line in lines)


def marks(spans: Sequence[tuple[str, float, float]], duration_s: float) -> list[Mark]:
    """(text, start, end) in seconds -> positions as fractions of the width, those within the audio only."""
    return [
        Mark(text, max(0.0, start_s / duration_s), min(1.0, end_s / duration_s))
        for text, start_s, end_s in spans
        if start_s < duration_s and end_s > 0
    ]


def curve_svg(values: Sequence[tuple[float, float]], width: int = 560, height: int = 180) -> str:
    """(step, loss) points -> an SVG plot with labelled axes: the points pale, their running mean over them."""
    steps, losses = np.array([v[0] for v in values]), np.array([v[1] for v in values])
    left, right, top, bottom = 44, 8, 8, 22
    low, high = float(losses.min()), float(losses.max())
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    first, last = float(steps[0]), max(float(steps[-1]), float(steps[0]) + 1)

    def path(ys: np.ndarray) -> str:
        xs = left + (steps - first) / (last - first) * (width - left - right)
        heights = top + (high - ys) / (high - low) * (height - top - bottom)
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, heights, strict=True))

    span = max(1, len(losses) // 25)
    padded = np.pad(losses, (span // 2, span - 1 - span // 2), mode="edge")
    smooth = np.convolve(padded, np.ones(span) / span, mode="valid")
    lines = "".join(
        f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        for value in np.linspace(low, high, 4)
        for y in [top + (high - value) / (high - low) * (height - top - bottom)]
    )
    ends = (
        f'<text x="{left}" y="{height - 4}">step {first:.0f}</text>'
        f'<text x="{width - right}" y="{height - 4}" text-anchor="end">{last:.0f}</text>'
    )
    return (
        f'<svg class="curve" viewBox="0 0 {width} {height}" role="img">{lines}{ends}'
        f'<path class="raw" d="{path(losses)}"/><path class="mean" d="{path(smooth)}"/></svg>'
    )


def _top_hz(audio: Audio) -> float:
    return min(HIGH_HZ, audio.sample_rate_hz / 2)


def _mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


def _coloured(depth_MT: np.ndarray) -> np.ndarray:
    """0..1 -> uint8 colours, from the ink's stops."""
    stops = np.linspace(0, 1, len(_INK))
    colours = [np.interp(depth_MT, stops, [ink[c] for ink in _INK]) for c in range(3)]
    return np.stack(colours, axis=-1).round().astype(np.uint8)
