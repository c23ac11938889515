"""python -m train.weights OUT: the voice models that come with autosing, from nothing (`make weights`).

Songs of known truth are made and become datasets of scores (for `render`), of recordings (for `convert`), and of spoken
and sung lines (for `speech-to-singing`). The model of each is trained, the second and the third beginning with the
flow of the first, and brought to half precision in OUT/shipped/<name>: copy these to autosing/weights. After a kill,
the same command goes on where it stopped. Hours and figures are in the models' cards.
"""

import sys
from pathlib import Path

from autosing.console import note
from autosing.demo import CONFIGS
from autosing.steps import Step, run_steps

SONGS = 264
SINGERS = 44
SEED = 3101
UNSEEN = ("Ines Fabian", "Jonas Fabian", "Kaya Fabian", "Luca Fabian")
"""Left out of the recordings, so that figures can be had of singers who were never heard."""


def plan(out: Path, songs: int = SONGS, singers: int = SINGERS, without: tuple[str, ...] = UNSEEN) -> list[Step]:
    """The work in order, the longest last."""
    made, recordings, corpus, data = out / "songs", out / "singers", out / "svc/corpus", out / "svc/data"
    scores, sung = out / "visinger/corpus", out / "visinger/data"
    lines, spoken = out / "sts/corpus", out / "sts/data"

    def config(room: str, name: str) -> tuple[str, str]:
        return ("--config", str(CONFIGS / room / f"{name}.yaml"))

    def trained(task: str, index: str, dataset: Path, begins: str | None = None) -> list[Step]:
        run, held = out / task / "run", f"{task}/run/model.safetensors"
        begin = ("--set", f"task.flow_from={out / begins / 'run'}") if begins else ()
        return [
            Step(
                f"train-{task}", f"Train {task}",
                ("train", task, "--data", str(dataset), "--run", str(run), "--resume", *config("train", task), *begin),
                reads=(index, f"{begins}/run/model.safetensors") if begins else (index,),
                writes=(held,), starts_anew=f"{task}/run",
            ),
            Step(
                f"ship-{task}", "Bring it to half precision", (str(run), str(out / "shipped" / task)),
                reads=(held,), writes=(f"shipped/{task}/model.safetensors",), module="train.ship",
            ),
        ]  # fmt: skip

    return [
        Step("models", "Fetch pretrained weights, once a machine", ("models", "fetch", "whisper-base", "ge2e")),
        Step(
            "songs", "Make songs of known truth",
            (
                *("songs", str(made), "-n", str(songs), "--seed", str(SEED), "--languages", "en"),
                *("--singers", str(singers), "--voices", "natural", "--lines", "1", "--partitions", "12"),
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
            "dry", "Songs without room and band, with their scores", (str(made), str(scores)),
            reads=("songs/*/index.parquet",), writes=("visinger/corpus/*/index.parquet",), module="train.corpora.dry",
        ),
        Step(
            "visinger-process", "Clips, pitch, loudness, scores, singers",
            ("process", str(scores), *config("processing", "visinger"), "--set", f"score.truth={made}"),
            reads=("visinger/corpus/*/index.parquet",), writes=("visinger/corpus/*/score.parquet",),
        ),
        Step(
            "visinger-build", "Write shards",
            ("build", str(scores), str(sung), *config("dataset_builder", "visinger"), "--set", "apart=songs"),
            reads=("visinger/corpus/*/*.parquet",), writes=("visinger/data/index.json",),
        ),
        Step(
            "lines", "The same songs, each sung line beside the line as it is spoken",
            (str(made), str(lines), "--lines"),
            reads=("songs/*/index.parquet",), writes=("sts/corpus/*/index.parquet",), module="train.corpora.dry",
        ),
        Step(
            "sts-process", "Clips, pitch, loudness, scores, speech, singers",
            ("process", str(lines), *config("processing", "sts")),
            reads=("sts/corpus/*/index.parquet",), writes=("sts/corpus/*/speech.parquet",),
        ),
        Step(
            "sts-build", "Write shards",
            ("build", str(lines), str(spoken), *config("dataset_builder", "sts"), "--set", "apart=songs"),
            reads=("sts/corpus/*/*.parquet",), writes=("sts/data/index.json",),
        ),
        *trained("visinger", "visinger/data/index.json", sung),
        *trained("svc_flow", "svc/data/index.json", data, "visinger"),
        *trained("sts", "sts/data/index.json", spoken, "visinger"),
    ]  # fmt: skip


def main() -> None:
    out = Path(sys.argv[1])
    for row in run_steps(plan(out), out):
        note(f"{row['step']}: {row['done']}, {row['seconds']} s")


if __name__ == "__main__":
    main()
