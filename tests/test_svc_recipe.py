"""Folders of singers become a dataset for voice conversion in three commands, without lyrics."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from autosing.audio.io import Audio, save
from autosing.cli import main
from autosing.models.content import load_content
from autosing.schemas.sample import DatasetIndex
from autosing.songs import tiny_song
from autosing.storage.shards import read_shard
from support.conversion import whisper_file

CONFIGS = Path(__file__).parents[1] / "configs"


def run(monkeypatch, capsys, *words: object) -> dict:
    monkeypatch.setattr(sys, "argv", ["autosing", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_from_folders_of_singers_to_a_dataset(tmp_path, monkeypatch, capsys):
    """With a Whisper of random weights in a file: what is heard is right elsewhere (test_content)."""
    for k in range(6):
        _, _, stems = tiny_song(seed=k % 3 + 10 * (k // 3), seconds=7)
        folder = tmp_path / "singers" / f"singer{k % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        save(Audio(stems.vocals.samples_CS, stems.vocals.sample_rate_hz), folder / f"take{k // 3}.wav")
    weights = whisper_file(tmp_path / "whisper.pt")
    corpus, dataset = tmp_path / "corpus", tmp_path / "dataset"
    imported = run(monkeypatch, capsys, "import", tmp_path / "singers", corpus)
    assert next(row["songs"] for row in imported["rows"] if row["outcome"] == "known: artist") == 6
    processed = run(
        monkeypatch, capsys, "process", corpus, "--config", CONFIGS / "processing" / "svc.yaml", "--address", "inline",
        "--set", "content.encoders=[{name: whisper-own, layer: 2}, {name: whisper-own, layer: 3}]",
        "--set", f"content.files={{whisper-own: {weights}}}",
    )  # fmt: skip
    assert [row["stage"] for row in processed["rows"]] == [
        "separate", "segment", "pitch", "loudness", "content", "singer"
    ]  # fmt: skip
    assert processed["next"].endswith("--members audio,pitch,loudness,content,singer")
    config = CONFIGS / "dataset_builder" / "svc.yaml"
    run(monkeypatch, capsys, "build", corpus, dataset, "--config", config, "--set", "valid=0.34", "--set", "test=0.0")
    run(monkeypatch, capsys, "verify", dataset)
    index = DatasetIndex.load(dataset)
    record = index.features["content"]
    assert [(part.name, part.layer, part.width) for part in record.parts] == [
        ("whisper-own", 2, 64),
        ("whisper-own", 3, 64),
    ]
    assert record.members["content"].width == (128,)
    hear = load_content(record.parts, {"whisper-own": str(weights)})
    samples = [
        sample
        for split in index.splits.values()
        for shard in split.shards
        for _, sample in read_shard(dataset / shard.path, rows=shard.rows)
    ]
    assert index.splits["valid"].singers == 1 and {s.meta.singer for s in samples} == {f"singer{k}" for k in range(3)}
    for sample in samples:
        frames, seconds = sample.array("content"), sample.meta.duration_s
        assert frames.dtype == np.float16 and abs(len(frames) - 50 * seconds) <= 1 and frames.shape[1] == 128
        assert abs(len(sample.array("loudness")) - 100 * seconds) <= 1 and len(sample.array("singer")) == 256
        np.testing.assert_allclose(frames, hear(sample.audio("vocals")), atol=2e-2)
