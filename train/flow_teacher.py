"""The flow of a trained run, frozen, and what a clip is told -> pairs of noise and frames that the run's flow joins.

A flow that learns again from such pairs has ways that cross less (reflow, Liu et al. 2022, arXiv:2209.03003, section
2), so it needs fewer steps; trained at the times of one to four steps alone it is distilled to them.

Shapes: B crops, D numbers of a folded frame, T folded steps, W width, E = 256 singer.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.config import Config
from autosing.errors import InputError
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.told import Told
from autosing.nn.flow_matching import FlowConfig, reflow_pairs
from autosing.nn.solvers import OdeMethod
from train.flow_drops import with_drops
from train.losses.flow import FlowLossSettings


class TeacherConfig(Config):
    """How a teacher's flow is followed from noise to frames."""

    steps: int = Field(default=6, ge=1)
    method: OdeMethod = "heun"
    guidance: float = Field(default=1.0, ge=0)
    """The student learns what the teacher says with this guidance, and then needs none."""
    guidance_singer: float = Field(default=1.0, ge=0)
    """Likewise away from what is sung for nobody; the student's usual one is then 1, at half the cost."""


class Lesson(NamedTuple):
    """What a student is shown."""

    h_BWT: Tensor
    mu_BDT: Tensor
    singer_BE: Tensor
    source_BDT: Tensor
    data_BDT: Tensor


class Teacher(nn.Module):
    """Always in eval mode, whatever the loop does with the modules around it."""

    def __init__(self, model: SvcFlow, config: TeacherConfig) -> None:
        super().__init__()
        self.model, self.config = model.requires_grad_(False).eval(), config

    def train(self, mode: bool = True) -> "Teacher":
        return super().train(False)

    @torch.no_grad()
    def lesson(self, told: Told, drop_singer: float, drop_content: float) -> Lesson:
        """One pair for each clip. drop_*: how often singer, and content with pitch and loudness, are left out of what
        both are told."""
        model, config = self.model, self.config
        _, h_BWT, mu_BDT, singer_BE = with_drops(model, told, model.tell(told), drop_singer, drop_content)
        estimate = model.guided_estimator(h_BWT, mu_BDT, singer_BE, config.guidance, config.guidance_singer)
        seed = int(torch.randint(2**62, ()))
        source_BDT, data_BDT = reflow_pairs(
            model.objective, estimate, mu_BDT.float(), seed, None, config.method, config.steps
        )
        return Lesson(h_BWT, mu_BDT, singer_BE, source_BDT, data_BDT.float())


def student_config(known: SvcFlowConfig, flow: FlowConfig, teaching: TeacherConfig) -> SvcFlowConfig:
    """The teacher's numbers, with the flow that is asked for."""
    update: dict[str, Any] = {"flow": flow}
    if teaching.guidance_singer != 1:
        update["usual_guidance_singer"] = 1.0
    return known.model_copy(update=update)


def loss_of_pairs(student: SvcFlow, teacher: Teacher, told: Told, settings: FlowLossSettings) -> Tensor:
    """The flow's loss on pairs that the teacher joins; of a student with `flow.steps` at the times of these alone. Of
    the settings drop_singer and drop_content are meant, in training."""
    shares = (settings.drop_singer, settings.drop_content) if student.training else (0.0, 0.0)
    shown = teacher.lesson(told, *shares)
    estimate = student.estimator(shown.h_BWT, shown.mu_BDT, shown.singer_BE)
    return student.objective.loss(
        lambda x_BDT, t_B: estimate(x_BDT, t_B).float(), shown.data_BDT, shown.mu_BDT.float(),
        source_BDT=shown.source_BDT, times_K=student.config.flow.times_K,
    )  # fmt: skip


def check_teacher(folder: Path, known: FlowConfig, asked: FlowConfig) -> None:
    """Raises InputError where a run with this flow cannot teach the one that is asked for."""
    if known.steps is not None:
        raise InputError(
            f"task.teacher {folder}: was itself distilled to {known.steps} steps, which is no flow to follow; name the "
            "run that taught it"
        )
    if asked.objective == "vp":
        raise InputError("task.flow.objective vp: a student's ways are straight; need rectified or cfm")
    around = known.around_prior or known.objective == "vp"
    if around != asked.around_prior:
        raise InputError(
            f"task.teacher {folder}: its flow begins {'around its prior' if around else 'at noise'}, so the student's "
            f"must; give --set task.flow.around_prior={str(around).lower()}"
        )
