"""A sound -> the words that Whisper base hears, kept by the sound's digest; and how many words are heard again.

At temperature 0 with the language given: the same samples give the same words, so what was heard once may be kept.
"""

import hashlib
import json
from pathlib import Path

import jiwer
import numpy as np

from autosing.metrics.recognition import hear, spelled


class Listener:
    """audio_S -> text. `keep`: a JSON file in which what was heard stays for the next run."""

    def __init__(self, keep: Path | None = None) -> None:
        self.keep = keep
        self.kept: dict[str, str] = json.loads(keep.read_text(encoding="utf-8")) if keep and keep.is_file() else {}

    def hear(self, audio_S: np.ndarray, sample_rate_hz: int, language: str) -> str:
        key = hashlib.sha256(audio_S.tobytes() + f"{language}{sample_rate_hz}".encode()).hexdigest()
        if key not in self.kept:
            self.kept[key] = hear(audio_S, sample_rate_hz, language)
            if self.keep:
                self.keep.write_text(json.dumps(self.kept, ensure_ascii=False, indent=1), encoding="utf-8")
        return self.kept[key]


def found_again(truth: str, heard: str, language: str) -> tuple[int, int]:
    """(how many words of the truth stand in what was heard, in order; how many words the truth has)."""
    wanted = spelled(truth, language)
    hits = int(jiwer.process_words(wanted, spelled(heard, language)).hits) if wanted else 0
    return hits, len(wanted.split())
