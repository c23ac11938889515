"""Songs without lyrics: whisper-timestamped with the real Whisper base hears the words of a made song, line by line."""

import json
import re
from collections import Counter

import pytest

from autosing.alignment.transcribe import transcribe
from autosing.audio.io import decode_mono
from autosing.models.whisper import load_whisper
from autosing.songs.corpus import make_songs


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@pytest.mark.slow
def test_the_words_of_a_made_song_are_heard_and_their_lines_stand_in_order(tmp_path):
    make_songs(tmp_path, 1, 5, languages=["en"], singers=8, partitions=1, workers=1, lines=1)
    (folder,) = (tmp_path / "truth").iterdir()
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    audio, _ = decode_mono((folder / "vocals.flac").read_bytes(), "vocals", 16_000)
    voice_S = audio.samples_CS[0]
    lines, language = transcribe(load_whisper("whisper-base"), voice_S, None, seed=0)
    asked = words_of(" ".join(line["text"] for line in truth["lines"]))
    heard = words_of(" ".join(line.text for line in lines))
    found = sum((Counter(asked) & Counter(heard)).values())
    assert language == "en"
    assert found >= 0.6 * len(asked) and len(heard) <= 1.3 * len(asked)
    starts_s = [line.start_s for line in lines]
    assert starts_s == sorted(starts_s) and abs(starts_s[0] - truth["lines"][0]["start"]) < 1.0
