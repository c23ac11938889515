"""Sung -> files: out.wav (the mix), out.vocals.wav, out.lrc (the lyrics with times), out.json (models and options)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autosing.errors import InputError
from inference.files import FORMATS, Files, check_inputs, check_owned, check_rate, check_writable, writing
from inference.load import name_of
from inference.lyrics_plan import as_lrc
from inference.provenance.origin import Origin
from inference.provenance.sound import write_sound
from inference.request import SingConfig
from inference.result import Candidate, Sung
from inference.voice.singers import Voice


def check_out(
    out: Path,
    config: SingConfig,
    codes: bool = False,
    inputs: Mapping[str, Path] | None = None,
    force: bool = False,
) -> Files:
    """The files that will be written. Raises InputError where one cannot be written, or would replace a file to keep.

    `inputs`: option -> file that is read (SingRequest.files). `force`: files that `sing` did not write may be replaced.
    """
    if out.is_dir():
        raise InputError(f"--out {out}: is a folder, need the name of a file in it; give --out {out / 'out.wav'}")
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"--out {out}: ends in {out.suffix or 'nothing'!r}, need {', '.join(FORMATS)}")
    check_rate(out, config.sample_rate_hz)
    files = Files.of(out, config.kept, codes)
    check_writable(out)
    check_inputs(files, inputs or {})
    check_owned(files, force)
    return files


def write(sung: Sung, files: Files, remark: str = "") -> list[dict[str, Any]]:
    """Write all files of one request, at the paths of `check_out`. Returns a summary row for each candidate."""
    config, tags = sung.resolved.request.config, {}
    origin = Origin(files.made_by, sung.models, config.seed)
    with writing(files) as under_way:
        for take, candidate in zip(files.takes, sung.candidates, strict=True):
            for path, audio in ((take.mix, candidate.mix.mix), (take.vocals, candidate.mix.vocals)):
                channels = len(audio.samples_CS)
                blocks = iter([audio.samples_CS])
                tags = write_sound(under_way.at(path), blocks, audio.sample_rate_hz, channels, origin, config.watermark)
            if take.codes:
                with under_way.at(take.codes).open("wb") as file:
                    np.savez(file, semantic=candidate.semantic_N, acoustic=candidate.acoustic)
        under_way.at(files.lyrics).write_bytes(as_lrc(sung.resolved.lines).encode())
        rows = [_row(take.mix, candidate) for take, candidate in zip(files.takes, sung.candidates, strict=True)]
        under_way.commit(_facts(sung) | {"remark": remark, "tags": tags, "candidates": rows})
    return rows


def _row(path: Path, candidate: Candidate) -> dict[str, Any]:
    mix = candidate.mix
    row: dict[str, Any] = {
        "file": str(path),
        "samples": mix.mix.samples_CS.shape[1],
        "sample_rate_hz": mix.mix.sample_rate_hz,
        "content_codes": len(candidate.semantic_N),
    }
    if mix.balance_lu is not None:
        row["voice_above_music_lu"] = round(mix.balance_lu, 2)
    if candidate.agreement is not None:
        row["content_heard_again"] = round(candidate.agreement, 3)
    if candidate.clarity is not None:
        row["clarity"] = round(candidate.clarity, 3)
    return row


def _facts(sung: Sung) -> dict[str, Any]:
    resolved, request, singer = sung.resolved, sung.resolved.request, sung.resolved.inputs.singer
    return {
        "t2s": name_of(request.t2s) if request.t2s else None,
        "sm2a": name_of(request.sm2a),
        "reference": {"name": request.reference, "start_s": resolved.start_s},
        "key": str(sung.key) if sung.key else None,
        "singer": singer.name if isinstance(singer, Voice) else str(request.singer) if request.singer else None,
        "semantic_from": str(request.semantic_from) if request.semantic_from else None,
        "length_s": resolved.length_s,
        "lines": [{"text": line.text, "start_s": line.start_s, "end_s": line.end_s} for line in resolved.lines],
        "config": request.config.dump(),
        "device": sung.device,
        "seconds": sung.seconds,
    }
