"""Work that makes sound -> what it costs: CPU and wall seconds for a second of audio."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from autosing.errors import InputError


@dataclass(frozen=True)
class Speed:
    """Medians over the repetitions. cpu_s counts all threads of this process, not its child processes."""

    audio_s: float
    cpu_s: float
    wall_s: float

    @property
    def rtf(self) -> float:
        """Real-time factor: CPU seconds for a second of audio. Below 1 on one core: faster than it sounds."""
        return self.cpu_s / self.audio_s


def measure_speed(work: Callable[[], object], audio_s: float, repeats: int = 3, warm_up: int = 1) -> Speed:
    """Run `work`, which makes `audio_s` seconds, so often; the first `warm_up` runs (caches, loading) do not count."""
    if audio_s <= 0 or repeats < 1:
        raise InputError(f"speed of {audio_s} s of audio in {repeats} runs: need more than 0 s and one run or more")
    cpu_s, wall_s = [], []
    for turn in range(warm_up + repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        if turn >= warm_up:
            cpu_s.append(time.process_time() - cpu)
            wall_s.append(time.perf_counter() - wall)
    return Speed(audio_s, statistics.median(cpu_s), statistics.median(wall_s))
