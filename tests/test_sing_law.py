"""The law of the whole way through: trained on four clips until it knows them, singing them gives their codes back.

Corpus and dataset are made here: tables as processing writes them, shards as the builder writes them. The codes to be
sung are drawn at random, so nothing but the models' memory can give them back.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from autosing.audio.io import Audio, encode
from autosing.checkpoint import save_model
from autosing.codecs import CodecSpec, codec_digest, load_codec
from autosing.models.codec import CodecConfig, CodecModel
from autosing.schemas.sample import (
    CodecRecord,
    DatasetIndex,
    SampleMeta,
    SemanticRecord,
    ShardRecord,
    SplitRecord,
    write_array,
)  # fmt: skip
from autosing.schemas.tables import Clip, Line, Song, Word
from autosing.storage.shards import ShardFile
from autosing.storage.tables import TableWriter, table_path
from inference import reference as listening
from inference.request import SingConfig, SingRequest
from inference.singing import sing
from processing.stages.acoustic import AcousticConfig, Stems, TokenizeAcoustic
from train.launch import train

RATE, CLIP_S, CODES = 22_050, 0.8, 64
LYRICS = ("golden river", "quiet moon", "over the hill", "바람 불면")


def voice_of(number: int) -> np.ndarray:
    voice = np.random.default_rng(100 + number).standard_normal(256)
    return (voice / np.linalg.norm(voice)).astype(np.float32)


def semantic_of(number: int) -> np.ndarray:
    return np.random.default_rng(50 + number).integers(CODES, size=round(CLIP_S * 25)).astype(np.int16)


def vocals_of(number: int, spec: CodecSpec) -> np.ndarray:
    rng = np.random.default_rng(70 + number)
    blocks = spec.num_blocks(round(CLIP_S * spec.sample_rate_hz))
    return spec.flatten([rng.integers(CODES, size=blocks * spec.block_frames // stride) for stride in spec.strides])


def made_clip(number: int) -> Clip:
    rng = np.random.default_rng(number)
    audio = [encode(Audio(rng.normal(0, 0.1, (1, round(RATE * CLIP_S))).astype(np.float32), RATE)) for _ in range(2)]
    words = [Word(text, 0.1 + 0.25 * k, 0.3 + 0.25 * k, 0.9, 0) for k, text in enumerate(LYRICS[number].split())]
    lines = [Line(LYRICS[number], words[0].start_s, words[-1].end_s, 0.9, True)]
    return Clip(f"s{number}-0", f"s{number}", f"v{number}", "en", None, 0.0, CLIP_S, 1.0, *audio, lines, words)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """codec/, corpus/ of four clips, dataset/ of the same."""
    folder = tmp_path_factory.mktemp("world")
    torch.manual_seed(0)
    config = CodecConfig(
        encoder_width=32, encoder_hidden=32, encoder_blocks=1, decoder_width=16, decoder_hidden=16, decoder_blocks=1,
        strides=(4, 2, 2, 1), codebook_sizes=(64, 512, 64, 64), f0_level=1, latent=16,
    )  # fmt: skip
    save_model(folder / "codec", "codec", config.dump(), CodecModel(config).state_dict())
    clips = [made_clip(number) for number in range(4)]
    for table, record, rows in (
        ("index", Song, [Song(clip.song, b"") for clip in clips]),
        ("segment", Clip, clips),
    ):
        with TableWriter(table_path(folder / "corpus", 0, table), record) as writer:
            for row in rows:
                writer.add(row)
            writer.commit(table, 1, len(rows), {})
    stage = TokenizeAcoustic(AcousticConfig(codec=str(folder / "codec")))
    stage.setup()
    shard = ShardFile(folder / "dataset" / "train" / "000000.tar")
    for number, clip in enumerate(clips):
        codes = stage.apply(Stems(clip.id, clip.vocals, clip.instrumental))
        meta = SampleMeta(clip.song, clip.singer, clip.language, None, clip.duration_s, clip.lines, clip.words)
        shard.add(clip.id, {
            "meta.json": meta.to_json(), "semantic.npy": write_array(semantic_of(number)),
            "singer.npy": write_array(voice_of(number)),
            "vocals_codes.npy": write_array(vocals_of(number, config.spec)),
            "instrumental_codes.npy": write_array(codes.instrumental),
        })  # fmt: skip
    record: ShardRecord = shard.close("train/000000.tar")
    index = DatasetIndex(
        fingerprint="four clips", members=("meta", "semantic", "singer", "acoustic"),
        codec=CodecRecord(spec=config.spec, digest=codec_digest(str(folder / "codec"))),
        semantic=SemanticRecord(digest="1" * 64, size=CODES),
        splits={"train": SplitRecord(shards=(record,), rows=4, seconds=4 * CLIP_S, songs=4, singers=4)}, rows_in=4,
    )  # fmt: skip
    (folder / "dataset" / "index.json").write_text(index.model_dump_json())
    return folder


def equal_share(found: np.ndarray, wanted: np.ndarray) -> float:
    shared = min(len(found), len(wanted))
    return float((found[:shared] == wanted[:shared]).sum() / max(len(found), len(wanted)))


@pytest.mark.slow
def test_what_was_learnt_by_heart_is_sung_by_heart(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.99 of the training codes come back, of t2s and of sm2a, by greedy decoding through `sing`."""
    always = [f"task.{key}=0" for key in ("drop_music", "drop_singer", "timing_line", "timing_none")]
    common = [
        "batch_size=4",
        "schedule=cosine",
        "final_lr_ratio=0.01",
        "task.size=debug",
        "task.semantic=null",
        "log_every=50",
        "save_every=1000",
    ]
    train("t2s", world / "dataset", world / "t2s", None,
          [*common, *always, "steps=200", "lr=0.01", "task.drop_text=0", "task.use_singer=false"])  # fmt: skip
    train("sm2a", world / "dataset", world / "sm2a", None,
          [*common, *always[:2], "steps=2400", "lr=0.005", "task.drop_semantic=0", "task.p_coarse=0.15"])  # fmt: skip
    monkeypatch.setattr(
        listening, "_voice", lambda vocals, name, *_: next(
            voice_of(n) for n in range(4) if name.endswith(f"s{n}-0")
        ),
    )  # fmt: skip
    greedy = {"semantic": {"temperature": 0}, "acoustic": {"temperature": 0}}
    spec = load_codec(str(world / "codec")).spec
    semantic: list[float] = []
    coarse: list[float] = []
    fine: list[float] = []
    for scale, shares in (("coarse", coarse), ("fine", fine)):
        for number, clip in enumerate(made_clip(n) for n in range(4)):
            request = SingRequest(
                world / "sm2a", world / "t2s", f"{world / 'corpus'}#{clip.id}", codec=str(world / "codec"),
                config=SingConfig.build({**greedy, "scale": scale}),
            )  # fmt: skip
            sung = sing(request)
            semantic.append(equal_share(sung.candidates[0].semantic_N, semantic_of(number)))
            shares.append(equal_share(sung.candidates[0].acoustic, vocals_of(number, spec)))
            assert sung.candidates[0].mix.mix.samples_CS.shape[1] == round(CLIP_S * 24_000)
            assert sung.resolved.lines[0].text == LYRICS[number]
    assert np.mean(semantic) >= 0.99, semantic
    assert np.mean(coarse) >= 0.99, coarse
    assert np.mean(fine) >= 0.99, fine
