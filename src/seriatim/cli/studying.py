"""`seriatim train plan` and `routing`: what a run would take, and how a model uses its experts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seriatim.cli.scope import JsonOption

if TYPE_CHECKING:
    from seriatim.olmoe.config import OlmoeConfig
    from seriatim.training.config import TrainConfig


def plan(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The settings.", show_default=False)],
    gpus: Annotated[int, typer.Option("--gpus", metavar="N", min=1, help="So many processors.")] = 1,
    hardware: Annotated[str, typer.Option("--hardware", metavar="NAME", help="h100 or a100.")] = "h100",
    expert_parallel: Annotated[
        int, typer.Option("--expert-parallel", metavar="P", min=1, help="So many processes share the experts.")
    ] = 1,
    json: JsonOption = False,
) -> None:
    """Tell what a run would take: memory, tokens a second, bytes on the wire, days."""
    from dataclasses import asdict

    from seriatim.cli.printing import print_json
    from seriatim.errors import UsageError
    from seriatim.training.config import read_config
    from seriatim.training.plan import HARDWARE, estimate

    settings = read_config(config)
    if hardware not in HARDWARE:
        raise UsageError(f"{hardware} is no hardware that is known; known are {', '.join(HARDWARE)}")
    takes = estimate(_shape(config, settings), settings, gpus, HARDWARE[hardware], expert_parallel)
    if json:
        print_json(asdict(takes) | {"memory_bytes": takes.memory_bytes, "hardware": hardware})
        return
    step = takes.products_s + takes.memory_s + takes.wire_s
    fits = "" if takes.memory_bytes < HARDWARE[hardware].memory_bytes else ": more than there is"
    for name, told in (
        ("parameters", f"{takes.parameters:,}, of which a token uses {takes.active_parameters:,}"),
        ("memory a GPU", f"{takes.memory_bytes / 1e9:.1f} GB{fits} (weights, gradients, moments "
         f"{takes.state_bytes / 1e9:.1f}, copies for products {takes.copies_bytes / 1e9:.1f}, "
         f"activations {takes.activation_bytes / 1e9:.1f})"),
        ("a step", f"{step:.3f} s (products {takes.products_s:.3f}, memory {takes.memory_s:.3f}, "
         f"wire {takes.wire_s:.3f})"),
        ("on the wire", f"{takes.wire_bytes / 1e9:.1f} GB a GPU and step"),
        ("speed", f"{takes.tokens_per_s:,.0f} tokens/s a GPU, {takes.tokens_per_s * gpus:,.0f} in all"),
        ("time", f"{takes.days:,.1f} days"),
    ):  # fmt: skip
        print(f"{name:14}{told}")


def _shape(config: Path, settings: "TrainConfig") -> "OlmoeConfig":
    """The model that `settings`, read from `config`, train: that of `model.start`, or the one that they give."""
    from seriatim.errors import UsageError
    from seriatim.olmoe.config import OlmoeConfig
    from seriatim.training.config import model_config

    if settings.model.start:
        return OlmoeConfig.from_file(settings.folder / settings.model.start / "config.json")
    vocabulary = settings.model.vocab_size or settings.data.vocab_size
    if not vocabulary:
        raise UsageError(f"{config} does not say how many ids the vocabulary has: set model.vocab_size")
    return model_config(settings.model, settings.data.sequence_length, vocabulary, 0, None)


def routing(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A model's folder or name.")],
    texts: Annotated[list[str], typer.Argument(metavar="[DOMAIN=]FILE…", help="What it reads, a domain each.")],
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="DIR", help="An earlier checkpoint: saturation.", show_default=False),
    ] = None,
    tokens: Annotated[int, typer.Option("--tokens", metavar="N", min=1, help="At most so many of a domain.")] = 16_384,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write routing.json and plots.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """How a model uses its experts: load, co-activation, domains, vocabulary, saturation."""
    from json import dumps

    from seriatim.cli.printing import print_json
    from seriatim.cli.progress import progress_bar
    from seriatim.errors import SeriatimError
    from seriatim.files import write_text
    from seriatim.models.olmoe import start_torch
    from seriatim.models.opening import reader_path

    domains = _domains(texts)
    start_torch()
    from seriatim.training import routing_plots, routing_study

    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)  # before the work, which would be lost
        with progress_bar("Routing") as update:
            found = routing_study.study(
                reader_path(checkpoint, fetch=False), domains, tokens=tokens, against=against, progress=update
            )
        if out is not None:
            write_text(out / "routing.json", dumps(found) + "\n")
    except OSError as error:
        raise SeriatimError(f"{out} cannot be written: {error.strerror}") from error
    if json:
        print_json(found)
    else:
        _print_routing(found)
    if out is None:
        return
    try:
        routing_plots.draw(found, out)
    except SeriatimError as error:
        raise type(error)(f"{error}; {out / 'routing.json'} is written") from error
    if not json:
        print(f"{out} holds the plots and routing.json")


def _print_routing(found: dict[str, Any]) -> None:
    saturation = found.get("saturation", [])
    even = 1 / found["experts"]
    print("layer  fullest expert  idle  token decides its expert" + ("  saturation" if saturation else ""))
    for layer, shares in enumerate(found["load"]):
        decided = found["vocabulary_specialisation"][layer]["read"]
        line = f"{layer + 1:>5}  {max(shares) / even:>13.2f}x  {sum(share == 0 for share in shares):>4}"
        line += f"  {'too few tokens' if decided is None else f'{decided:.0%}':>24}"
        print(line + (f"  {saturation[layer]:>10.0%}" if saturation else ""))


def _domains(texts: list[str]) -> dict[str, str]:
    """The texts by domain; a file without a name is called by its own."""
    from seriatim.errors import UsageError
    from seriatim.training.data import sources

    found: dict[str, str] = {}
    for each in texts:
        name, mark, path = each.partition("=")
        if not mark or Path(each).exists():
            name, path = Path(each).stem, each
        if name in found:
            raise UsageError(f"two texts are called {name}: name them, as in other={path}")
        found[name] = "\n\n".join(text for file in sources.files([path]) for text in sources.texts(file))
    return found
