"""Singing -> its fundamental frequency at 100 frames a second, 0 where nobody sings. One interface, three trackers.

Frame t is centred on t / 100 s. Shapes: S samples, T = floor(100 x seconds) frames, F frames of another rate.
"""

import contextlib
import functools
import io
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np

from autosing.audio.io import resample
from autosing.clock import in_model
from autosing.errors import InputError
from autosing.timebase import PITCH_RATE_HZ, num_frames

TrackerName = Literal["fcpe", "crepe", "crepe-tiny", "swiftf0"]
REACH_HZ: dict[str, tuple[float, float]] = {
    "fcpe": (32.7, 1100.0), "crepe": (50.0, 2000.0), "crepe-tiny": (50.0, 2000.0), "swiftf0": (47.0, 2090.0),
}  # fmt: skip
"""The range of a tracker, measured on synthetic voices: above it, FCPE finds nothing."""
USUAL_HZ = (50.0, 1100.0)
"""The default range. CREPE, which needs a range, makes more errors in a wider one."""
_RATE_HZ = 16_000
_HOP = 160
_CHUNK_FRAMES = 2000
_CONTEXT_FRAMES = 50
"""Long audio is tracked 20 s at a time with half a second of its neighbours, so memory does not grow with it."""


def pitch_at(pitch_hz_T: np.ndarray, rate_hz: float, times_s_F: np.ndarray) -> np.ndarray:
    """f0 at any times: log f0 interpolated linearly between voiced values, 0 where the nearest value is 0.

    Training, processing and inference all compute a codec's f0 by it, so that voicing is the same in each.
    """
    if len(pitch_hz_T) == 0:
        return np.zeros(len(times_s_F), np.float32)
    place_F = np.clip(times_s_F * rate_hz, 0, len(pitch_hz_T) - 1)
    low_F = np.floor(place_F).astype(int)
    high_F = np.minimum(low_F + 1, len(pitch_hz_T) - 1)
    near_F = pitch_hz_T[np.round(place_F).astype(int)]
    low_hz_F, high_hz_F = pitch_hz_T[low_F], pitch_hz_T[high_F]
    both_F = (
        (low_hz_F > 0) & (high_hz_F > 0) & (np.abs(np.log(np.maximum(low_hz_F, 1) / np.maximum(high_hz_F, 1))) < 0.2)
    )
    share_F = place_F - low_F
    between_F = np.maximum(low_hz_F, 1) ** (1 - share_F) * np.maximum(high_hz_F, 1) ** share_F
    return np.where(near_F <= 0, 0.0, np.where(both_F, between_F, near_F)).astype(np.float32)


class PitchTracker(ABC):
    """audio_S, its rate -> f0_hz_T (float32). The same samples give the same pitch, whatever was tracked before."""

    threshold: float
    """The confidence from which a frame is voiced, on the tracker's own scale."""

    def __call__(self, audio_S: np.ndarray, sample_rate_hz: int) -> np.ndarray:
        total = num_frames(len(audio_S) / sample_rate_hz, PITCH_RATE_HZ)
        if total == 0:
            return np.zeros(0, np.float32)
        audio_S = resample(audio_S.astype(np.float32), sample_rate_hz, _RATE_HZ)
        peak = float(np.abs(audio_S).max())
        if peak == 0:
            return np.zeros(total, np.float32)
        audio_S = audio_S * np.float32(0.5 / peak)
        audio_S = np.pad(audio_S, (0, max(0, total * _HOP - len(audio_S))))
        parts = []
        for first in range(0, total, _CHUNK_FRAMES):
            last = min(first + _CHUNK_FRAMES, total)
            start = max(0, first - _CONTEXT_FRAMES)
            span_S = audio_S[start * _HOP : (last + _CONTEXT_FRAMES) * _HOP]
            with in_model():
                parts.append(self.track(span_S)[first - start : last - start])
        return np.concatenate(parts).astype(np.float32)

    @abstractmethod
    def track(self, audio_S: np.ndarray) -> np.ndarray:
        """audio_S at 16 kHz, its peak below 0.5 -> f0_hz_T with at least S // 160 frames."""


class Fcpe(PitchTracker):
    """FCPE with the weights in its wheel. It warns of samples beyond full scale and expects voices well below."""

    threshold = 0.05

    def __init__(self, device: str) -> None:
        import torch
        import torchfcpe

        # It prints to stdout, which belongs to the running command.
        with contextlib.redirect_stdout(io.StringIO()):
            self._model = torchfcpe.spawn_bundled_infer_model(device=device)
        self._torch = torch

    def track(self, audio_S: np.ndarray) -> np.ndarray:
        wav_BSC = self._torch.from_numpy(audio_S)[None, :, None]
        f0_BTC = self._model.infer(wav_BSC, sr=_RATE_HZ, decoder_mode="local_argmax", threshold=self.threshold)
        f0_hz_T: np.ndarray = f0_BTC[0, :, 0].cpu().numpy()
        return f0_hz_T


class Crepe(PitchTracker):
    """CREPE (Kim et al. 2018) through torchcrepe: Viterbi decoding; its full size takes ten times FCPE's time."""

    threshold = 0.21

    def __init__(self, device: str, size: str, range_hz: tuple[float, float]) -> None:
        import torch
        import torchcrepe

        self._torch, self._crepe, self._device, self._size, self._range_hz = torch, torchcrepe, device, size, range_hz

    def track(self, audio_S: np.ndarray) -> np.ndarray:
        f0_BT, periodicity_BT = self._crepe.predict(
            self._torch.from_numpy(audio_S)[None],
            _RATE_HZ,
            hop_length=_HOP,
            fmin=self._range_hz[0],
            fmax=self._range_hz[1],
            model=self._size,
            batch_size=512,
            device=self._device,
            return_periodicity=True,
        )
        periodicity_BT = self._crepe.filter.median(periodicity_BT, 3)
        f0_hz_T: np.ndarray = np.where(periodicity_BT >= self.threshold, f0_BT, 0)[0]
        return f0_hz_T


class SwiftF0(PitchTracker):
    """SwiftF0 (in ONNX, 0.1 MB): its frames are 16 ms apart; log f0 is interpolated to 10 ms inside voiced regions."""

    threshold = 0.5

    def __init__(self) -> None:
        import swift_f0

        self._model = swift_f0.SwiftF0()

    def track(self, audio_S: np.ndarray) -> np.ndarray:
        found = self._model.detect(audio_S, _RATE_HZ)
        voiced = found.confidence >= self.threshold
        times_T = np.arange(len(audio_S) // _HOP) * (_HOP / _RATE_HZ)
        if not voiced.any():
            return np.zeros(len(times_T), np.float32)
        log_f0_T = np.interp(times_T, found.timestamps[voiced], np.log(found.pitch_hz[voiced]))
        nearest_T = np.clip(np.searchsorted(found.timestamps, times_T - 0.008), 0, len(voiced) - 1)
        f0_hz_T: np.ndarray = np.where(voiced[nearest_T], np.exp(log_f0_T), 0)
        return f0_hz_T


class _Within(PitchTracker):
    """Another tracker, with frames outside a range made unvoiced."""

    def __init__(self, tracker: PitchTracker, range_hz: tuple[float, float]) -> None:
        self._tracker, self._range_hz = tracker, range_hz

    def track(self, audio_S: np.ndarray) -> np.ndarray:
        f0_hz_T = self._tracker.track(audio_S)
        low, high = self._range_hz
        return np.where((f0_hz_T >= low) & (f0_hz_T <= high), f0_hz_T, 0).astype(np.float32)


@functools.cache
def load_tracker(
    name: TrackerName = "fcpe", device: str = "cpu", range_hz: tuple[float, float] | None = None
) -> PitchTracker:
    """A tracker with its weights, which lie in its package; loaded once per process.

    range_hz: frames outside are unvoiced; by default the tracker's own range (CREPE: 50 to 1100 Hz).
    Raises InputError if the tracker's range is smaller.
    """
    if range_hz is not None:
        check_reach(name, *range_hz)
    if name in ("crepe", "crepe-tiny"):
        return Crepe(device, "tiny" if name == "crepe-tiny" else "full", range_hz or USUAL_HZ)
    tracker = Fcpe(device) if name == "fcpe" else SwiftF0()
    return tracker if range_hz is None else _Within(tracker, range_hz)


def check_reach(name: TrackerName, min_hz: float, max_hz: float) -> None:
    """Raises InputError if a tracker does not cover a range, and names those that do."""
    low, high = REACH_HZ[name]
    if low <= min_hz < max_hz <= high:
        return
    fit = [other for other, (lowest, highest) in REACH_HZ.items() if lowest <= min_hz < max_hz <= highest]
    remedy = f"give --set pitch.tracker={fit[-1]}" if fit else f"give a range within {REACH_HZ[name]}"
    raise InputError(f"pitch from {min_hz:g} to {max_hz:g} Hz: {name} covers {low:g} to {high:g} Hz; {remedy}")


def tracker_version(name: TrackerName) -> str:
    """package==version: what a tracker's results depend on."""
    from importlib.metadata import version

    package = {"fcpe": "torchfcpe", "swiftf0": "swift-f0"}.get(name, "torchcrepe")
    return f"{package}=={version(package)}"
