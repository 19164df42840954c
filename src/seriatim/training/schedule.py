"""The learning rate over the steps of a run."""

from math import cos, pi

from seriatim.training.config import ScheduleSettings


def learning_rate(schedule: ScheduleSettings, step: int, highest: float) -> float:
    """The rate of `step` (from 0): warm-up to `highest`, a cosine to `final_share` of it, then a line to zero.

    arXiv 2409.02060, appendix B.
    """
    if step < schedule.warmup_steps:
        return highest * (step + 1) / schedule.warmup_steps
    lowest = highest * schedule.final_share
    anneal_from = schedule.steps - schedule.anneal_steps
    if step >= anneal_from:
        return lowest * (schedule.steps - step) / (schedule.anneal_steps + 1)
    progress = (step - schedule.warmup_steps) / max(1, anneal_from - schedule.warmup_steps)
    return lowest + (highest - lowest) * (1 + cos(pi * progress)) / 2
