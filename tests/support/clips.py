"""Clips of random codes with words and times, and the index of a dataset of them: models are tested on these."""

import numpy as np

from autosing.codecs.spec import CodecSpec
from autosing.schemas.records import CodecRecord, SemanticRecord
from autosing.schemas.sample import DatasetIndex, Sample, SampleMeta
from autosing.schemas.tables import Line, Word
from autosing.timebase import SEMANTIC_RATE_HZ, num_frames_to_cover

SPEC = CodecSpec(
    name="made", sample_rate_hz=24000, hop_samples=256, strides=(4, 2, 2, 1), codebook_sizes=(48, 64, 64, 32)
)
SEMANTIC_SIZE = 96
_VOCABULARY = ("la", "love", "you", "night", "run", "별", "月亮")


def made_index(spec: CodecSpec = SPEC, semantic_size: int = SEMANTIC_SIZE) -> DatasetIndex:
    """The index of a dataset with these codes and no shards."""
    return DatasetIndex(
        fingerprint="made",
        members=("meta", "semantic", "acoustic", "singer"),
        codec=CodecRecord(spec=spec, digest="made-codec"),
        semantic=SemanticRecord(digest="made-semantic", size=semantic_size),
    )


def made_clip(
    seed: int,
    duration_s: float = 3.0,
    spec: CodecSpec = SPEC,
    accompanied: bool = True,
    semantic_size: int = SEMANTIC_SIZE,
) -> Sample:
    """A clip whose every member follows from its seed: a word each 0.6 s, two to a line."""
    rng = np.random.default_rng(seed)
    blocks = spec.num_blocks(round(duration_s * spec.sample_rate_hz))

    def codes() -> np.ndarray:
        sizes = zip(spec.strides, spec.codebook_sizes, strict=True)
        return spec.flatten([rng.integers(0, size, blocks * spec.block_frames // stride) for stride, size in sizes])

    count = max(1, int((duration_s - 0.3) / 0.6))
    texts = [str(text) for text in rng.choice(_VOCABULARY, count)]
    words = [Word(text, 0.2 + 0.6 * i, 0.7 + 0.6 * i, 1.0, i // 2) for i, text in enumerate(texts)]
    lines = [
        Line(" ".join(w.text for w in pair), pair[0].start_s, pair[-1].end_s, 1.0, True)
        for pair in (words[i : i + 2] for i in range(0, count, 2))
    ]
    files = {
        "semantic.npy": rng.integers(0, semantic_size, num_frames_to_cover(duration_s, SEMANTIC_RATE_HZ)),
        "singer.npy": rng.standard_normal(256).astype(np.float32),
        "vocals_codes.npy": codes(),
        "instrumental_codes.npy": codes(),
    }
    if not accompanied:
        del files["instrumental_codes.npy"]
    meta = SampleMeta(f"song{seed}", f"singer{seed % 2}", "en", None, duration_s, lines, words)
    return Sample(f"song{seed}-0", meta, files)
