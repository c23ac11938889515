"""python -m train.weights OUT: the voice models that come with autosing, from nothing (`make weights`).

Songs of known truth are made and become two datasets: recordings (for `convert`), and lines with their scores and their
speech (for `render` and `speech-to-singing`). A third is sung by the finished visinger, for `sing`. svc_flow begins
with the flow of a first visinger, which then goes on with the flow of svc_flow; with what comes of it sts begins, too.
All are brought to 8 bits (t2s: 6) in OUT/shipped/<name>: copy these to autosing/weights, and the semantic codebook as
it lies in its run. After a kill, the same command goes on where it stopped. Hours and figures are in the models' cards.
"""

import sys
from pathlib import Path

from autosing.console import note
from autosing.demo import CONFIGS
from autosing.steps import Step, run_steps

SONGS = 264
SINGERS = 44
SEED = 3101
SUNG, SUNG_A_PARTITION = 5400, 100
"""Songs that the finished visinger sings, 12.6 hours."""
UNSEEN = ("Ines Fabian", "Jonas Fabian", "Kaya Fabian", "Luca Fabian")
"""Left out of the recordings, so that figures can be had of singers who were never heard."""


def plan(
    out: Path, songs: int = SONGS, singers: int = SINGERS, sung: int = SUNG, without: tuple[str, ...] = UNSEEN
) -> list[Step]:
    """The work in order, the longest last."""
    made, recordings, corpus, data = out / "songs", out / "singers", out / "svc/corpus", out / "svc/data"
    lines, lines_data = out / "lines/corpus", out / "lines/data"
    hours, hours_data = out / "sung/corpus", out / "sung/data"

    def config(room: str, name: str) -> tuple[str, str]:
        return ("--config", str(CONFIGS / room / f"{name}.yaml"))

    def trained(task: str, room: str, begins: dict[str, str] | None = None, name: str = "") -> Step:
        """`room`: where the dataset lies; `begins`: setting -> the run that it names; `name`: of the config and of the
        run, where it is not the task's."""
        name, index = name or task, str(Path(room, "data", "index.json"))
        run, begins = out / name / "run", begins or {}
        data = ("--data", str(out / room / "data"), "--run", str(run), "--resume")
        settings = [word for key, other in begins.items() for word in ("--set", f"task.{key}={out / other / 'run'}")]
        return Step(
            f"train-{name}", f"Train {name}",
            ("train", task, *data, *config("train", name), *settings),
            reads=(index, *(f"{other}/run/model.safetensors" for other in begins.values())),
            writes=(f"{name}/run/model.safetensors",), starts_anew=f"{name}/run",
        )  # fmt: skip

    def shipped(task: str, name: str = "", bits: int = 8) -> Step:
        run, whole = out / (name or task) / "run", f"shipped/{task}/model.safetensors"
        return Step(
            f"ship-{task}", f"Bring {task} to {bits} bits",
            (str(run), str(out / "shipped" / task), "--bits", str(bits)),
            reads=(f"{name or task}/run/model.safetensors",), writes=(whole,), module="train.ship",
        )  # fmt: skip

    return [
        Step("models", "Fetch pretrained weights, once a machine", ("models", "fetch", "whisper-base", "ge2e")),
        Step(
            "songs", "Make songs of known truth",
            (
                *("songs", str(made), "-n", str(songs), "--seed", str(SEED), "--languages", "en"),
                *("--singers", str(singers), "--voices", "natural", "--lines", "2", "--partitions", "12"),
            ),
            writes=("songs/*/index.parquet",),
        ),
        Step(
            "singers", "Lay their dry voices in a folder for each singer",
            (str(made), str(recordings), *(("--without", *without) if without else ())),
            reads=("songs/*/index.parquet",), writes=("singers/*/*.flac",), module="train.corpora.singers",
        ),
        Step(
            "svc-import", "Import them", ("import", str(recordings), str(corpus), "--singers-from", "folder"),
            reads=("singers/*/*.flac",), writes=("svc/corpus/*/index.parquet",),
        ),
        Step(
            "svc-process", "Clips, pitch, loudness, content, singers",
            ("process", str(corpus), *config("processing", "svc")),
            reads=("svc/corpus/*/index.parquet",), writes=("svc/corpus/*/singer.parquet",),
        ),
        Step(
            "svc-build", "Write shards",
            (*("build", str(corpus), str(data), *config("dataset_builder", "svc")),
             *("--set", "valid=0.04", "--set", "test=0")),
            reads=("svc/corpus/*/*.parquet",), writes=("svc/data/index.json",),
        ),
        Step(
            "lines", "The same songs, each line with its score, beside the line as it is spoken",
            (str(made), str(lines), "--lines"),
            reads=("songs/*/index.parquet",), writes=("lines/corpus/*/index.parquet",), module="train.corpora.dry",
        ),
        Step(
            "lines-process", "Clips, pitch, loudness, scores, speech, singers",
            ("process", str(lines), *config("processing", "sts")),
            reads=("lines/corpus/*/index.parquet",), writes=("lines/corpus/*/speech.parquet",),
        ),
        Step(
            "lines-build", "Write shards",
            ("build", str(lines), str(lines_data), *config("dataset_builder", "sts"), "--set", "apart=songs"),
            reads=("lines/corpus/*/*.parquet",), writes=("lines/data/index.json",),
        ),
        trained("semantic", "lines", name="semantic_phones"),
        trained("visinger", "lines"),
        trained("svc_flow", "svc", {"flow_from": "visinger"}),
        shipped("svc_flow"),
        trained("visinger", "lines", {"begin_with": "visinger", "flow_from": "svc_flow"}, "visinger_on"),
        shipped("visinger", "visinger_on"),
        trained("sts", "lines", {"flow_from": "visinger_on"}),
        shipped("sts"),
        trained("svc_vits", "svc", name="svc_vits_small"),
        shipped("svc_vits", "svc_vits_small"),
        Step(
            "sung", "Have visinger sing a corpus of many hours",
            (*(str(hours), "-n", str(sung), "--partitions", str(-(-sung // SUNG_A_PARTITION))),
             *("--run", str(out / "shipped/visinger"))),
            reads=("shipped/visinger/model.safetensors",), writes=("sung/corpus/*/segment.parquet",),
            module="inference.sung_corpus",
        ),
        Step(
            "sung-process", "Pitch, singers, codes", ("process", str(hours), *config("processing", "sung")),
            reads=("sung/corpus/*/segment.parquet",), writes=("sung/corpus/*/acoustic.parquet",),
        ),
        Step(
            "sung-build", "Write shards",
            (*("build", str(hours), str(hours_data), "--set", "apart=songs"),
             *("--set", "valid=0.03", "--set", "test=0")),
            reads=("sung/corpus/*/*.parquet",), writes=("sung/data/index.json",),
        ),
        trained("t2s", "sung", name="t2s_sung"),
        shipped("t2s", "t2s_sung", 6),
        trained("sm2a", "sung", name="sm2a_sung"),
        shipped("sm2a", "sm2a_sung"),
    ]  # fmt: skip


def main() -> None:
    out = Path(sys.argv[1])
    for row in run_steps(plan(out), out):
        note(f"{row['step']}: {row['done']}, {row['seconds']} s")


if __name__ == "__main__":
    main()
