"""Encoded bytes <-> float32 samples. The one place that decodes or encodes audio.

Shapes: C channels, S samples. Samples lie in [-1, 1]; what a float file holds outside is kept.
"""

import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from autosing.audio.containers import readable, share_held
from autosing.errors import InputError

_BLOCK = 65_536
"""Vorbis writes of millions of frames in one call crash libsndfile; longer audio is written block by block."""
MAX_DURATION_S = 4 * 3600
MAX_CHANNELS = 8
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
MAX_SAMPLES = 2 * 48_000 * MAX_DURATION_S
"""Of all channels: 5.5 GB of float32."""
_UNKNOWN = 2**62
"""libsndfile's count of frames is above this where a header does not say (a FLAC written to a pipe)."""
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


class AudioReader:
    """Encoded bytes, opened and within the caps, read block by block.

    Raises InputError by reason: not_audio, too_long, too_many_channels, odd_rate; while reading: damaged, no_samples,
    not_finite, too_long.
    """

    def __init__(self, data: bytes, name: str = "audio", max_samples: int | None = None) -> None:
        self.name, self._max_samples = name, MAX_SAMPLES if max_samples is None else max_samples
        try:
            self._file = sf.SoundFile(io.BytesIO(readable(data)))
        except sf.LibsndfileError as error:
            raise self._unreadable(error, "not_audio") from None
        # Else soundfile would seek, after each block, to where it is: slow, and it fails where the length is unknown.
        self._file.seekable = lambda: False
        self.sample_rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        frames: int = self._file.frames
        self.promised = frames if frames < _UNKNOWN else None
        """Samples a channel by the header; None where it does not say."""
        self._check_caps(self.promised or 0)

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tags(self) -> dict[str, str]:
        """title, artist, album, license ...; empty ones left out."""
        held: dict[str, str] = self._file.copy_metadata()
        return {key: text.strip() for key, text in held.items() if text.strip()}

    def blocks(self) -> Iterator[np.ndarray]:
        """samples_SC float32, in order, 65,536 at a time; at least one."""
        held = 0
        try:
            while len(block_SC := self._file.read(_BLOCK, dtype="float32", always_2d=True)):
                held += len(block_SC)
                self._check_caps(held)
                if not np.isfinite(block_SC).all():
                    raise InputError(f"{self.name}: holds NaN or infinite samples; export it again", "not_finite")
                yield block_SC
        except sf.LibsndfileError as error:
            raise self._unreadable(error, "damaged") from None
        if held == 0:
            raise InputError(f"{self.name}: holds no samples; need at least one", "no_samples")

    @property
    def cap(self) -> int:
        """The most samples a channel that are read."""
        return min(MAX_DURATION_S * self.sample_rate_hz, self._max_samples // self.channels)

    def _check_caps(self, frames: int) -> None:
        name, rate, channels = self.name, self.sample_rate_hz, self.channels
        if channels > MAX_CHANNELS:
            found = f"{channels} channels; at most {MAX_CHANNELS} are read; mix the file down"
            raise InputError(f"{name}: {found}", "too_many_channels")
        if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
            found = f"sample rate {rate} Hz; need {MIN_RATE_HZ} to {MAX_RATE_HZ}; resample the file"
            raise InputError(f"{name}: {found}", "odd_rate")
        if frames > self.cap:
            found = f"{frames / rate:.0f} s at {rate} Hz in {channels} channels"
            needed = f"at most {MAX_DURATION_S} s and {self._max_samples:,} samples are read"
            raise InputError(f"{name}: {found}; {needed}; cut the file", "too_long")

    def _unreadable(self, error: sf.LibsndfileError, reason: str) -> InputError:
        found = f"not readable as audio ({error.error_string}); need wav, flac, ogg, opus or mp3"
        return InputError(f"{self.name}: {found}", reason)


def decode(source: bytes | Path, name: str = "audio", max_samples: int | None = None) -> Audio:
    """Any format that libsndfile reads; at most `max_samples` of all channels together.

    Raises InputError (no such file, and what AudioReader refuses).
    """
    if isinstance(source, Path):
        if not source.is_file():
            raise InputError(f"{source}: no such file")
        source, name = source.read_bytes(), str(source)
    with AudioReader(source, name, max_samples) as reader:
        blocks = deque(reader.blocks())
    samples_CS = np.empty((reader.channels, sum(len(block_SC) for block_SC in blocks)), np.float32)
    at = 0
    while blocks:  # each block is let go once it is copied, so the audio is held once
        block_SC = blocks.popleft()
        samples_CS[:, at : at + len(block_SC)] = block_SC.T
        at += len(block_SC)
    return Audio(samples_CS, reader.sample_rate_hz)


@dataclass(frozen=True)
class Inspected:
    """What a whole reading of encoded audio found. The samples are not kept, so memory does not grow with them."""

    sample_rate_hz: int
    channels: int
    num_samples: int
    """A channel."""
    promised_samples: int
    """By the headers: a file cut short holds fewer."""


def inspect(data: bytes, name: str = "audio") -> Inspected:
    """Decode all of it, keep nothing. Raises InputError as `decode` does."""
    with AudioReader(data, name) as reader:
        held = sum(len(block_SC) for block_SC in reader.blocks())
    promised = round((held if reader.promised is None else reader.promised) / share_held(data))
    return Inspected(reader.sample_rate_hz, reader.channels, held, promised)


def read_tags(data: bytes) -> dict[str, str]:
    """The tags of an audio file (title, artist, album, license ...), empty ones left out; none of what is none."""
    try:
        with AudioReader(data) as reader:
            return reader.tags()
    except InputError:
        return {}


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
