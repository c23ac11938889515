"""Text -> speech with the start of every phoneme and word, to the sample: eSpeak NG, loaded at run time through ctypes.

eSpeak NG keeps state in its globals, so that what it said before changes the samples of what it says next. Each
`Espeak` therefore opens a private copy of the library and closes it again: the same words in the same order give the
same bytes, in any process. (eSpeak NG is GPL-3; it is no part of this package.)

Shapes: S samples at SPEECH_RATE_HZ.
"""

import _ctypes
import ctypes as c
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from autosing.errors import InputError

SPEECH_RATE_HZ = 22050
_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA, _UTF8 = 2, 0x3, 1
_WORD_EVENT, _PHONEME_EVENT = 1, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_IPA_WITH_TIES = 0x02 | 0x80 | ord("^") << 8


class _Id(c.Union):
    _fields_ = (("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8))


class _Event(c.Structure):
    _fields_ = (
        ("type", c.c_int),
        ("unique_identifier", c.c_uint),
        ("text_position", c.c_int),
        ("length", c.c_int),
        ("audio_position", c.c_int),
        ("sample", c.c_int),
        ("user_data", c.c_void_p),
        ("id", _Id),
    )


@dataclass(frozen=True)
class SpokenPhone:
    """A phoneme in IPA and where it sounds in the speech."""

    phone: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Utterance:
    """audio_S, its phonemes, and (character position from 1, start in seconds) of each word."""

    audio_S: np.ndarray
    phones: list[SpokenPhone]
    words: list[tuple[int, float]]


def require_songs_extra(natural: bool = False) -> None:
    """Raises InputError naming the packages of the extra `songs` that are missing; natural voices need all of them."""
    missing = []
    needed = [("espeakng_loader", "espeakng-loader"), ("pyworld", "pyworld-prebuilt")]
    for module, package in needed + [("onnx", "onnx"), ("onnxruntime", "onnxruntime")] * natural:
        try:
            __import__(module)
        except ImportError:
            missing.append(package)
    if missing:
        raise InputError(f"made songs: {' and '.join(missing)} not installed; run pip install 'autosing[songs]'")


class Espeak:
    """`with Espeak() as engine: engine.say("river", "en-us+f2", pitch=50)`. One at a time in a thread."""

    def __enter__(self) -> "Espeak":
        require_songs_extra()
        import espeakng_loader

        self._folder = tempfile.TemporaryDirectory(prefix="autosing-espeak-")
        library = Path(espeakng_loader.get_library_path())
        private = Path(self._folder.name) / library.name
        shutil.copyfile(library, private)
        self._library = c.CDLL(str(private))
        data = str(espeakng_loader.get_data_path()).encode()
        rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS_IN_IPA)
        assert rate == SPEECH_RATE_HZ, f"eSpeak NG gave sample rate {rate}"
        self._pcm: list[np.ndarray] = []
        self._events: list[tuple[int, int, Any]] = []
        collector = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))
        self._callback = collector(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.espeak_Terminate()
        _ctypes.dlclose(self._library._handle)
        self._folder.cleanup()

    def say(self, text: str, voice: str, pitch: int, pitch_range: int = 0, rate_wpm: int = 150) -> Utterance:
        """One utterance; with `pitch_range` 0 on a single pitch, with 50 as one speaks."""
        self._pcm.clear()
        self._events.clear()
        failed = self._library.espeak_SetVoiceByName(voice.encode())
        assert not failed, f"eSpeak NG has no voice {voice}"
        for parameter, value in ((_RATE, rate_wpm), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._library.espeak_ng_SetRandSeed(c.c_long(1))  # breathy voices hold noise
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        audio_S = np.concatenate(self._pcm) if self._pcm else np.zeros(SPEECH_RATE_HZ // 10)
        words = [(position, start / SPEECH_RATE_HZ) for kind, start, position in self._events if kind == _WORD_EVENT]
        return Utterance(audio_S, self._phones(len(audio_S)), words)

    def ipa(self, text: str, voice: str) -> str:
        """How a word is pronounced: IPA with stress marks, the letters of one phoneme tied by ^."""
        failed = self._library.espeak_SetVoiceByName(voice.encode())
        assert not failed, f"eSpeak NG has no voice {voice}"
        ask = self._library.espeak_TextToPhonemes
        ask.restype, ask.argtypes = c.c_char_p, (c.POINTER(c.c_char_p), c.c_int, c.c_int)
        return (ask(c.byref(c.c_char_p(text.encode())), _UTF8, _IPA_WITH_TIES) or b"").decode().strip()

    def _phones(self, num_samples: int) -> list[SpokenPhone]:
        """Each phoneme lasts until the next; stress marks go, pauses and empty ones are left out."""
        marks = [(text, start) for kind, start, text in self._events if kind == _PHONEME_EVENT]
        ends = [start for _, start in marks[1:]] + [num_samples]
        return [
            SpokenPhone(phone, start / SPEECH_RATE_HZ, min(end, num_samples) / SPEECH_RATE_HZ)
            for (text, start), end in zip(marks, ends, strict=True)
            if (phone := text.strip("ˈˌ ")) and min(end, num_samples) > start
        ]

    def _collect(self, pcm: Any, num_samples: int, events: Any) -> int:
        if pcm and num_samples > 0:
            self._pcm.append(np.ctypeslib.as_array(pcm, (num_samples,)).astype(np.float64) / 32768)
        at = 0
        while events[at].type:
            event = events[at]
            is_phone = event.type == _PHONEME_EVENT
            text = bytes(event.id.string).split(b"\0")[0].decode("utf8", "replace") if is_phone else event.text_position
            self._events.append((event.type, max(0, event.sample), text))
            at += 1
        return 0
