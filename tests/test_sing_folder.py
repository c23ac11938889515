"""`autosing sing` as a person runs it: one song, a folder of lyrics, on a device, and from Python."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
import typer
from typer.testing import CliRunner

import autosing
from autosing.codecs import BUNDLED, load_codec
from autosing.errors import InputError
from inference import cli, job
from inference import reference as listening
from inference.load import load_models
from inference.request import SingConfig, SingRequest, config_of, resolve
from support.singing import make_pair, make_runs, make_song, voice_by_level

app = typer.Typer()
app.command()(cli.sing)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def voices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_voice", voice_by_level)


@pytest.fixture
def words(runs: Path, tmp_path: Path) -> list[str]:
    """The command's words but for --lyrics and --out."""
    song = make_song(tmp_path / "song.flac")
    named = {"t2s": runs / "t2s", "sm2a": runs / "sm2a", "codec": runs / "codec", "reference": song, "singer": song}
    return [
        *(word for name, value in named.items() for word in (f"--{name}", str(value))),
        *("--separator", "none", "--length", "1", "--scale", "coarse"),
    ]


def run(*words: object) -> tuple[int, dict, str]:
    """(exit code, the JSON summary, stderr)."""
    ran = CliRunner().invoke(app, [*map(str, words), "--json"])
    if isinstance(ran.exception, InputError):
        raise ran.exception
    return ran.exit_code, json.loads(ran.stdout), ran.stderr


@pytest.fixture
def lyrics(tmp_path: Path) -> Path:
    folder = tmp_path / "lyrics"
    folder.mkdir()
    (folder / "a.lrc").write_text("[00:00.10]golden river")
    (folder / "a.txt").write_text("golden river")
    (folder / "b.txt").write_text("follow the moon", encoding="utf-16")
    (folder / "c.txt").write_text("♪")
    (folder / "d.txt").write_text("la " * 60)
    (folder / "notes.md").write_text("not lyrics")
    return folder


def test_a_folder_of_lyrics_is_sung_with_models_loaded_once_and_bad_files_are_listed(
    words: list[str], lyrics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    monkeypatch.setattr(job, "load_models", lambda resolved: loads.append(1) or load_models(resolved))
    out = tmp_path / "sung"
    code, said, told = run(*words, "--lyrics", lyrics, "--out", out, "--format", "ogg")
    assert (code, said["bad"], len(loads)) == (2, 2, 1)
    assert [row["lyrics"] for row in said["rows"]] == ["a.lrc", "b.txt", "c.txt", "d.txt"]
    assert "nothing in it can be sung" in said["rows"][2]["error"] and "60 syllables" in said["rows"][3]["error"]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{stem}{end}" for stem in "ab" for end in (".ogg", ".vocals.ogg", ".lrc", ".json")
    )
    assert all(sf.info(out / f"{stem}.ogg").frames == 24_000 for stem in "ab")
    assert "a.txt: not sung" in told and "read as utf-16" in told
    before = (out / "a.ogg").read_bytes()
    (lyrics / "c.txt").unlink()
    (lyrics / "d.txt").unlink()
    assert run(*words, "--lyrics", lyrics, "--out", out, "--format", "ogg")[0] == 0
    assert (out / "a.ogg").read_bytes() == before
    one = tmp_path / "one.ogg"
    run(*words, "--lyrics", lyrics / "a.lrc", "--out", one)
    assert one.read_bytes() == before, "a song of a folder is the song alone"


def test_words_longer_than_any_file_name_are_words(words: list[str], tmp_path: Path) -> None:
    """A name has 255 bytes at most; to ask the system for a longer one is an error."""
    for number, ending in enumerate(("", ".txt")):
        long = ("--lyrics", "la, " * 70 + ending, "--length", "8", "--no-music")
        code, said, _ = run(*words, *long, "--out", tmp_path / f"{number}.wav")
        assert code == 0 and said["rows"][0]["samples"] == 192_000
    with pytest.raises(InputError, match="no such file"):
        run(*words, "--lyrics", "@" + "la, " * 70, "--out", tmp_path / "no.wav")


def test_folders_that_cannot_be_sung_are_refused(words: list[str], lyrics: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for given, out, found in (
        (lyrics, tmp_path / "out.wav", "names a file; --lyrics"),
        (lyrics, lyrics, "is the folder of the lyrics"),
        (tmp_path / "empty", tmp_path / "out", "a folder without a .lrc or .txt file"),
    ):
        with pytest.raises(InputError, match=found):
            run(*words, "--lyrics", given, "--out", out)
    assert not (tmp_path / "out").exists() and len(list(lyrics.iterdir())) == 6


def test_songs_of_a_folder_whose_files_would_replace_each_other_are_listed(
    words: list[str], lyrics: Path, tmp_path: Path
) -> None:
    for path in lyrics.iterdir():
        path.unlink()
    (lyrics / "a.txt").write_text("golden river")
    (lyrics / "a.vocals.txt").write_text("follow the moon")
    code, said, _ = run(*words, "--lyrics", lyrics, "--out", tmp_path / "out")
    assert code == 2 and [row["lyrics"] for row in said["rows"]] == ["a.txt", "a.vocals.txt"]
    assert "would replace that of a.txt" in said["rows"][1]["error"]


def test_nothing_of_an_input_or_of_anybody_else_is_replaced(words: list[str], tmp_path: Path) -> None:
    song = (tmp_path / "song.flac").read_bytes()
    with pytest.raises(InputError, match="is read as --reference"):
        run(*words, "--lyrics", "la", "--out", tmp_path / "song.flac", "--force")
    config = tmp_path / "other.json"
    config.write_text('{"seed": 3}')
    with pytest.raises(InputError, match="is read as --config"):
        run(*words, "--lyrics", "la", "--out", tmp_path / "other.wav", "--config", config)
    (tmp_path / "out.lrc").write_text("mine")
    with pytest.raises(InputError, match="--force to replace it"):
        run(*words, "--lyrics", "la", "--out", tmp_path / "out.wav")
    assert (tmp_path / "out.lrc").read_text() == "mine" and (tmp_path / "song.flac").read_bytes() == song
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json", "out.lrc", "song.flac"]
    assert run(*words, "--lyrics", "la", "--out", tmp_path / "out.wav", "--force")[0] == 0


def test_everything_that_is_loaded_is_placed_on_the_device(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's device without storage stands for a GPU; the encoder under the tokeniser loads when it first hears."""
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr("inference.load.device_here", lambda wanted: "meta")
    monkeypatch.setattr("inference.load.load_separator", lambda config: asked.append(("separator", config.device)))
    monkeypatch.setattr("inference.load.load_semantic", lambda name, device: asked.append(("tokenizer", device)))
    monkeypatch.setattr("inference.load.semantic_digest", lambda name: "1" * 64)
    config = SingConfig(candidates=2, keep="best")
    song = make_song(tmp_path / "song.flac")
    files = {"reference": str(song), "semantic_from": song, "codec": str(runs / "codec")}
    request = SingRequest(runs / "sm2a", runs / "t2s", lyrics="la", config=config, **files)
    models = load_models(resolve(request))
    placed = {tensor.device.type for model in (models.sm2a, models.t2s, models.codec) for tensor in model.parameters()}
    assert placed == {"meta"} and models.device == "meta"
    assert asked == [("tokenizer", "meta"), ("separator", "meta")]


def test_the_device_is_chosen_and_refused_where_it_is_not_there(words: list[str], tmp_path: Path) -> None:
    for device in ("cpu", "auto"):
        run(*words, "--lyrics", "la", "--out", tmp_path / f"{device}.wav", "--device", device)
    record = json.loads((tmp_path / "cpu.json").read_text())
    assert (record["config"]["device"], record["device"]) == ("cpu", "cpu")
    wrong = CliRunner().invoke(app, [*words, "--lyrics", "la", "--out", str(tmp_path / "no.wav"), "--device", "abacus"])
    assert wrong.exit_code == 2 and "abacus" in wrong.stderr
    if torch.cuda.is_available():
        return
    assert (tmp_path / "cpu.wav").read_bytes() == (tmp_path / "auto.wav").read_bytes()
    with pytest.raises(InputError, match=r"torch finds no GPU on this machine; give device cpu or auto"):
        run(*words, "--lyrics", "la", "--out", tmp_path / "no.wav", "--device", "cuda")
    assert not (tmp_path / "no.wav").exists()


def test_the_commands_options_are_the_configs_and_drawing_counts_for_content_and_sound() -> None:
    config = config_of({"min_p": 0.1, "separator": "none", "seed": None, "music": False}, None, ["acoustic.top_k=20"])
    assert (config.semantic.min_p, config.acoustic.min_p, config.acoustic.top_k) == (0.1, 0.1, 20)
    assert (config.separation.separator, config.seed, config.music) == ("none", 0, False)
    with pytest.raises(InputError, match="did you mean 'length_s'"):
        config_of({"length": 3.0})


def test_the_five_lines_of_the_readme_sing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"((?: {4}.*\n| *\n)* {4}import autosing\n(?: {4}.*\n|\n)*)", readme)
    code = "\n".join(line[4:] for line in lines.splitlines())
    assert len([line for line in code.splitlines() if line.strip()]) == 5
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    make_pair(tmp_path / "runs", BUNDLED, load_codec(BUNDLED).spec)
    make_song(tmp_path / "song.mp3")
    monkeypatch.setattr("inference.load.load_separator", lambda config: lambda mix, known: mix)
    exec(code, {})
    assert sf.info(tmp_path / "out.wav").frames == 48_000 and (tmp_path / "out.vocals.wav").is_file()


def test_a_model_loaded_before_sings_as_its_run_does(runs: Path, tmp_path: Path) -> None:
    song = make_song(tmp_path / "song.flac")
    options = {
        "reference": song, "singer": song, "lyrics": "la la", "codec": str(runs / "codec"), "separator": "none",
        "length_s": 1.0, "scale": "coarse", "temperature": 2.0, "semantic": {"stop_at_eos": False},
    }  # fmt: skip
    loaded = autosing.sing(autosing.load(runs / "sm2a"), autosing.load(str(runs / "t2s"), "cpu"), **options)
    named = autosing.sing(runs / "sm2a", str(runs / "t2s"), **options)
    np.testing.assert_array_equal(loaded.candidates[0].acoustic, named.candidates[0].acoustic)
    assert len(loaded.candidates[0].semantic_N) == 25
    with pytest.raises(InputError, match="sm2a: found a T2S model"):
        autosing.sing(autosing.load(runs / "t2s"), **options, t2s=runs / "t2s")
    assert autosing.load(runs / "codec").spec.sample_rate_hz == 24_000
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        autosing.load(tmp_path)


def test_importing_autosing_imports_no_room_and_no_torch() -> None:
    """The names stand before the call, the work is imported within it."""
    code = (
        "import sys, autosing; autosing.load, autosing.sing; "
        "print([m for m in ('torch', 'numpy', 'inference', 'typer') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
