"""Samples -> files of containers that FFmpeg writes, and tags in them. For tests only.

Shapes: C channels, S samples.
"""

import io
from typing import Any

import numpy as np

MADE = {
    "m4a": ("ipod", "aac"), "alac.m4a": ("ipod", "alac"), "aac": ("adts", "aac"), "mka": ("matroska", "flac"),
    "webm": ("matroska", "libopus"), "wv": ("wv", "wavpack"), "tta": ("tta", "tta"), "ac3": ("ac3", "ac3"),
    "mp2": ("mp2", "mp2"), "wma": ("asf", "wmav2"),
}  # fmt: skip
"""Ending -> FFmpeg's (container, codec)."""
_RATE_HZ = 48_000


def media(
    samples_CS: np.ndarray, ending: str, tags: dict[str, str] | None = None, options: dict[str, str] | None = None
) -> bytes:
    """A file of audio at 48 kHz; `options`: of FFmpeg's writer."""
    import av

    container, codec = MADE[ending]
    sink = io.BytesIO()
    with av.open(sink, "w", format=container, options=options or {}) as out:
        out.metadata.update(tags or {})
        layout = "stereo" if len(samples_CS) == 2 else "mono"
        track: Any = out.add_stream(codec, rate=_RATE_HZ, layout=layout)
        track.bit_rate = 192_000
        resampler = av.AudioResampler(
            format=track.codec_context.format or "fltp", layout=layout, rate=_RATE_HZ, frame_size=_frame_size(track)
        )
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples_CS), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = _RATE_HZ, 0
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(track.encode(piece))
        out.mux(track.encode(None))
    return sink.getvalue()


def _frame_size(track: Any) -> int | None:
    track.codec_context.open()
    return track.codec_context.frame_size or None


def tone(seconds: float = 1.0, channels: int = 2, hz: float = 440.0) -> np.ndarray:
    """samples_CS of a sine, which codecs keep."""
    wave_S = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * _RATE_HZ)) / _RATE_HZ)
    return np.stack([wave_S * (1 - 0.5 * c) for c in range(channels)]).astype(np.float32)
