"""What singing writes: never over its inputs or what others wrote; whole or marked as unfinished; the same again."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from autosing.audio.io import Audio
from autosing.errors import InputError
from inference.files import read_record, vocals_of
from inference.lyrics_plan import AskedLine
from inference.mix import Mix
from inference.output import check_out, write
from inference.request import Inputs, ResolvedRequest, SingConfig, SingRequest
from inference.result import Candidate, Sung

NUM_SAMPLES = 24_017


def sung(seed: int = 0, **options: object) -> Sung:
    """Noise, as many candidates as are kept."""
    config = SingConfig.build({"watermark": False, **options})
    request = SingRequest(Path("sm2a"), Path("t2s"), "song.mp3", "la", config=config)
    rng = np.random.default_rng(seed)

    def candidate() -> Candidate:
        stems = [Audio(rng.normal(0, 0.1, (2, NUM_SAMPLES)).astype(np.float32), 24_000) for _ in range(3)]
        return Candidate(Mix(stems[0], stems[1], stems[2], 0.0), np.arange(9), np.arange(5), None)

    resolved = ResolvedRequest(request, Inputs(None, None, None), 0.0, 1.0, [AskedLine("la", 0.1, 0.9)])
    return Sung(resolved, [candidate() for _ in range(config.kept)], "cpu", {"load": 0.0})


def put(out: Path, what: Sung, codes: bool = False, force: bool = False) -> dict[str, bytes]:
    """Check and write as `autosing sing` does; -> what lies in the folder afterwards."""
    write(what, check_out(out, what.resolved.request.config, codes, force=force))
    return contents(out.parent)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3"])
def test_each_format_holds_every_sample_and_a_second_run_writes_the_same_bytes(tmp_path: Path, format: str) -> None:
    out = tmp_path / f"out.{format}"
    first = put(out, sung())
    assert sorted(first) == sorted([out.name, f"out.vocals.{format}", "out.lrc", "out.json"])
    assert [sf.info(path).frames for path in (out, vocals_of(out))] == [NUM_SAMPLES, NUM_SAMPLES]
    assert put(out, sung()) == first != put(out, sung(seed=1))


def test_an_mp3_of_a_rate_that_mp3_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"96000 Hz, need one of 8000.*--rate"):
        check_out(tmp_path / "out.mp3", SingConfig(sample_rate_hz=96_000))
    check_out(tmp_path / "out.flac", SingConfig(sample_rate_hz=96_000))


@pytest.mark.parametrize("option", ["--reference", "--lyrics", "--singer", "--semantic-from", "--config"])
@pytest.mark.parametrize("way", ["itself", "symlink", "hard link", "relative"])
def test_an_output_that_is_an_input_is_refused_even_by_force(
    tmp_path: Path, option: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"--lyrics": "song.lrc", "--config": "song.json"}.get(option, "song.wav")
    held = tmp_path / name
    held.write_text("mine")
    read = tmp_path / "other" / "name"
    read.parent.mkdir()
    if way == "itself":
        read = held
    elif way == "symlink":
        read.symlink_to(held)
    elif way == "hard link":
        os.link(held, read)
    else:
        monkeypatch.chdir(tmp_path / "other")
        read = Path("..") / name
    for force in (False, True):
        with pytest.raises(InputError, match=f"is read as {option}"):
            check_out(tmp_path / "song.wav", SingConfig(), inputs={option: read}, force=force)
    assert held.read_text() == "mine"


def test_a_models_files_are_inputs_too(tmp_path: Path) -> None:
    (tmp_path / "t2s").mkdir()
    (tmp_path / "t2s" / "model.json").write_text("{}")
    with pytest.raises(InputError, match="is read as --t2s"):
        check_out(tmp_path / "t2s" / "model.wav", SingConfig(), inputs={"--t2s": tmp_path / "t2s"}, force=True)
    check_out(tmp_path / "t2s" / "out.wav", SingConfig(), inputs={"--t2s": tmp_path / "t2s"})


def test_every_file_that_a_request_names_is_compared() -> None:
    named = {
        "sm2a": Path("a"), "t2s": Path("b"), "reference": "c.wav", "lyrics": "@d.md", "singer": Path("e.wav"),
        "semantic_from": Path("f.wav"), "codec": "g", "codebook": "h",
    }  # fmt: skip
    assert sorted(map(str, SingRequest(**named).files().values())) == [
        "a", "b", "c.wav", "d.md", "e.wav", "f.wav", "g", "h",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["song.wav", "song.vocals.wav", "song.npz", "song.lrc", "song.json"])
def test_what_others_wrote_is_replaced_by_force_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"mine": 1}')
    with pytest.raises(InputError, match=rf"{name} is there, and 'autosing sing' did not write it.*--force"):
        put(tmp_path / "song.wav", sung(), codes=True)
    assert contents(tmp_path) == {name: b'{"mine": 1}'}
    assert len(put(tmp_path / "song.wav", sung(), codes=True, force=True)) == 5
    put(tmp_path / "song.wav", sung(seed=1), codes=True)


def test_what_was_changed_since_it_was_written_is_somebodys(tmp_path: Path) -> None:
    put(tmp_path / "song.wav", sung())
    (tmp_path / "song.lrc").write_text("[00:00.10]my own words")
    with pytest.raises(InputError, match=r"song\.lrc was changed since"):
        put(tmp_path / "song.wav", sung())
    assert (tmp_path / "song.lrc").read_text() == "[00:00.10]my own words"


def test_takes_of_an_earlier_run_stay_and_stay_ours(tmp_path: Path) -> None:
    out = tmp_path / "song.wav"
    three = put(out, sung(candidates=3))
    one = put(out, sung())
    assert set(one) == {*three, "song.wav", "song.vocals.wav"}
    again = put(out, sung(candidates=3))
    assert {name: again[name] for name in three if name != "song.json"} == {
        name: data for name, data in three.items() if name != "song.json"
    }


def test_killed_between_any_two_files_the_run_is_repeated_and_none_is_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_replace = Path.replace
    (tmp_path / "whole").mkdir()
    put(tmp_path / "whole" / "out.wav", sung())
    whole = put(tmp_path / "whole" / "out.wav", sung(seed=1))
    for n in range(5):
        out = tmp_path / str(n) / "out.wav"
        out.parent.mkdir()
        put(out, sung())
        before, left = contents(out.parent), n

        def replace_n(self: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return true_replace(self, target)

        monkeypatch.setattr(Path, "replace", replace_n)
        with pytest.raises(KeyboardInterrupt):
            put(out, sung(seed=1))
        monkeypatch.undo()
        if n:
            with pytest.raises(InputError, match="did not finish"):
                read_record(out)
        else:
            assert contents(out.parent) == before
        after = put(out, sung(seed=1))
        assert after.keys() == whole.keys()
        assert all(after[name] == whole[name] for name in whole if name != "out.json")
        assert json.loads(after["out.json"])["files"] == json.loads(whole["out.json"])["files"]


def test_a_record_is_found_for_a_mix_and_for_each_candidate_of_several(tmp_path: Path) -> None:
    put(tmp_path / "song.flac", sung(candidates=2))
    assert read_record(tmp_path / "song.2.flac")["length_s"] == 1.0
    for missing in ("song.3.flac", "song.flac", "other.flac"):
        with pytest.raises(InputError, match="make both with 'autosing sing'"):
            read_record(tmp_path / missing)


def test_an_output_in_a_file_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, need a folder"):
        check_out(tmp_path / "file" / "deeper" / "out.wav", SingConfig())
    (tmp_path / "out.lrc").mkdir()
    with pytest.raises(InputError, match="is a folder, need its name"):
        check_out(tmp_path / "out.wav", SingConfig())
    assert check_out(tmp_path / "new" / "deep" / "out.wav", SingConfig()) and not (tmp_path / "new").exists()
    what = sung()
    write(replace(what, seconds={}), check_out(tmp_path / "new" / "deep" / "out.wav", SingConfig()))
    assert len(contents(tmp_path / "new" / "deep")) == 4
