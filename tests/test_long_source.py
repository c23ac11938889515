"""Two hours of source: what is held does not grow with it, and not a sample is lost."""

import tracemalloc
from pathlib import Path

import numpy as np
import torch

from autosing.models.acoustic import MelConfig, load_space, new_space
from inference.voice.engine import EngineConfig, Song, render
from inference.voice.features import Features
from inference.voice.mapped import Mapped
from inference.voice.pitch_csv import read_pitch_csv, write_pitch_csv

RATE, HOP, SINGER_E = 8_000, 80, np.eye(1, 256, dtype=np.float32)[0]


class Hum:
    """A vocoder and a model that cost nothing: what is left is the engine's."""

    mel = MelConfig(sample_rate_hz=RATE, hop_samples=HOP, bands=8)

    def __init__(self):
        self.space = load_space(new_space("log_mel", mel=self.mel), self)
        self.spec, self.device, self.sound = self.space.spec, torch.device("cpu"), self.space.sound

    def __call__(self, mel_BMF, f0_hz_BF, begin):
        return torch.ones(1, mel_BMF.shape[2] * HOP)

    def sing(self, told, sampling, first_frame=0):
        return torch.zeros(1, 8, told.num_frames)


def held(minutes: float) -> tuple[float, int]:
    """(MB at the peak, samples) of so many minutes, that are let go of block by block."""
    frames = round(minutes * 6000)
    content_ND = np.broadcast_to(np.zeros((1, 16), np.float16), (frames // 2, 16))
    f0_hz_T, loudness_db_T = np.full(frames, 220, np.float32), np.full(frames, -20, np.float32)
    features = Features(content_ND, f0_hz_T, loudness_db_T, frames * 160)
    model, samples = Hum(), 0
    tracemalloc.start()
    try:
        for block_S in render(model, Song(features, f0_hz_T, lambda _: SINGER_E), EngineConfig(chunk_s=60)):
            samples += len(block_S)
            assert np.isfinite(block_S).all()
        return tracemalloc.get_traced_memory()[1] / 1e6, samples
    finally:
        tracemalloc.stop()


def test_two_hours_are_sung_to_the_sample_in_the_memory_of_minutes():
    (short_mb, _), (long_mb, samples) = held(5), held(120)
    assert samples == 120 * 60 * RATE
    assert long_mb - short_mb < 60, "the output is 230 MB, and content of Whisper base would be 369 MB"


def test_a_mapped_array_is_let_go_of_and_read_again(tmp_path):
    rows_ND = np.random.default_rng(0).standard_normal((1 << 19, 8)).astype(np.float32)  # 16 MB
    np.save(tmp_path / "rows.npy", rows_ND)
    rows_ND.tofile(tmp_path / "rows.f32")
    for mapped in (Mapped.npy(tmp_path / "rows.npy"), Mapped.raw(tmp_path / "rows.f32")):
        before_kb = seen_kb()
        total = mapped.array.sum(dtype=np.float64)
        assert seen_kb() - before_kb > 12_000, "looked at, it counts"
        for _ in mapped.resting([0]):
            assert seen_kb() - before_kb < 4_000
        assert mapped.array.sum(dtype=np.float64) == total


def seen_kb() -> int:
    """Of files that are mapped, what counts as this process's memory."""
    with Path("/proc/self/status").open() as file:
        return int(next(line.split()[1] for line in file if line.startswith("RssFile")))


def test_the_pitch_of_minutes_is_read_row_by_row(tmp_path):
    f0_hz_T = np.full(10 * 6000, 220.5, np.float32)
    write_pitch_csv(f0_hz_T, tmp_path / "f0.csv")
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(read_pitch_csv(tmp_path / "f0.csv", len(f0_hz_T)), f0_hz_T)
        assert tracemalloc.get_traced_memory()[1] < 2e6, "of 1.2 MB of text; its rows as objects are 20 MB"
    finally:
        tracemalloc.stop()
