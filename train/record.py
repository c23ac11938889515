"""A run's numbers, sounds and pictures -> metrics.jsonl, TensorBoard events, samples/ and lines for people."""

import json
import math
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosing.audio.io import Audio, save
from autosing.console import duration
from autosing.storage.store import write_whole

Say = Callable[[str], None]
_SECONDS_BETWEEN_LINES = 5.0
_SHOWN = ("loss", "lr", "grad_norm", "samples_per_s")
"""The values in a line for people; all others are only in metrics.jsonl."""


class Recorder:
    """Writes for rank 0; other ranks have none. On resuming, records of later steps than `step` are removed first."""

    def __init__(self, run: Path, step: int, steps: int, say: Say) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._run, self._steps, self._say = run, steps, say
        self._first, self._began = step, time.monotonic()
        self._path = run / "metrics.jsonl"
        run.mkdir(parents=True, exist_ok=True)
        kept = [row for row in read_metrics(run) if row["step"] <= step]
        write_whole(self._path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        self._file = self._path.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(run / "events"), purge_step=step + 1)
        self._said = 0.0

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Write a row of metrics.jsonl and points of the curves, and every few seconds a line for people."""
        # JSON has neither NaN nor infinity: they become null.
        row = {"step": step, **{k: v if math.isfinite(v) else None for k, v in values.items()}}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)
        now = time.monotonic()
        if now - self._said >= _SECONDS_BETWEEN_LINES or step >= self._steps:
            self._said = now
            chosen = {name: value for name, value in values.items() if name.split("/")[-1] in _SHOWN}
            shown = "  ".join(f"{name} {value:.4g}" for name, value in chosen.items())
            self._say(f"step {step}/{self._steps}  {shown}{self._left(step, now)}")

    def _left(self, step: int, now: float) -> str:
        """The time left at the pace so far."""
        if not self._first < step < self._steps:
            return ""
        return f"  about {duration((self._steps - step) * (now - self._began) / (step - self._first))} left"

    def sound(self, step: int, name: str, audio: Audio) -> None:
        """Write a wav under samples/, and the audio and its spectrogram for TensorBoard."""
        save(audio, self._run / "samples" / f"{name}-{step:09d}.wav")
        mono_1S = torch.as_tensor(audio.mono_S())[None]
        self._events.add_audio(name, mono_1S, step, sample_rate=audio.sample_rate_hz)
        self._events.add_image(name, picture(audio), step, dataformats="HW")

    def close(self) -> None:
        self._file.close()
        self._events.close()


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl, without a last line that a kill has truncated."""
    path = run / "metrics.jsonl"
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def picture(audio: Audio, window: int = 1024, hop: int = 256) -> np.ndarray:
    """audio -> its spectrogram, uint8[H frequencies, W frames]: low frequencies at the bottom, 80 dB black to white."""
    samples_S = torch.as_tensor(audio.mono_S())
    samples_S = torch.nn.functional.pad(samples_S, (0, max(0, window - len(samples_S))))
    power_FT = torch.stft(samples_S, window, hop, window=torch.hann_window(window), return_complex=True).abs() ** 2
    level_db_FT = 10 * torch.log10(power_FT + 1e-10)
    scaled_FT = ((level_db_FT - level_db_FT.max() + 80) / 80).clamp(0, 1)
    image: np.ndarray = (scaled_FT.flip(0) * 255).to(torch.uint8).numpy()
    return image


def commit() -> str:
    """The commit of the code that is run, with "-dirty" if files differ from it; "unknown" outside a clone."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
