"""Songs that are broken or odd, as code that makes them, and what must become of each. For tests only.

Shapes: C channels, S samples.
"""

import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import soundfile as sf

from autosing.audio.encoded import Stem
from autosing.audio.io import Audio, AudioReader, encode
from autosing.ids import seed_of

_RATE_HZ = 16_000
CRASHES, HANGS, TAKES_ALL = b"treacherous: crash", b"treacherous: hang", b"treacherous: memory"
"""Bytes on which the decoder of `serve_treacherously` does as they say."""


@dataclass(frozen=True)
class MediaCase:
    """A file of a source folder; `reason` is why import leaves it out, None where it must be taken in."""

    file: str
    make: Callable[[], bytes]
    reason: str | None = None


def noise(name: str, samples: int = 8000, channels: int = 1, level: float = 0.1) -> np.ndarray:
    """samples_CS, others for each name."""
    rng = np.random.default_rng(seed_of(name))
    return (level * rng.standard_normal((channels, samples))).astype(np.float32)


def written(samples_CS: np.ndarray, format: str, subtype: str, rate_hz: int = _RATE_HZ) -> bytes:
    """A file of any of libsndfile's formats."""
    sink = io.BytesIO()
    sf.write(sink, samples_CS.T, rate_hz, format=format, subtype=subtype)
    return sink.getvalue()


def song(name: str, format: str = "wav", samples: int = 8000, channels: int = 1, rate_hz: int = _RATE_HZ) -> bytes:
    return encode(Audio(noise(name, samples, channels), rate_hz), format)


def _uncounted(name: str, rate_hz: int = _RATE_HZ) -> bytes:
    """An MP3 whose first frame does not say how many follow."""
    return song(name, "mp3", rate_hz=rate_hz).replace(b"Info", bytes(4)).replace(b"Xing", bytes(4))


def silence(seconds: int, rate_hz: int = 8000) -> bytes:
    """A FLAC of silence of any length, written block by block: 3 hours take 0.3 MB."""
    sink, block = io.BytesIO(), np.zeros(rate_hz * 60, np.int16)
    with sf.SoundFile(sink, "w", rate_hz, 1, "PCM_16", format="FLAC") as file:
        for start_s in range(0, seconds, 60):
            file.write(block[: rate_hz * min(60, seconds - start_s)])
    return sink.getvalue()


def varying_mp3(name: str, counted: bool, seconds: int = 12, rate_hz: int = 44_100, channels: int = 2) -> bytes:
    """An MP3 of varying bitrate, a quarter noise and the rest silence, with or without the count of its frames."""
    samples_CS = noise(name, rate_hz * seconds, channels)
    samples_CS[:, samples_CS.shape[1] // 4 :] = 0
    data = encode(Audio(samples_CS, rate_hz), "mp3")
    return data if counted else data[data.index(data[:2], 100) :]


def id3(num_bytes: int, title: bytes = b"") -> bytes:
    """A tag of so many bytes, padded with zeros."""
    size = bytes(num_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
    frame = b"TIT2" + (len(title) + 1).to_bytes(4, "big") + b"\0\0\x03" + title if title else b""
    return b"ID3\x04\0\0" + size + frame.ljust(num_bytes, b"\0")[:num_bytes]


def _spoiled(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def _wav_claiming(name: str, num_bytes: int) -> bytes:
    said = num_bytes.to_bytes(4, "little")
    return _spoiled(_spoiled(song(name), 40, said), 4, said)


def _flac_claiming(name: str, samples: int) -> bytes:
    data = song(name, "flac")
    held = int.from_bytes(data[18:26], "big")
    return _spoiled(data, 18, (held >> 36 << 36 | samples).to_bytes(8, "big"))


def _unsized(data: bytes, riff: int) -> bytes:
    """A WAV that its writer did not come back to: its header is as it was begun."""
    return data[:4] + riff.to_bytes(4, "little") + data[8:40] + bytes(4) + data[44:]


def _ape(items: bytes) -> bytes:
    head = b"APETAGEX" + (2000).to_bytes(4, "little") + (len(items) + 32).to_bytes(4, "little") + bytes(4)
    return head + b"\0\0\0\xa0" + bytes(8) + items + head + b"\0\0\0\x80" + bytes(8)


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _floats(*values: float) -> bytes:
    samples_CS = np.full((1, 4000), 0.1, np.float32)
    samples_CS[0, : len(values)] = values
    return written(samples_CS, "WAV", "FLOAT")


MEDIA = (
    # Taken in: odd, but whole.
    *(
        MediaCase(f"{rate}hz.wav", partial(song, f"{rate} Hz", rate_hz=rate))
        for rate in (8000, 11_025, 96_000, 192_000)
    ),
    *(MediaCase(f"{number}ch.wav", partial(song, f"{number} channels", channels=number)) for number in (1, 2, 6)),
    *(
        MediaCase(f"{subtype}.wav", partial(written, noise(subtype), "WAV", subtype))
        for subtype in ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM", "GSM610")
    ),
    MediaCase("24 bits.flac", lambda: written(noise("24"), "FLAC", "PCM_24")),
    MediaCase("apple.aiff", lambda: written(noise("aiff"), "AIFF", "PCM_16")),
    MediaCase("one sample.wav", lambda: song("one", samples=1)),
    MediaCase("one sample.flac", lambda: song("one flac", "flac", samples=1)),
    MediaCase("silence.wav", lambda: encode(Audio(np.zeros((1, 8000), np.float32), _RATE_HZ))),
    MediaCase("three hours.flac", lambda: silence(3 * 3600)),
    MediaCase("clipped.wav", lambda: encode(Audio(noise("clip", level=9.0), _RATE_HZ))),
    MediaCase("beyond full scale.wav", lambda: _floats(3.0, -7.5)),
    MediaCase("wav called.mp3", lambda: song("wav called mp3")),
    MediaCase("mp3 called.wav", lambda: song("mp3 called wav", "mp3")),
    MediaCase("flac called.ogg", lambda: song("flac called ogg", "flac")),
    MediaCase("SHOUTED.MP3", lambda: song("shouted", "mp3")),
    MediaCase("big tag.mp3", lambda: id3(70_000, "제목 🎵".encode()) + song("big tag", "mp3")),
    MediaCase("rubbish behind.mp3", lambda: song("rubbish", "mp3", 30_000) + b"TAG" + bytes(range(125)) + b"\r\n" * 99),
    MediaCase("uncounted.mp3", lambda: varying_mp3("uncounted", counted=False)),
    MediaCase("counted.mp3", lambda: varying_mp3("counted", counted=True)),
    MediaCase("to a pipe.wav", lambda: _wav_claiming("pipe", 0xFFFFFFFF)),
    MediaCase("never closed.wav", lambda: _unsized(song("never closed"), 0)),
    MediaCase("recorder died.wav", lambda: _unsized(song("recorder died"), 36)),
    MediaCase("old tag behind.flac", lambda: song("id3v1", "flac") + b"TAG" + bytes(125)),
    MediaCase("tags behind.flac", lambda: id3(700) + song("ape", "flac") + _ape(bytes(90)) + b"TAG" + bytes(125)),
    MediaCase("to a pipe.flac", lambda: _flac_claiming("pipe flac", 0)),
    MediaCase("no.suffix.but.dots.wav", lambda: song("dots")),
    MediaCase("sp ace/и/\u202eعربى 🎤.ogg", lambda: song("names", "ogg")),
    # Left out, each by its reason.
    MediaCase("words.mp3", lambda: b"la la la\n" * 99, "not_audio"),
    MediaCase("page.mp3", lambda: b"<!DOCTYPE html><title>404</title>" * 9, "not_audio"),
    MediaCase("zeros.wav", lambda: bytes(9999), "not_audio"),
    MediaCase("film.m4a", lambda: b"\0\0\0 ftypM4A " + bytes(999), "not_audio"),
    MediaCase("only a tag.mp3", lambda: id3(2000, b"Nothing"), "not_audio"),
    MediaCase("endless tag.mp3", lambda: id3(0)[:6] + b"\x7f" * 4 + song("endless", "mp3"), "not_audio"),
    MediaCase("header only.wav", lambda: song("head")[:30], "not_audio"),
    MediaCase("no channels.wav", lambda: _spoiled(song("noch"), 22, b"\0\0"), "not_audio"),
    MediaCase("no rate.wav", lambda: _spoiled(song("norate"), 24, bytes(4)), "not_audio"),
    MediaCase("nothing.ogg", lambda: b"", "no_samples"),
    MediaCase("no samples.wav", lambda: song("none", samples=0), "no_samples"),
    MediaCase("cut.wav", lambda: _half(song("cut wav")), "truncated"),
    MediaCase("cut.aiff", lambda: _half(written(noise("cut aiff"), "AIFF", "PCM_16")), "truncated"),
    MediaCase("cut.mp3", lambda: _half(varying_mp3("cut mp3", counted=True)), "truncated"),
    MediaCase("cut.ogg", lambda: _half(song("cut ogg", "ogg", 64_000)), "truncated"),
    MediaCase("cut.flac", lambda: _half(song("cut flac", "flac", 30_000)), "damaged"),
    MediaCase("hole.mp3", lambda: _spoiled(song("hole", "mp3", 90_000), 3000, bytes(4000)), "damaged"),
    MediaCase("claims 3 hours.flac", lambda: _flac_claiming("claims 3 h", 3 * 3600 * _RATE_HZ), "truncated"),
    MediaCase("claims 4 GB.wav", lambda: _wav_claiming("claims 4 GB", 0xFFFFFFF0), "truncated"),
    MediaCase("claims centuries.flac", lambda: _flac_claiming("claims years", 2**36 - 1), "too_long"),
    MediaCase("five hours.flac", lambda: silence(5 * 3600, 4000), "too_long"),
    MediaCase("two songs.ogg", lambda: song("first", "ogg") + song("second", "ogg"), "chained"),
    MediaCase("two songs.mp3", lambda: song("first", "mp3") + song("second", "mp3", 30_000), "chained"),
    MediaCase("two rates.mp3", lambda: _uncounted("first") + _uncounted("second", rate_hz=22_050), "chained"),
    MediaCase("two songs.flac", lambda: song("first", "flac") + song("second", "flac"), "chained"),
    MediaCase("two songs.wav", lambda: song("first", "wav") + song("second", "wav"), "chained"),
    MediaCase("nine channels.wav", lambda: song("nine", channels=9), "too_many_channels"),
    MediaCase("slow.wav", lambda: song("slow", rate_hz=100), "odd_rate"),
    MediaCase("fast.wav", lambda: song("fast", rate_hz=2**31 - 1), "odd_rate"),
    MediaCase("nan.wav", lambda: _floats(float("nan")), "not_finite"),
    MediaCase("inf.wav", lambda: _floats(1.0, float("-inf")), "not_finite"),
    MediaCase("too large a number.wav", lambda: written(np.full((1, 99), 1e300), "WAV", "DOUBLE"), "not_finite"),
    MediaCase("crash.mp3", lambda: CRASHES, "decoder_crash"),
    MediaCase("hang.ogg", lambda: HANGS, "decoder_hang"),
    MediaCase("memory.flac", lambda: TAKES_ALL, "decoder_memory"),
)  # fmt: skip


TREACHEROUS = "from support.hostile import serve_treacherously; serve_treacherously()"
"""A program for a guard's process."""


def serve_treacherously() -> None:
    """`serve`, with a decoder that crashes, hangs or takes all memory when told to."""
    from autosing.audio.guard import serve

    opened = AudioReader.__init__

    def open_or_not(self: AudioReader, data: Stem, name: str = "audio", max_samples: int | None = None) -> None:
        if data == CRASHES:
            os.kill(os.getpid(), signal.SIGSEGV)
        while data == HANGS:
            pass
        if data == TAKES_ALL:
            bytearray(1 << 40)
        opened(self, data, name, max_samples)

    AudioReader.__init__ = open_or_not  # type: ignore[method-assign]
    serve()
