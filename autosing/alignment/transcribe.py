"""a song's voice -> lyrics with the times of their lines, by whisper-timestamped; for songs without lyrics."""

from typing import Any

import numpy as np

from autosing.alignment.place import SungLine
from autosing.text.normalize import words_of

_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Tried in turn, until a window's text neither compresses too well nor is too unlikely. At 0 alone songs loop."""
_MAX_COMPRESSION = 2.4
_NO_SPEECH = 0.6


def transcribe(model: Any, voice_S: np.ndarray, language: str | None, seed: int) -> tuple[list[SungLine], str]:
    """(lines with stamps in seconds, the language). Temperatures above 0 sample: equal seeds give equal lyrics.

    A line that Whisper repeats more than three times in a row is a loop: three are kept.
    """
    import torch
    import whisper_timestamped

    with torch.random.fork_rng(devices=[]):
        found = whisper_timestamped.transcribe_timestamped(
            model,
            np.ascontiguousarray(voice_S, dtype=np.float32),
            language=language,
            temperature=_TEMPERATURES,
            best_of=None,
            beam_size=None,
            compression_ratio_threshold=_MAX_COMPRESSION,
            no_speech_threshold=_NO_SPEECH,
            condition_on_previous_text=False,
            seed=seed % 2**31,
            fp16=False,
            verbose=None,
        )
    lines: list[SungLine] = []
    for segment in found["segments"]:
        text = " ".join(segment["text"].split())
        words = words_of(text)
        looping = len(lines) >= 3 and all(line.text == text for line in lines[-3:])
        if words and not looping:
            lines.append(SungLine(text, tuple(words), float(segment["start"])))
    return lines, str(found["language"])
