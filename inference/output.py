"""What was sung -> files: out.wav (the mix), out.vocals.wav, out.lrc (what was asked for), out.json (how)."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from autosing.audio.io import save
from autosing.checkpoint import write_whole
from autosing.errors import InputError
from inference.lyrics_plan import as_lrc
from inference.sing import Candidate, Sung

FORMATS = (".wav", ".flac")
"""What keeps every sample: lossy formats do not hold exactly as many as were given."""


def check_out(out: Path) -> None:
    """Raises InputError where `out` cannot be written as asked."""
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"--out {out}: ends in {out.suffix or 'nothing'!r}, need {' or '.join(FORMATS)}")
    if out.is_dir():
        raise InputError(f"--out {out}: is a folder, need the name of a file in it; give --out {out / 'out.wav'}")


def write(sung: Sung, out: Path, codes: bool = False, remark: str = "") -> list[dict[str, Any]]:
    """Write all files of one request; several candidates go to out.1.wav, out.2.wav ... instead of out.wav.

    With `codes`, the content and codec codes go into an .npz beside each. Returns one row a candidate.
    """
    rows = []
    for number, candidate in enumerate(sung.candidates, start=1):
        path = out if len(sung.candidates) == 1 else out.with_suffix(f".{number}{out.suffix}")
        save(candidate.mix.mix, path)
        save(candidate.mix.vocals, path.with_suffix(f".vocals{out.suffix}"))
        if codes:
            with path.with_suffix(".npz").open("wb") as file:
                np.savez(file, semantic=candidate.semantic_N, acoustic=candidate.acoustic)
        rows.append(_row(path, candidate))
    write_whole(out.with_suffix(".lrc"), as_lrc(sung.resolved.lines).encode())
    facts = _facts(sung) | {"remark": remark, "candidates": rows}
    write_whole(out.with_suffix(".json"), json.dumps(facts, ensure_ascii=False, indent=1).encode())
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
    return row


def _facts(sung: Sung) -> dict[str, Any]:
    resolved, request = sung.resolved, sung.resolved.request
    return {
        "t2s": str(request.t2s) if request.t2s else None,
        "sm2a": str(request.sm2a),
        "reference": {"name": request.reference, "start_s": resolved.start_s},
        "singer": str(request.singer) if request.singer else None,
        "semantic_from": str(request.semantic_from) if request.semantic_from else None,
        "length_s": resolved.length_s,
        "lines": [{"text": line.text, "start_s": line.start_s, "end_s": line.end_s} for line in resolved.lines],
        "config": request.config.dump(),
        "seconds": sung.seconds,
    }
