"""Train an arm's model by the house's own loop."""

from pathlib import Path

from seriatim.olmoe.config import OlmoeConfig
from seriatim.progress import Progress
from seriatim.training import loop
from seriatim.training.config import model_config
from seriatim.training.loop import Trained
from seriatim.training.minidag.config import MiniDagConfig
from seriatim.training.minidag.data import ArmData
from seriatim.training.minidag.vocabulary import tokenizer


def train(config: MiniDagConfig, run: Path, *, steps: int | None = None, progress: Progress | None = None) -> Trained:
    """Train for the schedule's steps in the folder `run`; a run that was stopped goes on, as `loop.pretrain`'s do.

    `run/last` is a checkpoint with the task's tokenizer, which `seriatim model generate` takes.
    """
    return loop.train(config, arm_data(config, run), run, steps=steps, progress=progress)


def arm_data(config: MiniDagConfig, run: Path) -> ArmData:
    """The run's data; their tokenizer's files go into its folder."""
    symbols = tokenizer()
    folder = run / "tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    symbols.write(folder)
    return ArmData(config.minidag, config.run.seed, folder, symbols)


def shape(config: MiniDagConfig, data: ArmData) -> OlmoeConfig:
    """The config of the model that is trained."""
    return model_config(config.model, data.sequence_length, data.vocabulary, data.eos_id, data.pad_id)
