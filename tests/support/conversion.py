"""What conversion is tried on: made songs, a small random encoder of content, and a run of random networks."""

from dataclasses import asdict
from pathlib import Path

import torch

from autosing.audio.io import save
from autosing.checkpoint import save_model
from autosing.models.acoustic import new_space
from autosing.models.content import EncoderConfig, parts_of
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.songs import SINGERS, tiny_song
from autosing.songs.truth import save_truth


def whisper_file(path: Path, blocks: int = 3) -> Path:
    """A checkpoint of openai-whisper, random, of width 64."""
    import whisper

    torch.manual_seed(1)
    dims = whisper.model.ModelDimensions(80, 1500, 64, 1, blocks, 20, 8, 64, 1, 1)
    state = whisper.model.Whisper(dims).state_dict()
    torch.save({"dims": asdict(dims), "model_state_dict": state}, path)
    return path


def make_conversion(folder: Path, songs: int, singers: int, seconds: float) -> Path:
    """`folder`, in it songs/ (song n is sung by singer n % singers), run/ (an svc_flow of random weights) and
    whisper.pt (its encoder of content)."""
    for number in range(songs):
        _, truth, stems = tiny_song(seed=number, seconds=seconds, singer=SINGERS[number % singers])
        home = folder / "songs" / "truth" / f"song{number}"
        home.mkdir(parents=True)
        save(stems.vocals_dry, home / "vocals_dry.flac")
        save_truth(truth, home)
    weights = whisper_file(folder / "whisper.pt")
    parts = parts_of([EncoderConfig(name="whisper-own", layer=2)], {"whisper-own": str(weights)})
    torch.manual_seed(0)
    config = SvcFlowConfig.build({
        "space": new_space("codec_latent").dump(), "content": [part.dump() for part in parts],
        "width": 16, "hidden": 16, "encoder_blocks": 1, "blocks": 1,
    })  # fmt: skip
    save_model(folder / "run", "svc_flow", config.dump(), SvcFlow(config).state_dict())
    return folder
