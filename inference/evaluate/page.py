"""The figures of an evaluation and its sounds -> one page: a table of systems, then the clips, the worst first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from autosing.audio.io import decode
from autosing.metrics.meter import Meter
from autosing.metrics.scores import FIGURES
from autosing.timebase import PITCH_RATE_HZ
from inference.evaluate.clips import Clip
from inference.provenance.tags import read_tags
from inference.report.figures import marks, pitch_path
from inference.report.html import page, shown, table, take

_IN_CAPTION = ("f0_rmse_cents", "voicing_error", "mel_distance_db", "wer", "cosine_to_target")


@dataclass(frozen=True)
class Exhibit:
    """A clip to hear: the sound of each system."""

    clip: Clip
    sounds: Mapping[str, Path]


def page_of(facts: Mapping[str, Any], exhibits: Sequence[Exhibit], meter: Meter) -> str:
    """`facts`: what the JSON holds, its clips in the order in which they are shown; `exhibits`: the first of these."""
    clips, models = facts["clips"], [*facts["models"], *facts["against"]]
    body = [
        "<h1>Evaluation</h1>",
        f'<p class="lead">{len(models)} systems on {len(clips)} clips of {escape(facts["data"])}, at '
        f"{facts['rate_hz']:,} Hz, beside what needs no model.</p>",
        "<h2>Systems</h2>",
        f"<p>The mean over clips and its 95 % interval, by bootstrap over clips. {_AIMS[facts['target']]}</p>",
        *_systems(facts["systems"]),
        "<h2>Clips, the worst first</h2>",
        "<p>How far a clip's figures lie on the bad side of the mean, in standard deviations, over all figures and "
        "systems that are evaluated.</p>",
        table([_clip_row(clip, models) for clip in clips]),
    ]
    for exhibit, clip in zip(exhibits, clips, strict=False):
        body += _exhibit(exhibit, clip, meter)
    body.append("<footer>Made by <code>autosing evaluate</code>; the JSON beside this page has all figures. Sounds and "
                "pictures are inside the page; it needs no network.</footer>")  # fmt: skip
    return page("autosing: evaluation", body)


_AIMS = {
    "own": "Each clip is to be sung as by its own singer: the truth is the clip.",
    "other": "Each clip is to be sung as by another singer. The truth is the clip as its own singer, the source the "
    "same clip against the other.",
}


_TABLES = {
    "Pitch": ("f0_rmse_cents", "f0_correlation", "voicing_error", "ffe", "chroma"),
    "Sound": ("mel_distance_db", "mcd_db", "lsd_db"),
    "Words": ("wer", "cer", "found_again"),
    "Singer and cost": ("cosine_to_target", "nearest", "nearest_spectrum", "cosine_to_source", "rtf"),
}
"""All figures, in tables that are not too wide."""


def _systems(systems: Mapping[str, Any]) -> list[str]:
    parts = []
    for title, names in _TABLES.items():
        rows = [{"system": name, **_means(found, names)} for name, found in systems.items()]
        if any(len(row) > 1 for row in rows):
            parts += [f"<h3>{title}</h3>", table(rows)]
    return parts


def _means(found: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    means = {}
    for name in names:
        if name in found:
            within = found[name]["interval"]
            interval = f" [{shown(within[0])}, {shown(within[1])}]" if within else ""
            means[FIGURES[name].label] = f"{shown(found[name]['mean'])}{interval}"
    return means


def _clip_row(clip: Mapping[str, Any], models: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"clip": clip["name"], "singer": clip["singer"]}
    if clip["target"] != clip["singer"]:
        row["sung as"] = clip["target"]
    row["worse by"] = clip["badness"]
    for name in models:
        found = clip["systems"][name]
        row |= {f"{name}: {FIGURES[k].label}": found[k] for k in _IN_CAPTION if k in found}
    return row


def _exhibit(exhibit: Exhibit, facts: Mapping[str, Any], meter: Meter) -> list[str]:
    clip = exhibit.clip
    spans = clip.words or clip.lines or ()
    parts = [f"<h3>{escape(clip.name)}</h3>"]
    if facts["text"]:
        parts.append(f"<blockquote>{escape(facts['text'])}</blockquote>")
    rows = [
        {"system": name, **{FIGURES[k].label: value for k, value in found.items()}}
        for name, found in facts["systems"].items()
    ]
    parts += [table(rows), '<div class="pair">']
    for name, path in exhibit.sounds.items():
        if name == "source":
            continue  # sounds as the truth does
        audio, found = decode(path), facts["systems"][name]
        caption = ", ".join(f"{FIGURES[k].label} {shown(found[k])}" for k in _IN_CAPTION if k in found)
        f0_hz_T = meter.f0_hz(audio.samples_CS[0])
        over = marks(spans, audio.duration_s)
        track = pitch_path(f0_hz_T, float(PITCH_RATE_HZ), audio)
        parts.append(take(f"{clip.name}: {name}", caption, audio, over, track, read_tags(path)))
    return [*parts, "</div>"]
