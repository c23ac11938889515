"""Encoded bytes <-> float32 samples. The one place that decodes or encodes audio.

Shapes: C channels, S samples. Samples lie in [-1, 1]; what a float file holds outside is kept.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from autosing.errors import InputError

_BLOCK = 65_536
"""Vorbis writes of millions of frames in one call crash libsndfile; longer audio is written block by block."""
MAX_DURATION_S = 4 * 3600
MAX_CHANNELS = 8
_FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)


@dataclass(frozen=True)
class Audio:
    """samples_CS float32 and their rate."""

    samples_CS: np.ndarray
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        return self.samples_CS.shape[1] / self.sample_rate_hz

    def mono_S(self) -> np.ndarray:
        return self.samples_CS.mean(axis=0, dtype=np.float32)

    def resampled(self, sample_rate_hz: int) -> "Audio":
        return Audio(resample(self.samples_CS, self.sample_rate_hz, sample_rate_hz), sample_rate_hz)

    def cut(self, start_s: float, duration_s: float) -> "Audio":
        """The window [start, start + duration), shorter where the audio ends."""
        first = round(start_s * self.sample_rate_hz)
        return Audio(self.samples_CS[:, first : first + round(duration_s * self.sample_rate_hz)], self.sample_rate_hz)


def decode(source: bytes | Path, name: str = "audio") -> Audio:
    """Any format that libsndfile reads. Raises InputError (unreadable, empty, non-finite, beyond the caps)."""
    if isinstance(source, Path) and not source.is_file():
        raise InputError(f"{source}: no such file")
    name = str(source) if isinstance(source, Path) else name
    reason = "not_audio"
    try:
        with sf.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            reason = "damaged"
            duration_s = file.frames / file.samplerate
            if duration_s > MAX_DURATION_S or file.channels > MAX_CHANNELS:
                raise InputError(
                    f"{name}: {duration_s:.0f} s in {file.channels} channels; "
                    f"at most {MAX_DURATION_S} s and {MAX_CHANNELS} channels are read; cut the file",
                    "too_long",
                )
            samples_SC = file.read(dtype="float32", always_2d=True)
            rate = file.samplerate
    except sf.LibsndfileError as error:
        raise InputError(
            f"{name}: not readable as audio ({error.error_string}); need wav, flac, ogg, opus or mp3", reason
        ) from None
    if len(samples_SC) == 0:
        raise InputError(f"{name}: holds no samples; need at least one", "no_samples")
    if not np.isfinite(samples_SC).all():
        raise InputError(f"{name}: holds NaN or infinite samples; export it again", "not_finite")
    return Audio(np.ascontiguousarray(samples_SC.T), rate)


def promised_samples(data: bytes) -> int:
    """Samples a channel that the header of readable audio promises: a file cut short decodes to fewer."""
    with sf.SoundFile(io.BytesIO(data)) as file:
        frames: int = file.frames
    if data[:4] == b"RIFF":  # libsndfile counts what is there; the RIFF header still says what was
        held = int.from_bytes(data[4:8], "little") + 8
        if len(data) < held < 0xFFFFFFFF:
            return frames * held // len(data)
    return frames


def read_tags(data: bytes) -> dict[str, str]:
    """The tags of an audio file (title, artist, album, license ...), empty ones left out; none of what is none."""
    try:
        with sf.SoundFile(io.BytesIO(data)) as file:
            tags: dict[str, str] = file.copy_metadata()
    except sf.LibsndfileError:
        return {}
    return {key: text.strip() for key, text in tags.items() if text.strip()}


def encode(audio: Audio, format: str = "flac") -> bytes:
    """wav, flac (both 16 bit), ogg, opus or mp3. Samples outside [-1, 1] are clipped."""
    if format not in _FORMATS:
        raise InputError(f"audio format {format!r}: unknown; need one of {', '.join(_FORMATS)}")
    if format == "opus" and audio.sample_rate_hz not in OPUS_RATES_HZ:
        audio = audio.resampled(48000)
    container, subtype = _FORMATS[format]
    samples_SC = np.clip(audio.samples_CS.T, -1.0, 1.0)
    sink = io.BytesIO()
    with sf.SoundFile(sink, "w", audio.sample_rate_hz, samples_SC.shape[1], subtype, format=container) as file:
        for start in range(0, len(samples_SC), _BLOCK):
            file.write(samples_SC[start : start + _BLOCK])
    return sink.getvalue()


def save(audio: Audio, path: Path) -> None:
    """Write a file whose ending names the format; beside it first, then under its name."""
    data = encode(audio, path.suffix.lstrip(".").lower())
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(data)
    beside.replace(path)


def resample(samples_CS: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """samples_CS (or samples_S) at another rate: round(S * to / from) samples, soxr's high quality."""
    if from_hz == to_hz:
        return samples_CS
    import soxr

    wanted = round(samples_CS.shape[-1] * to_hz / from_hz)
    moved = soxr.resample(np.ascontiguousarray(samples_CS.T, dtype=np.float32), from_hz, to_hz, quality="HQ").T
    if moved.shape[-1] < wanted:
        moved = np.pad(moved, [(0, 0)] * (moved.ndim - 1) + [(0, wanted - moved.shape[-1])])
    return np.ascontiguousarray(moved[..., :wanted])
