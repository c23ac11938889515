"""A corpus, a dataset, runs and sung files -> one HTML page: audio, counts of each stage, losses, seconds."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from autosing.audio.io import Audio, decode
from autosing.errors import InputError
from autosing.storage.counts import StageCount
from autosing.storage.store import Place, place, write_whole
from autosing.timebase import PITCH_RATE_HZ
from inference.files import read_record, vocals_of
from inference.provenance.tags import read_tags
from inference.report.collect import Exhibit, codes_given_back, exhibits, metrics, split_rows, stage_counts
from inference.report.figures import curve_svg, marks, pitch_path
from inference.report.html import page, table, take
from inference.report.sounds import sounds, tracked
from inference.sources import open_source

LANGUAGES = {"en": "English", "ko": "Korean", "zh": "Mandarin", "es": "Spanish", "ja": "Japanese"}


def write_page(
    path: Path,
    corpus: Place | None = None,
    dataset: Place | None = None,
    runs: Sequence[Path] = (),
    sung: Path | None = None,
    steps: Path | None = None,
    sounded: Sequence[Path] = (),
) -> dict[str, int]:
    """Write one self-contained page about what is given. Returns the numbers of sounds, stages, runs and bytes in it.

    `sounded`: what `render` and `convert` wrote.
    Raises InputError where something given does not exist, before anything is written.
    """
    if not any((corpus, dataset, runs, sung, steps, sounded)):
        raise InputError("report: nothing to show; give --corpus, --dataset, --run, --sound, --sung or --steps")
    counts = stage_counts(corpus) if corpus else []
    losses = {run.name: metrics(run) for run in runs}
    splits = split_rows(dataset) if dataset else []
    took = _steps(steps) if steps else []
    facts = read_record(sung) if sung else None
    body = [*_head(counts, splits, took)]
    body += ["<h2>New songs</h2>", *sounds(sounded)] if sounded else []
    body += _sung(sung, facts) if sung and facts else []
    body += _stages(counts) + (_exhibits(exhibits(corpus)) if corpus else [])
    body += _dataset(splits) + _training(losses) + _took(took)
    body.append("<footer>Made by <code>autosing report</code> from the files named on this page. Sounds and pictures "
                "are inside the page; it needs no network.</footer>")  # fmt: skip
    text = page("autosing: songs in, singing out", body)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
    return {"sounds": text.count("<audio "), "stages": len(counts), "runs": len(losses), "bytes": len(text.encode())}


def _head(counts: list[StageCount], splits: list[dict[str, Any]], took: list[dict[str, Any]]) -> list[str]:
    way = []
    if counts:
        songs, clips = counts[0].rows, next((c.rows for c in counts if c.stage == "segment"), None)
        way.append(f"<b>{songs}</b> songs")
        way += [f"<b>{clips}</b> clips"] if clips is not None else []
    way += [f"<b>{sum(row.get('shards', 0) for row in splits)}</b> shards"] if splits else []
    way += [f"<b>{sum(row['seconds'] for row in took) / 60:.1f}</b> minutes of work"] if took else []
    items = "".join(f"<li>{item}</li>" for item in way)
    return [
        "<h1>Songs in, singing out</h1>",
        '<p class="lead">Every step from a folder of songs to a sung line: inputs, outputs, and what was rejected and '
        "why.</p>",
        f'<ol class="way">{items}</ol>' if way else "",
    ]


def _sung(sung: Path, facts: dict[str, Any]) -> list[str]:
    lines = [(line["text"], line["start_s"], line["end_s"]) for line in facts["lines"]]
    verse = "<br>".join(f"<time>{start:.2f} s</time>{escape(text)}" for text, start, _ in lines)
    mix, vocals = decode(sung), decode(vocals_of(sung))
    over = marks(lines, mix.duration_s)
    parts = ["<h2>Sung lines</h2>", f"<blockquote>{verse}</blockquote>"]
    if facts.get("remark"):
        parts.append(f"<p>{escape(facts['remark'])}</p>")
    reference = facts["reference"]
    if reference["name"]:
        source = open_source(reference["name"])
        window = (reference["start_s"], facts["length_s"])
        parts.append(take("Reference, mix in", Path(source.name).name, source.mix.cut(*window)))
        if source.stems:
            voice = source.stems[0].cut(*window)
            parts.append(take("Its voice, as separated", "models are trained on this", voice, over, tracked(voice)))
        corpus, _, clip = reference["name"].rpartition("#")
        shares = codes_given_back(sung, clip, place(corpus)) if source.stems else {}
        if shares:
            found = " and ".join(f"{share:.1%} of its {noun} codes" for noun, share in shares.items())
            parts.append(
                f"<p>From the clip's words and times, instrumental and singer, the models generated {found}.</p>"
            )
    tags = read_tags(vocals_of(sung))
    parts.append(take("Sung vocals", _seconds(vocals), vocals, over, tracked(vocals), tags))
    if reference["name"]:
        parts.append(take("Mix out", _seconds(mix), mix, over, tags=read_tags(sung)))
    return parts


def _stages(counts: list[StageCount]) -> list[str]:
    if not counts:
        return []
    rows = [
        {
            "stage": count.stage,
            "rows_in": count.rows_in,
            "rows_out": count.rows,
            "rejected": count.rejected,
            "reasons": ", ".join(f"{reason} {number}" for reason, number in count.reasons.items()),
        }
        for count in counts
    ]
    return [
        "<h2>Stages</h2>",
        "<p>Every row that enters a stage leaves it or is rejected with a reason. <code>segment</code> turns a song "
        "into several clips, so more rows leave it than enter.</p>",
        table(rows, warn=("rejected",)),
    ]


def _exhibits(shown: list[Exhibit]) -> list[str]:
    parts = ["<h3>Clips</h3>"] if shown else []
    for exhibit in shown:
        words = [(word.text, word.start_s, word.end_s) for word in exhibit.words]
        drawn = marks(words, exhibit.vocals.duration_s)
        f0 = exhibit.f0_hz_T
        pitch = pitch_path(f0, float(PITCH_RATE_HZ), exhibit.vocals) if f0 is not None else ""
        who = f"{LANGUAGES.get(exhibit.language, exhibit.language)}, {exhibit.singer or 'singer unknown'}"
        parts.append(take(f"{exhibit.clip}: mix in", who, exhibit.mix))
        fact = f"{len(words)} aligned words and the tracked pitch"
        parts.append(take(f"{exhibit.clip}: separated voice", fact, exhibit.vocals, drawn, pitch))
    return parts


def _dataset(splits: list[dict[str, Any]]) -> list[str]:
    return ["<h2>The dataset</h2>", table(splits)] if splits else []


def _training(losses: dict[str, list[dict[str, Any]]]) -> list[str]:
    if not losses:
        return []
    parts = ["<h2>Training</h2>", '<div class="pair">']
    for name, rows in losses.items():
        points = [(float(row["step"]), float(row["loss"])) for row in rows if row.get("loss") is not None]
        if not points:
            parts.append(f"<div><h3>{escape(name)}</h3><p>No step was logged.</p></div>")
            continue
        fact = f"loss {points[0][1]:.3g} at step {points[0][0]:.0f}, {points[-1][1]:.3g} at step {points[-1][0]:.0f}"
        parts.append(f'<div><h3>{escape(name)}</h3><p class="soft">{fact}</p>{curve_svg(points)}</div>')
    return [*parts, "</div>"]


def _steps(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise InputError(f"report: no {path}; 'autosing demo' writes it")
    ledger = json.loads(path.read_text(encoding="utf-8"))
    return [
        {"step": name, "seconds": step["seconds"], "command": "autosing " + " ".join(step["args"])}
        for name, step in ledger.items()
        if "seconds" in step  # the step that writes this page has not ended yet
    ]


def _took(took: list[dict[str, Any]]) -> list[str]:
    return ["<h2>Time</h2>", table(took)] if took else []


def _seconds(audio: Audio) -> str:
    return f"{audio.duration_s:.2f} s at {audio.sample_rate_hz:,} Hz"
