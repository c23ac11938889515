"""out.wav of `autosing sing` -> a PNG: spectrograms of the voice, with its f0 and its words, and of the mix.

Reads out.vocals.wav and out.lrc beside the mix. The picture in README.md:

    make demo && .venv/bin/python docs/picture.py demo/sung.wav docs/sung.png
"""

import io
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont

from autosing.audio.io import Audio, decode
from autosing.audio.pitch import load_tracker
from autosing.text.lrc import parse_lrc
from autosing.timebase import PITCH_RATE_HZ
from inference.files import vocals_of
from inference.report.figures import pitch_lines, spectrogram_png

WIDTH, HEIGHT = 1000, 170
"""Of one spectrogram, in pixels."""
ROW = 26
"""Height of a row of text."""
INK, PAPER, F0 = (40, 40, 48), (255, 255, 255), (64, 224, 255)


def draw(mix: Path) -> Image.Image:
    """The picture of one output of `autosing sing`. Raises InputError where its files cannot be decoded."""
    voice, whole = decode(vocals_of(mix)), decode(mix)
    picture = Image.new("RGB", (WIDTH, 2 * HEIGHT + 3 * ROW), PAPER)
    canvas = ImageDraw.Draw(picture)
    font = ImageFont.load_default(17)
    canvas.text((4, 2), "sung voice, its f0 (line) and its words", INK, font)
    picture.paste(spectrogram(voice), (0, ROW))
    f0_hz_T = load_tracker()(voice.mono_S(), voice.sample_rate_hz)
    for line in pitch_lines(f0_hz_T, float(PITCH_RATE_HZ), voice):
        canvas.line([(x * WIDTH, ROW + y * HEIGHT) for x, y in line], F0, 3)
    for word in (word for line in parse_lrc(mix.with_suffix(".lrc").read_text("utf-8")).lines for word in line.words):
        x = word.start_s / voice.duration_s * WIDTH
        canvas.line([(x, ROW), (x, 2 * ROW + HEIGHT)], INK)
        canvas.text((x + 4, ROW + HEIGHT + 2), word.text, INK, font)
    canvas.text((4, 2 * ROW + HEIGHT + 2), f"mix with the instrumental, {whole.duration_s:.1f} s", INK, font)
    picture.paste(spectrogram(whole), (0, 3 * ROW + HEIGHT))
    return picture


def spectrogram(audio: Audio) -> Image.Image:
    return Image.open(io.BytesIO(spectrogram_png(audio))).convert("RGB").resize((WIDTH, HEIGHT))


def main(
    mix: Annotated[Path, typer.Argument(help="out.wav of 'autosing sing'.")],
    picture: Annotated[Path, typer.Argument(help="The .png to write.")],
) -> None:
    """Draw what was sung."""
    draw(mix).quantize(48).save(picture, "PNG", optimize=True)


if __name__ == "__main__":
    typer.run(main)
