"""Blocks of sung audio -> a file with its watermark and its tags: all sounds that commands sing are written here."""

from pathlib import Path

from autosing.audio.blocks import Blocks
from autosing.audio.io import Writer
from autosing.console import note
from inference.provenance.origin import NO_WATERMARK, Origin
from inference.provenance.tags import write_tags
from inference.provenance.watermark import MISSING, marked, watermark_here


def write_sound(
    path: Path, blocks: Blocks, sample_rate_hz: int, channels: int, origin: Origin, watermark: bool
) -> dict[str, str]:
    """Write samples_CS, block by block, into a file whose suffix names the format. Returns its tags.

    `watermark`: where its package is installed. Same samples, same origin: same bytes.
    """
    name = NO_WATERMARK
    if watermark:
        mark = watermark_here()
        if mark is None:
            note(f"no watermark: {MISSING}")
        else:
            blocks, name = marked(blocks, sample_rate_hz, channels, mark), mark.name
    writer = Writer(sample_rate_hz, channels, path.suffix.lstrip(".").lower(), path)
    for block_CS in blocks:
        writer.write(block_CS)
    writer.finish()
    tags = origin.tags(name)
    write_tags(path, tags, origin.sentence)
    return tags
