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

from autosing.audio.channels import MonoLevel, Opposition
from autosing.audio.containers import mend, share_held, why_incomplete
from autosing.audio.decoders import NEEDED, DecodeError, open_decoder
from autosing.audio.encoded import Encoded, EncodedFile, Stem
from autosing.audio.ogg import zero_serial
from autosing.clock import spent
from autosing.errors import InputError
from autosing.storage.store import write_whole

_BLOCK = 65_536
"""Vorbis writes of millions of frames in one call crash libsndfile; longer audio is written block by block."""
_CLIP = 1 << 20
"""Shorter audio (in samples per channel) is decoded in one call, which saves copying blocks together."""
MAX_DURATION_S = 4 * 3600
MAX_CHANNELS = 8
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
MAX_SAMPLES = 2 * 48_000 * MAX_DURATION_S
"""Of all channels: 5.5 GB of float32."""
MISSING_SAMPLES = "samples are there; copy or download the file again"
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
        """The mean of the channels; if two are opposed, one is inverted (see `Opposition`)."""
        return Opposition().heard(self.samples_CS.T).mono_S(self.samples_CS.T)

    def resampled(self, sample_rate_hz: int) -> "Audio":
        return Audio(resample(self.samples_CS, self.sample_rate_hz, sample_rate_hz), sample_rate_hz)

    def cut(self, start_s: float, duration_s: float) -> "Audio":
        """The window [start, start + duration), shorter if the audio ends."""
        first = round(start_s * self.sample_rate_hz)
        return Audio(self.samples_CS[:, first : first + round(duration_s * self.sample_rate_hz)], self.sample_rate_hz)


class AudioReader:
    """Encoded audio, opened and checked against the limits, read block by block; audio in parts is read as one.

    Raises InputError by reason: not_audio, too_long, too_many_channels, odd_rate; while reading: damaged, no_samples,
    not_finite, too_long; both: truncated, chained. Raises OSError if it is in a file that cannot be read.
    """

    def __init__(self, data: Stem, name: str = "audio", max_samples: int | None = None) -> None:
        self._data, self.name, self._max_samples = data, name, MAX_SAMPLES if max_samples is None else max_samples
        first, *self._others = data if isinstance(data, tuple) else (data,)
        self._open(first)
        self.sample_rate_hz: int = self._file.sample_rate_hz
        self.channels: int = self._file.channels
        self.promised = None if self._others else self._file.frames
        """Samples a channel by the header; None where it does not say."""
        self.num_read = 0
        """Samples a channel so far."""
        self._check_caps(self.promised or 0)

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def blocks(self, at_once: int = _BLOCK) -> Iterator[np.ndarray]:
        """samples_SC float32, in order, so many at a time; at least one."""
        for _ in self._parts():
            while len(block_SC := self._read(at_once)):
                self.num_read += len(block_SC)
                self._check_caps(self.num_read)
                if not self._file.is_integer and not np.isfinite(block_SC).all():
                    raise InputError(f"{self.name}: holds NaN or infinite samples; export it again", "not_finite")
                yield block_SC
        if self.num_read == 0 and self.promised:
            raise InputError(f"{self.name}: 0 of {self.promised} {MISSING_SAMPLES}", "truncated")
        if self.num_read == 0:
            raise InputError(f"{self.name}: holds no samples; need at least one", "no_samples")

    def mono_blocks(self, sample_rate_hz: int) -> Iterator[np.ndarray]:
        """samples_CS of one channel at that rate: mixed as `Audio.mono_S` does (as the first loud minute, read ahead,
        tells), then resampled. Raises as `blocks` does."""
        opposition = self._opposition()
        same = self.sample_rate_hz == sample_rate_hz
        resampler = None if same else Resampler(self.sample_rate_hz, sample_rate_hz, 1)
        for block_SC in self.blocks():
            mono_CS = opposition.mono_S(block_SC)[None]
            yield resampler.push(mono_CS) if resampler else mono_CS
        if resampler:
            yield resampler.finish()

    def _opposition(self) -> Opposition:
        found = Opposition()
        if self.channels == 2:
            with AudioReader(self._data, self.name, self._max_samples) as ahead:
                blocks = ahead.blocks()
                while not found.is_clear(self.sample_rate_hz) and (block_SC := next(blocks, None)) is not None:
                    found.heard(block_SC)
        return found

    @property
    def read_s(self) -> float:
        """Seconds read so far."""
        return self.num_read / self.sample_rate_hz

    def _parts(self) -> Iterator[None]:
        """Once for each part, while it is open."""
        yield
        for data in self._others:
            self._file.close()
            self._open(data)
            found, needed = (self._file.sample_rate_hz, self._file.channels), (self.sample_rate_hz, self.channels)
            if found != needed:
                raise InputError(f"{self.name}: a part of (Hz, channels) {found} after one of {needed}", "damaged")
            yield

    def _open(self, data: Encoded) -> None:
        self._encoded = data
        self._source = EncodedFile(data, *mend(data))
        try:
            self._file = open_decoder(self._source)
        except DecodeError as error:
            raise self._source.failed or self._unreadable(error, "not_audio") from None

    def _read(self, at_once: int) -> np.ndarray:
        with spent("decode"):
            try:
                block_SC = self._file.read(at_once)
            except DecodeError as error:
                raise self._source.failed or self._unreadable(error, "damaged") from None
            if self._source.failed:
                raise self._source.failed
            return block_SC

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

    def _unreadable(self, error: DecodeError, reason: str) -> InputError:
        """A decoder also calls a file damaged if it is cut, or if a second file is appended to it."""
        unreadable = reason, f"not readable as audio ({error}); need {NEEDED}"
        reason, found = why_incomplete(self._encoded) or unreadable
        return InputError(f"{self.name}: {found}", reason)


def decode(source: Stem | Path, name: str = "audio", max_samples: int | None = None) -> Audio:
    """Any format of `decoders`; at most `max_samples` of all channels together.

    Raises InputError (no such file, and what AudioReader refuses).
    """
    if isinstance(source, Path):
        if not source.is_file():
            raise InputError(f"{source}: no such file")
        source, name = source.read_bytes(), str(source)
    with AudioReader(source, name, max_samples) as reader:
        blocks = deque(reader.blocks(_BLOCK if reader.promised is None else min(max(reader.promised, 1), _CLIP)))
    if len(blocks) == 1:
        return Audio(np.ascontiguousarray(blocks[0].T), reader.sample_rate_hz)
    samples_CS = np.empty((reader.channels, sum(len(block_SC) for block_SC in blocks)), np.float32)
    at = 0
    while blocks:  # a block is freed once it is copied, so the audio is in memory only once
        block_SC = blocks.popleft()
        samples_CS[:, at : at + len(block_SC)] = block_SC.T
        at += len(block_SC)
    return Audio(samples_CS, reader.sample_rate_hz)


def decode_mono(data: Stem, name: str, sample_rate_hz: int) -> tuple[Audio, float]:
    """(one channel at that rate, seconds): `AudioReader.mono_blocks` as one. Raises InputError as `decode` does."""
    with AudioReader(data, name) as reader:
        samples_CS = np.concatenate(list(reader.mono_blocks(sample_rate_hz)), axis=1)
        return Audio(samples_CS, sample_rate_hz), reader.read_s


@dataclass(frozen=True)
class Inspected:
    """Facts from decoding a file completely. The samples are not kept, so memory does not grow with them."""

    sample_rate_hz: int
    channels: int
    num_samples: int
    """Per channel."""
    promised_samples: int
    """The number in the headers: a truncated file holds fewer."""
    peak: float
    rms: float
    """Of all channels together."""
    mono_mean: float
    mono_std: float
    """Of the channels mixed to one."""

    @property
    def duration_s(self) -> float:
        return self.num_samples / self.sample_rate_hz


def inspect(data: Encoded, name: str = "audio") -> Inspected:
    """Decode everything without keeping the samples. Raises InputError as `decode` does."""
    held, peak, squares, mono = 0, 0.0, 0.0, MonoLevel()
    with AudioReader(data, name) as reader:
        for block_SC in reader.blocks():
            held += len(block_SC)
            peak = max(peak, float(block_SC.max()), -float(block_SC.min()))
            squares += float(np.vdot(block_SC, block_SC))
            mono.heard(block_SC)
    promised = round((held if reader.promised is None else reader.promised) / share_held(data))
    rms = (squares / held / reader.channels) ** 0.5
    return Inspected(reader.sample_rate_hz, reader.channels, held, promised, peak, rms, *mono.found())


def rate_kept(sample_rate_hz: int, format: str) -> int:
    """The rate at which a format stores audio of this rate: opus has five rates, and stores others at 48 kHz."""
    return 48_000 if format == "opus" and sample_rate_hz not in OPUS_RATES_HZ else sample_rate_hz


class Writer:
    """Samples, block by block -> encoded bytes: wav, flac (both 16 bit), ogg, opus or mp3. Clips outside [-1, 1].
    `into`: a file to write to, so that nothing is kept in memory; without it, `finish` gives the bytes."""

    def __init__(self, sample_rate_hz: int, channels: int, format: str = "flac", into: Path | None = None) -> None:
        if format not in _FORMATS:
            raise InputError(f"audio format {format!r}: unknown; need one of {', '.join(_FORMATS)}")
        kept_hz = rate_kept(sample_rate_hz, format)
        self._resample = None if kept_hz == sample_rate_hz else Resampler(sample_rate_hz, kept_hz, channels)
        container, subtype = _FORMATS[format]
        self._sink, self._into = io.BytesIO(), into
        self._file = sf.SoundFile(into or self._sink, "w", kept_hz, channels, subtype, format=container)

    def write(self, samples_CS: np.ndarray) -> None:
        self._encode(self._resample.push(samples_CS) if self._resample else samples_CS)

    def finish(self) -> bytes:
        """All that was written, or nothing where it went into a file. Same samples: same bytes."""
        if self._resample:
            self._encode(self._resample.finish())
        with spent("encode"):
            self._file.close()
            if self._file.format == "OGG":
                zero_serial(self._into or self._sink)
            return self._sink.getvalue()

    def _encode(self, samples_CS: np.ndarray) -> None:
        with spent("encode"):
            for start in range(0, samples_CS.shape[1], _BLOCK):
                self._file.write(np.clip(samples_CS[:, start : start + _BLOCK].T, -1.0, 1.0))


def encode(audio: Audio, format: str = "flac") -> bytes:
    """wav, flac (both 16 bit), ogg, opus or mp3. Samples outside [-1, 1] are clipped."""
    writer = Writer(audio.sample_rate_hz, len(audio.samples_CS), format)
    writer.write(audio.samples_CS)
    return writer.finish()


def save(audio: Audio, path: Path) -> None:
    """Write a file whose suffix names the format; first beside it, then renamed."""
    write_whole(path, encode(audio, path.suffix.lstrip(".").lower()))


class Resampler:
    """samples_CS, block by block, at another rate: bit for bit the same as `resample` of the whole."""

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        import soxr

        self._from_hz, self._to_hz = from_hz, to_hz
        self._stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality="HQ")
        self._none_SC = np.zeros((0, channels), np.float32)
        self._taken = self._given = 0

    def push(self, samples_CS: np.ndarray) -> np.ndarray:
        """The next samples_CS -> those that are ready, possibly none."""
        self._taken += samples_CS.shape[1]
        return self._moved(np.ascontiguousarray(samples_CS.T, dtype=np.float32), last=False)

    def finish(self) -> np.ndarray:
        """The last samples_CS; there are then round(S * to / from) in total."""
        wanted = round(self._taken * self._to_hz / self._from_hz) - self._given
        moved_CS = self._moved(self._none_SC, last=True)
        assert wanted >= 0, wanted
        return np.pad(moved_CS, ((0, 0), (0, max(0, wanted - moved_CS.shape[1]))))[:, :wanted]

    def _moved(self, samples_SC: np.ndarray, last: bool) -> np.ndarray:
        with spent("resample"):
            moved_CS = np.ascontiguousarray(self._stream.resample_chunk(samples_SC, last=last).T)
        self._given += moved_CS.shape[1]
        return moved_CS


def resample(samples_CS: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """samples_CS (or samples_S) at another rate: round(S * to / from) samples, soxr's high quality."""
    if from_hz == to_hz:
        return samples_CS
    import soxr

    wanted = round(samples_CS.shape[-1] * to_hz / from_hz)
    with spent("resample"):
        moved = soxr.resample(np.ascontiguousarray(samples_CS.T, dtype=np.float32), from_hz, to_hz, quality="HQ").T
    if moved.shape[-1] < wanted:
        moved = np.pad(moved, [(0, 0)] * (moved.ndim - 1) + [(0, wanted - moved.shape[-1])])
    return np.ascontiguousarray(moved[..., :wanted])
