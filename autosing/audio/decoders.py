"""Encoded bytes -> a decoder that gives float32 samples block by block: libsndfile, or FFmpeg (PyAV) where that fails.

Shapes: C channels, S samples.

| read by | what |
|---|---|
| libsndfile | wav, flac, ogg (Vorbis, Opus, FLAC), mp3, mp2, aiff, au, caf, w64, rf64 |
| FFmpeg | m4a, mp4 (AAC, ALAC), aac, wma, webm, mka, ape, wavpack, tta, ac3, amr, dsf, musepack, other wav and caf |

FFmpeg is given the container's name by the first bytes. It would guess playlists, too, which name other files and
addresses.
"""

import io
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import soundfile as sf

from autosing.audio.encoded import EncodedFile

NEEDED = "wav, flac, ogg, opus, mp3, m4a, aac, wma, webm, aiff, au, caf, ape or wavpack"
_BUFFER = 65_536
_UNKNOWN = 2**62
"""libsndfile's count of frames is above this if the header has none (a FLAC written to a pipe)."""
_CONTAINERS = (
    (4, b"ftyp", "mov"), (4, b"moov", "mov"), (4, b"mdat", "mov"), (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"), (0, b"\xff\xf1", "aac"), (0, b"\xff\xf9", "aac"),
    (0, b"MAC ", "ape"), (0, b"wvpk", "wv"), (0, b"TTA1", "tta"), (0, b"\x0b\x77", "ac3"), (0, b"#!AMR", "amr"),
    (0, b"DSD ", "dsf"), (0, b"MPCK", "mpc8"), (0, b"MP+", "mpc"), (0, b"RIFF", "wav"), (0, b"caff", "caf"),
    (0, b"OggS", "ogg"),
)  # fmt: skip
"""(offset, bytes there, FFmpeg's name of the container)."""
_ALONE = ("mov", "wv", "tta", "ape", "wav")
"""Containers whose stream has its own length; `matroska` and `asf` have one of the whole file."""
_WHOLE = ("matroska", "asf")


class DecodeError(Exception):
    """What the decoder says of a file."""


class Decoder(Protocol):
    """An opened file. `frames`: samples a channel by the header, None where it does not say."""

    sample_rate_hz: int
    channels: int
    frames: int | None
    is_integer: bool
    """Its samples cannot be NaN or infinite."""

    def read(self, at_once: int) -> np.ndarray:
        """The next samples_SC, at most so many; none at the end. Raises DecodeError."""

    def close(self) -> None: ...


def open_decoder(source: EncodedFile) -> Decoder:
    """Raises DecodeError."""
    buffered = io.BufferedReader(source, _BUFFER)
    try:
        return _Sndfile(buffered)
    except sf.LibsndfileError as error:
        said = str(error.error_string)
        buffered.detach()  # else the source would be closed with it
    source.seek(0)
    container = container_of(source.read(16))
    if container is None or source.failed:
        raise DecodeError(said)
    source.seek(0)
    return _Ffmpeg(source, container)


def container_of(head: bytes) -> str | None:
    """FFmpeg's name of the container that begins with these bytes."""
    return next((name for at, mark, name in _CONTAINERS if head[at : at + len(mark)] == mark), None)


class _Sndfile:
    def __init__(self, source: Any) -> None:
        self._file = sf.SoundFile(source)
        # Else soundfile would seek, after each block, to where it is: slow, and it fails where the length is unknown.
        self._file.seekable = lambda: False
        self.sample_rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int | None = self._file.frames if self._file.frames < _UNKNOWN else None
        self.is_integer = self._file.subtype.startswith("PCM_")

    def read(self, at_once: int) -> np.ndarray:
        try:
            block_SC: np.ndarray = self._file.read(at_once, dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            raise DecodeError(error.error_string) from None
        return block_SC

    def close(self) -> None:
        self._file.close()


class _Ffmpeg:
    """The first audio track of a file."""

    def __init__(self, source: EncodedFile, container: str) -> None:
        import av

        self._failures = (av.error.FFmpegError, ValueError)
        self.is_integer = False
        try:
            self._container: Any = av.open(
                io.BufferedReader(source, _BUFFER), format=container, metadata_errors="ignore"
            )
        except self._failures as error:
            raise DecodeError(f"{container}: {_said(error)}") from None
        tracks = self._container.streams.audio
        if not tracks:
            self.close()
            raise DecodeError(f"{container} without a track of sound")
        tracks[0].codec_context.thread_count = 1
        self._frames: Iterator[Any] = self._container.decode(tracks[0])
        self._waiting: deque[np.ndarray] = deque()
        self.sample_rate_hz, self.channels = tracks[0].rate or 0, tracks[0].channels
        first = self._next()  # some streams tell their rate only in the first frame
        if first is None:
            self.channels = max(1, self.channels)
        else:
            self.sample_rate_hz, self.channels = first.sample_rate, first.layout.nb_channels
            self._waiting.append(_samples_SC(first))
        self.frames = self._promised(tracks[0], container)

    def read(self, at_once: int) -> np.ndarray:
        while not self._waiting and (frame := self._next()) is not None:
            found = (frame.sample_rate, frame.layout.nb_channels)
            if found != (self.sample_rate_hz, self.channels):
                raise DecodeError(f"(Hz, channels) {found} after {(self.sample_rate_hz, self.channels)}")
            if frame.samples:
                self._waiting.append(_samples_SC(frame))
        if not self._waiting:
            return np.zeros((0, self.channels), np.float32)
        block_SC = self._waiting.popleft()
        if len(block_SC) > at_once:
            self._waiting.appendleft(block_SC[at_once:])
        return block_SC[:at_once]

    def close(self) -> None:
        self._container.close()

    def _next(self) -> Any:
        try:
            return next(self._frames, None)
        except self._failures as error:
            raise DecodeError(_said(error)) from None

    def _promised(self, track: Any, container: str) -> int | None:
        if container in _ALONE and track.duration and track.time_base:
            return round(track.duration * track.time_base * self.sample_rate_hz)
        if container in _WHOLE and self._container.duration and len(self._container.streams) == 1:
            return round(self._container.duration * self.sample_rate_hz / 1_000_000)
        return None


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _samples_SC(frame: Any) -> np.ndarray:
    """Float32 in [-1, 1] of any format of samples."""
    values = frame.to_ndarray()
    planar: bool = frame.format.is_planar
    values_SC = values.T if planar else values.reshape(-1, frame.layout.nb_channels)
    if values_SC.dtype == np.uint8:
        return ((values_SC.astype(np.float32) - 128) / 128).astype(np.float32)
    scale = float(-np.iinfo(values_SC.dtype).min) if values_SC.dtype.kind == "i" else 1.0
    return np.ascontiguousarray(values_SC / scale, np.float32)
