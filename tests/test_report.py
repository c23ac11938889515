"""The page of a job tells what lies on disk: its numbers are the tables', its players hold the sounds."""

import base64
import importlib.util
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from autosing.audio.io import Audio, encode, save
from autosing.errors import InputError
from autosing.schemas.tables import Clip, Line, Pitch, Semantic, Song, Word
from autosing.stage import Rejected
from autosing.storage.tables import TableWriter, rejects_path, table_path
from inference.provenance.origin import Origin
from inference.provenance.tags import read_tags, write_tags
from inference.report.figures import curve_svg, marks, pitch_path, spectrogram_png
from inference.report.write import write_page

RATE = 16_000


def tone(hz: float, duration_s: float) -> Audio:
    t_S = np.arange(round(duration_s * RATE)) / RATE
    return Audio((0.3 * np.sin(2 * np.pi * hz * t_S))[None].astype(np.float32), RATE)


def write(corpus: Path, partition: int, stage: str, record: type, rows: list, rows_in: int) -> None:
    with TableWriter(table_path(corpus, partition, stage), record, rejects_path(corpus, partition, stage)) as table:
        for row in rows:
            table.add(row)
        table.commit(stage, 1, rows_in, {})


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two partitions, three songs of one clip each; the third song has no voice."""
    folder = tmp_path / "corpus"
    flac = encode(tone(220, 3), "flac")
    for partition, songs in enumerate((["a", "b"], ["c"])):
        write(
            folder, partition, "index", Song, [Song(song, flac, artist=f"singer {song}") for song in songs], len(songs)
        )
        clips: list = []
        for song in songs:
            if song == "c":
                clips.append(Rejected(song, "no_singing", "0 s of singing, need 2 s"))
                continue
            voice = encode(tone(330, 2), "flac")
            words = [Word("la", 0.2, 0.9, 0.9, 0), Word("<la>", 1.0, 1.8, 0.9, 0)]
            lines = [Line("la <la>", 0.2, 1.8, 0.9, True)]
            clips.append(Clip(f"{song}-500", song, None, "en", None, 0.5, 2.0, 0.9, voice, None, lines, words))
        write(folder, partition, "segment", Clip, clips, len(songs))
        pitches = [Pitch(c.id, np.full(200, 330, np.float32), 1.0) for c in clips if isinstance(c, Clip)]
        write(folder, partition, "pitch", Pitch, pitches, len(pitches))
    left_out = [{"file": "d.mp3", "reason": "unreadable", "measurement": "text"}]
    (folder / "_import.json").write_text(json.dumps({"left_out": left_out}))
    return folder


def cells(page: str, first: str) -> list[str]:
    """The cells of the table row that starts with `first`."""
    return re.findall(r"<td[^>]*>([^<]*)</td>", next(row for row in page.split("<tr>") if f">{first}</td>" in row))


def test_the_pages_numbers_are_the_tables_and_every_player_holds_its_sound(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "t2s"
    run.mkdir()
    lines = [json.dumps({"step": step, "loss": 5 / step}) for step in range(1, 60)]
    (run / "metrics.jsonl").write_text("\n".join(lines))
    facts = write_page(tmp_path / "page.html", corpus=corpus, runs=[run])
    page = (tmp_path / "page.html").read_text()
    assert cells(page, "import") == ["import", "4", "3", "1", "unreadable 1"]
    assert cells(page, "segment") == ["segment", "3", "2", "1", "no_singing 1"]
    assert cells(page, "pitch") == ["pitch", "2", "2", "0", ""]
    sounds = [base64.b64decode(s) for s in re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', page)]
    assert len(sounds) == facts["sounds"] == 2
    for sound in sounds:
        samples, rate = sf.read(io.BytesIO(sound))
        assert 2.0 <= len(samples) / rate < 2.2
        assert np.abs(samples).max() > 0.2
    for picture in re.findall(r'src="data:image/png;base64,([^"]+)"', page):
        Image.open(io.BytesIO(base64.b64decode(picture))).verify()
    assert "loss 5 at step 1, 0.0847 at step 59" in page
    assert "&lt;la&gt;" in page and "<la>" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "the page must need nothing outside itself"


def test_what_was_sung_is_heard_beside_what_it_was_sung_from(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.report.write.tracked", lambda audio: "M0 0.5L1 0.5")
    clip = Semantic("a-500", np.arange(10, dtype=np.int32))
    write(corpus, 0, "semantic", Semantic, [clip], 1)
    sung = tmp_path / "sung.wav"
    for path in (sung, tmp_path / "sung.vocals.wav"):
        save(tone(330, 1.5), path)
    np.savez(tmp_path / "sung.npz", semantic=np.arange(9), acoustic=np.zeros(3))
    facts = {
        "lines": [{"text": "la & la", "start_s": 0.2, "end_s": 1.4}], "remark": "as it is", "length_s": 1.5,
        "reference": {"name": f"{corpus}#a-500", "start_s": 0.25}, "made_by": "autosing sing",
        "candidates": [{"file": str(sung)}],
    }  # fmt: skip
    (tmp_path / "sung.json").write_text(json.dumps(facts))
    assert write_page(tmp_path / "page.html", corpus=corpus, sung=sung)["sounds"] == 6
    page = (tmp_path / "page.html").read_text()
    assert "la &amp; la" in page and "90.0% of its semantic codes" in page
    titles = re.findall(r"<figcaption><b>([^<]*)</b>", page)[:4]
    assert titles == ["Reference, mix in", "Its voice, as separated", "Sung vocals", "Mix out"]


@pytest.mark.parametrize("name", ["sung.flac", "sung.2.flac", "sung.ogg", "sung.mp3"])
def test_what_was_sung_in_any_format_and_each_candidate_is_heard(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("inference.report.write.tracked", lambda audio: "M0 0.5L1 0.5")
    sung = tmp_path / name
    for path in (sung, sung.with_suffix(f".vocals{sung.suffix}")):
        save(tone(330, 1.5), path)
    facts = {
        "made_by": "autosing sing", "lines": [{"text": "la", "start_s": 0.2, "end_s": 1.4}], "length_s": 1.5,
        "reference": {"name": None, "start_s": 0.0}, "candidates": [{"file": f"elsewhere/{name}"}],
    }  # fmt: skip
    (tmp_path / "sung.json").write_text(json.dumps(facts))
    assert write_page(tmp_path / "page.html", sung=sung)["sounds"] == 1
    assert "1.50 s at 16,000 Hz" in (tmp_path / "page.html").read_text()


def test_what_render_and_convert_wrote_is_heard_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.report.sounds.tracked", lambda audio: "M0 0.5L1 0.5")
    song, converted = tmp_path / "song.wav", tmp_path / "converted.wav"
    for path in (song, tmp_path / "song.vocals.wav", converted):
        save(tone(330, 1.5), path)
    (tmp_path / "song.lrc").write_text("[00:00.20]<00:00.20>golden <00:00.90>river<00:01.40>\n")
    (tmp_path / "song.json").write_text(json.dumps({"made_by": "autosing render", "singer": "Rosa & Tom"}))
    (tmp_path / "converted.json").write_text(json.dumps({"made_by": "autosing convert"}))
    tags = Origin("autosing convert", {"svc_flow": "a" * 64}, 7).tags("perth")
    write_tags(converted, tags, "said")
    assert write_page(tmp_path / "page.html", sounded=[song, converted])["sounds"] == 3
    page = (tmp_path / "page.html").read_text()
    found = []
    for sound in re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', page):
        (tmp_path / "player.mp3").write_bytes(base64.b64decode(sound))
        found.append(read_tags(tmp_path / "player.mp3"))
    assert found == [{}, {}, tags], "a player's sound says what its file says"
    assert "song.wav: autosing render" in page and "converted.wav: autosing convert" in page
    assert "golden" in page and "Rosa &amp; Tom" in page
    (tmp_path / "converted.json").write_text("{}")
    for wrong, words in ((converted, "is no record of"), (tmp_path / "none.wav", "its record none.json")):
        with pytest.raises(InputError, match=words):
            write_page(tmp_path / "page.html", sounded=[wrong])


def test_a_missing_part_is_an_error_before_anything_is_written(corpus: Path, tmp_path: Path) -> None:
    for wrong, words in (
        ({}, "nothing to show"),
        ({"corpus": tmp_path / "none"}, "no such folder"),
        ({"runs": [tmp_path]}, "no metrics.jsonl"),
        ({"dataset": tmp_path}, "no index.json"),
        ({"corpus": corpus, "sung": tmp_path / "out.wav"}, "autosing sing"),
    ):
        with pytest.raises(InputError, match=words):
            write_page(tmp_path / "page.html", **wrong)
    assert not (tmp_path / "page.html").exists()


def test_the_pitch_track_lies_on_its_own_partial_of_the_picture() -> None:
    audio = tone(440, 2)
    picture = np.asarray(Image.open(io.BytesIO(spectrogram_png(audio))).convert("L"))
    brightest = int(picture[:, picture.shape[1] // 2].argmax()) / picture.shape[0]
    path = pitch_path(np.full(200, 440.0), 100.0, audio)
    drawn = float(path.split(" ")[1].split("L")[0])
    assert drawn == pytest.approx(brightest, abs=0.02)
    assert path.count("M") == 1
    assert pitch_path(np.array([0.0, 440, 440, 0, 440]), 100.0, audio).count("M") == 2


def test_words_outside_the_picture_are_not_drawn_and_a_flat_loss_is_still_a_curve(tmp_path: Path) -> None:
    drawn = marks([("in", 0.5, 1.0), ("over the edge", 1.5, 3.0), ("out", 2.0, 2.5)], 2.0)
    assert [(mark.text, mark.left, mark.right) for mark in drawn] == [("in", 0.25, 0.5), ("over the edge", 0.75, 1.0)]
    assert "nan" not in curve_svg([(1, 2.0)]) + curve_svg([(1, 2.0), (2, 2.0)])
    save(tone(220, 0.01), tmp_path / "short.wav")
    assert spectrogram_png(tone(220, 0.01)).startswith(b"\x89PNG")


def test_the_picture_of_the_readme_shows_f0_and_words_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Path(__file__).parents[1] / "docs" / "picture.py"
    spec = importlib.util.spec_from_file_location("picture", script)
    assert spec is not None and spec.loader is not None
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    monkeypatch.setattr(picture, "load_tracker", lambda: lambda audio_S, rate: np.full(200, 440.0))
    for name in ("sung.wav", "sung.vocals.wav"):
        save(tone(440, 2), tmp_path / name)
    (tmp_path / "sung.lrc").write_text("[00:00.50]<00:00.50>la <00:01.00>la\n[00:01.50]\n")
    drawn = np.asarray(picture.draw(tmp_path / "sung.wav"))
    voice, rest = np.split(drawn[picture.ROW :], [picture.HEIGHT])
    middle = picture.WIDTH // 2
    brightest = np.asarray(picture.spectrogram(tone(440, 2)).convert("L"))[:, middle].argmax()
    f0_rows = np.flatnonzero((voice[:, middle + 100] == picture.F0).all(axis=1))
    assert f0_rows.mean() == pytest.approx(brightest, abs=4)
    columns = np.flatnonzero((rest[: picture.ROW] == picture.INK).all(axis=(0, 2)))
    assert list(columns) == [middle // 2, middle]
