"""Numbers -> a small dataset of made samples: random codes, noise for audio, words on a grid. For tests only."""

from pathlib import Path

import numpy as np

from autosing.audio.io import Audio, encode
from autosing.codecs.spec import CodecSpec
from autosing.ids import seed_of
from autosing.schemas.records import CodecRecord, FeatureRecord, MemberRecord, Part, SemanticRecord
from autosing.schemas.sample import DatasetIndex, SampleMeta, ShardRecord, SplitRecord, write_array
from autosing.schemas.tables import Line, Word
from autosing.storage.shards import ShardFile, files_of
from support.scores import made_score

SPEC = CodecSpec(
    name="made-24khz", sample_rate_hz=24_000, hop_samples=256, strides=(4, 2, 2, 1), codebook_sizes=(64, 64, 64, 64)
)
SEMANTIC_SIZE = 128
CONTENT = Part(name="whisper-tiny.en", layer=2, width=16, digest="2" * 64)
CONTENT_RECORD = FeatureRecord(
    members={"content": MemberRecord(dtype="float16", rate_hz=50.0, width=(16,))}, digest="3" * 64, parts=(CONTENT,)
)
_RECORDS = {
    "content": CONTENT_RECORD,
    "score": FeatureRecord(members={"score": MemberRecord(dtype="json")}, digest="4"),
    "speech": FeatureRecord(
        members={"speech": MemberRecord(dtype="float16"), "speech_knots": MemberRecord(dtype="float32")},
        digest="5",
        parts=(CONTENT,),
    ),
}
GROUPS_MADE = ("meta", "semantic", "singer", "acoustic", "pitch", "audio")


def make_dataset(
    out: Path,
    splits: dict[str, int] | None = None,
    duration_s: float = 2.0,
    rows_per_shard: int = 5,
    groups: tuple[str, ...] = GROUPS_MADE,
    spec: CodecSpec = SPEC,
    semantic_size: int = SEMANTIC_SIZE,
    seed: int = 0,
) -> DatasetIndex:
    """Write `out`/<split>/NNNNNN.tar and index.json; splits: name -> clips (train 12, valid 4 by default).

    Two clips a song, two songs a singer; every third clip has no instrumental.
    """
    records = {}
    for split, count in (splits or {"train": 12, "valid": 4}).items():
        shards: list[ShardRecord] = []
        for first in range(0, count, rows_per_shard):
            name = f"{split}/{len(shards):06d}.tar"
            shard = ShardFile(out / name)
            for k in range(first, min(first + rows_per_shard, count)):
                shard.add(f"{split}{k // 2}-{k % 2}", _files(split, k, duration_s, groups, spec, semantic_size, seed))
            shards.append(shard.close(name))
        records[split] = SplitRecord(
            shards=tuple(shards), rows=count, seconds=count * duration_s, songs=-(-count // 2), singers=-(-count // 4)
        )
    index = DatasetIndex(
        fingerprint=f"{seed_of('made', seed):016x}",
        members=groups,
        codec=CodecRecord(spec=spec, digest="0" * 64) if "acoustic" in groups else None,
        semantic=SemanticRecord(digest="1" * 64, size=semantic_size) if "semantic" in groups else None,
        features={name: record for name, record in _RECORDS.items() if name in groups},
        splits=records,
        rows_in=sum(record.rows for record in records.values()),
    )
    (out / "index.json").write_text(index.model_dump_json(indent=1), encoding="utf-8")
    return index


def _files(
    split: str, k: int, duration_s: float, groups: tuple[str, ...], spec: CodecSpec, semantic_size: int, seed: int
) -> dict[str, bytes]:
    rng = np.random.default_rng(seed_of("made", seed, split, k))
    words = [Word(f"la{i}", i * 0.5, i * 0.5 + 0.4, 0.9, 0) for i in range(int(duration_s / 0.5))]
    line = Line(" ".join(word.text for word in words), 0.0, duration_s, 0.9, True)
    meta = SampleMeta(f"{split}{k // 2}", f"{split}-singer{k // 4}", "en", "CC0-1.0", duration_s, [line], words)
    voice = rng.standard_normal(256)
    num_samples = round(duration_s * spec.sample_rate_hz)
    frames = spec.num_blocks(num_samples) * spec.block_frames

    def codes() -> bytes:
        levels = zip(spec.strides, spec.codebook_sizes, strict=True)
        return write_array(spec.flatten([rng.integers(size, size=frames // stride) for stride, size in levels]))

    def noise() -> bytes:
        samples_1S = 0.1 * rng.standard_normal((1, num_samples))
        return encode(Audio(samples_1S.astype(np.float32), spec.sample_rate_hz))

    made = {
        "meta.json": meta.to_json(),
        "semantic.npy": write_array(rng.integers(semantic_size, size=int(duration_s * 25)).astype(np.int16)),
        "singer.npy": write_array((voice / np.linalg.norm(voice)).astype(np.float32)),
        "pitch.npy": write_array(np.full(int(duration_s * 100), 220.0, np.float32)),
        "loudness.npy": write_array(np.full(int(duration_s * 100), -20.0, np.float32)),
        "content.npy": write_array(rng.standard_normal((int(duration_s * 50), CONTENT.width)).astype(np.float16)),
        "score.json": made_score(duration_s, 60 + k % 12).to_json(),
        # Spoken in half of the time; of every second clip the singing stands for its speech.
        "speech.npy": write_array(
            rng.standard_normal((int(duration_s * 25 * (1 + k % 2)), CONTENT.width)).astype(np.float16)
        ),
        "speech_knots.npy": write_array(
            np.array(
                [0.05, 0.45, duration_s - 0.1, *(x * (1 + k % 2) / 2 for x in (0.05, 0.45, duration_s - 0.1))],
                np.float32,
            )
        ),
        "vocals_codes.npy": codes(),
        "vocals.flac": noise() if "audio" in groups else b"",
    }
    if k % 3 < 2:
        made |= {"instrumental_codes.npy": codes(), "instrumental.flac": noise() if "audio" in groups else b""}
    return {file: data for file, data in made.items() if file in files_of(groups)}
