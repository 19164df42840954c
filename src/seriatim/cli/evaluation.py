"""`seriatim eval`: run tasks, score predictions, compare and plot runs."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seriatim.cli.scope import EffortOption, EmbedderOption, JsonOption

if TYPE_CHECKING:
    from seriatim.cli.progress import Update
    from seriatim.evaluation import runs
    from seriatim.evaluation.comparison import Compared
    from seriatim.evaluation.datasets import Dataset
    from seriatim.evaluation.reasoning import runs as reasoning
    from seriatim.evaluation.records import Run
    from seriatim.evaluation.tasks import Task

app = typer.Typer(help="Judge retrieval and readers on benchmarks.", no_args_is_help=True)

Order = Literal["document", "relevance", "reversed", "shuffled", "ends", "full", "closed"]
ArmName = Literal["plain", "cot", "reflection", "phased", "verified", "self-consistency", "letters"]
# Options of `run` for tasks that ask about documents, and for those that ask problems; the others are for both.
_OF_DOCUMENTS = ("order", "effort", "embedder", "passages", "stitch")
_OF_PROBLEMS = ("arm", "samples", "match", "at_once")
RunsArgument = Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs.", show_default=False)]
TaskOption = Annotated[str, typer.Option("--task", metavar="TASK", help="See: seriatim eval list.", show_default=False)]


def _budgets(value: str | None) -> str | None:
    """A comma-separated list of whole numbers, checked while the command line is read."""
    for each in value.split(",") if value is not None else ():
        if not each.strip().isdecimal() or int(each) < 1:
            raise typer.BadParameter(f"{each.strip() or 'nothing'!s} is no budget; give whole numbers like 512,1024")
    return value


@app.command("list")
def list_tasks(json: JsonOption = False) -> None:
    """List the tasks, the orders and the arms, with what each is."""
    from seriatim.cli.printing import print_json
    from seriatim.evaluation.arms import ABOUT
    from seriatim.evaluation.reasoning.arms import ABOUT as ARMS
    from seriatim.evaluation.reasoning.tasks import TASKS as REASONING
    from seriatim.evaluation.tasks import TASKS

    if json:
        tasks = [{"task": t.name, "metric": t.metric, "about": t.about, "file": t.file} for t in TASKS.values()]
        tasks += [{"task": t.name, "metric": "accuracy", "about": t.about, "file": t.file} for t in REASONING.values()]
        print_json({"tasks": tasks, "orders": dict(ABOUT), "arms": dict(ARMS)})
        return
    print("Tasks (∞Bench's come from the hub; the others from --data, L-Eval's JSONL files):")
    for task in TASKS.values():
        print(f"  {task.name:18}{task.metric:10}{task.about}")
    print("\nOrders:")
    for order, about in ABOUT.items():
        print(f"  {order:18}{about}")
    print("\nReasoning tasks (from the hub, or --data), which have arms and no documents:")
    for each in REASONING.values():
        print(f"  {each.name:18}{'accuracy':10}{each.about}")
    print("\nArms:")
    for arm, about in ARMS.items():
        print(f"  {arm:18}{about}")


@app.command()
def run(
    context: typer.Context,
    task: TaskOption,
    reader: Annotated[
        str,
        typer.Option("--reader", metavar="MODEL", help="As --model of ask; none: judge the passages alone."),
    ] = "none",
    order: Annotated[
        Order | None,
        typer.Option("--order", help="What the reader sees [document]; see: seriatim eval list.", show_default=False),
    ] = None,
    arm: Annotated[
        ArmName | None,
        typer.Option("--arm", help="Of a reasoning task: how it is asked [cot].", show_default=False),
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(
            "--tokens",
            metavar="N,N,…",
            callback=_budgets,
            help="Budgets of passages [1024; the full document: what the reader holds], or of generated tokens.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="L", min=1, help="So many questions.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Draws the questions, and shuffles.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help="The task's JSONL file, or its folder.", show_default=False),
    ] = None,
    effort: EffortOption = "balanced",
    embedder: EmbedderOption = None,
    passages: Annotated[
        Literal["sentences", "tokens"],
        typer.Option("--passages", help="Whole sentences, or exactly 128 tokens as in the paper."),
    ] = "sentences",
    stitch: Annotated[
        int | None,
        typer.Option("--stitch", metavar="WORDS", min=1, help="Join documents to so many words.", show_default=False),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=1, help="Tries of each reasoning problem, for pass@k.")
    ] = 1,
    match: Annotated[
        Path | None,
        typer.Option(
            "--match", metavar="RUN", help="Self-consistency spends the tokens of that run.", show_default=False
        ),
    ] = None,
    at_once: Annotated[
        int,
        typer.Option("--at-once", metavar="N", min=1, max=100, help="So many problems are put to an address together."),
    ] = 1,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="DIR", help="Where the run is kept [runs/TASK-READER-ORDER or -ARM].", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Ask a task's questions; the same command goes on with a run that was stopped."""
    from seriatim.cli.printing import print_json
    from seriatim.errors import Interrupted
    from seriatim.evaluation import records, runs
    from seriatim.evaluation.reasoning import runs as reasoning
    from seriatim.evaluation.reasoning.tasks import TASKS as REASONING
    from seriatim.evaluation.summary import summary
    from seriatim.evaluation.tasks import find_task

    budgets = tuple(int(each) for each in tokens.split(",")) if tokens else ()
    path = folder or _run_folder(task, reader, (arm or "cot") if task in REASONING else (order or "document"))
    try:
        if task in REASONING:
            _refuse(context, task, "documents", _OF_DOCUMENTS)
            asked = reasoning.Plan(REASONING[task], arm or "cot", budgets, limit, seed, match, samples)
            made = _ask_problems(asked, reader, data, path, at_once)
        else:
            found = find_task(task)
            _refuse(context, task, "arms", _OF_PROBLEMS)
            plan = runs.Plan(found, order or "document", budgets, effort, passages, embedder, limit, seed, stitch)
            made = _ask_documents(plan, reader, data, path)
    except KeyboardInterrupt:
        kept = (path / records.ROWS).exists()
        told = (
            f"what was answered until now is kept in {path}; the same command goes on"
            if kept
            else "no answer is kept yet"
        )
        raise Interrupted(told) from None
    if json:
        print_json(summary(made))
    else:
        _show_summary(made)


def _refuse(context: typer.Context, task: str, lacking: str, options: tuple[str, ...]) -> None:
    """Raise `UsageError` where one of `options` was given, which mean nothing for the task."""
    from seriatim.errors import UsageError

    given = [f"--{name.replace('_', '-')}" for name in options if _given(context, name)]
    if given:
        raise UsageError(f"{task} has no {lacking}: leave out {' and '.join(given)}")


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _run_folder(task: str, reader: str, how: str) -> Path:
    return Path("runs") / f"{task}-{reader.rpartition('/')[2].removesuffix('.gguf')}-{how}"


def _ask_documents(plan: "runs.Plan", reader: str, data: Path | None, path: Path) -> "Run":
    """Without budgets in the plan: 1024 tokens, or as many as the reader holds where it sees the full document."""
    from seriatim.cli.progress import progress_bar
    from seriatim.evaluation import runs
    from seriatim.models.opening import open_generator

    tokens = plan.tokens or (1024,)
    with progress_bar("Asking") as update:
        dataset = _dataset(plan.task, data, update)
        identity = "none" if reader == "none" else runs.reader_identity(reader)
        model = None if reader == "none" else open_generator(reader, passage_tokens=max(tokens), progress=update)
        if model and plan.arm == "full" and not plan.tokens:
            tokens = (model.context_tokens,)
        try:
            return runs.run(replace(plan, tokens=tokens), dataset, model, identity, path, update)
        finally:
            if model:
                model.close()


def _ask_problems(plan: "reasoning.Plan", reader: str, data: Path | None, path: Path, at_once: int) -> "Run":
    from seriatim.cli.progress import progress_bar
    from seriatim.errors import UsageError
    from seriatim.evaluation.generation import Reader
    from seriatim.evaluation.reasoning import runs
    from seriatim.evaluation.reasoning.problems import fetched_problems, read_problems
    from seriatim.evaluation.runs import reader_identity
    from seriatim.models.opening import open_generator

    if reader == "none":
        raise UsageError(f"without a reader nobody answers {plan.task.name}; name one with --reader")
    if at_once > 1 and "://" not in reader:
        raise UsageError("a model in this process answers one problem after the other; --at-once is for an address")
    runs.check(plan)
    with progress_bar("Asking") as update:
        problems = fetched_problems(plan.task, update) if data is None else read_problems(plan.task, data)
        identity = reader_identity(reader)
        model = open_generator(reader, progress=update)
        try:
            return runs.run(plan, problems, Reader(model, identity), path, update, at_once=at_once)
        finally:
            model.close()


def _dataset(task: "Task", data: Path | None, update: "Update") -> "Dataset":
    from seriatim.errors import UsageError
    from seriatim.evaluation.datasets import read_dataset
    from seriatim.evaluation.hub import fetched

    if data is not None:
        return read_dataset(task, data)
    if task.form != "infinitebench":
        raise UsageError(f"{task.name} needs --data: a folder with L-Eval's {task.file}, or a JSONL file of its form")
    return read_dataset(task, fetched(task, update))


def _show_summary(run: "Run") -> None:
    from seriatim.evaluation.summary import summary

    if any("format_failure" in row for row in run.rows):
        _show_problems(run)
        return
    print(
        f"{'tokens':>8} {'n':>5} {'score':>7} {'95%':>13} {'strict':>7} {'coverage':>11} {'prompt':>7} {'seconds':>8}"
    )
    for line in summary(run)["budgets"]:
        score, strict, coverage = (_figure(line[name]) for name in ("score", "strict_score", "coverage"))
        if line["coverage"] is not None:  # of the questions whose answer stands in the document
            coverage += f" ({line['coverage_n']})"
        low, high = (_figure(each) for each in line["interval_95"] or (None, None))
        print(
            f"{line['tokens']:>8,} {line['n']:>5} {score:>7} {low + '–' + high:>13} {strict:>7} {coverage:>11} "
            f"{_figure(line['prompt_tokens'], 0):>7} {_figure(line['seconds'], 2):>8}"
        )
    print(f"\n{run.path}")


def _show_problems(run: "Run") -> None:
    from seriatim.evaluation.summary import summary

    print(
        f"{'tokens':>8} {'n':>5} {'score':>7} {'95%':>13} {'strict':>7} {'failed':>7} {'cut':>7} {'written':>8} "
        f"{'seconds':>8}"
    )
    for line in summary(run)["budgets"]:
        low, high = (_figure(each) for each in line.get("wilson_95") or line["interval_95"])
        score, strict, failed, cut = (
            _figure(line[name]) for name in ("score", "strict_score", "format_failures", "truncated")
        )
        print(
            f"{line['tokens']:>8,} {line['n']:>5} {score:>7} {low + '–' + high:>13} {strict:>7} {failed:>7} {cut:>7} "
            f"{_figure(line['completion_tokens'], 0):>8} {_figure(line['seconds'], 2):>8}"
        )
        if "first_score" in line:
            first = _figure(line["first_score"])
            print(f"{'':>8} first try {first}; put right {line['corrected']}, put wrong {line['harmed']}")
        if "pass_at" in line:
            print(f"{'':>8} " + ", ".join(f"pass@{k} {_figure(value)}" for k, value in line["pass_at"].items()))
    print(f"\n{run.path}")


def _figure(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


@app.command()
def score(
    task: TaskOption,
    predictions: Annotated[
        Path,
        typer.Option(
            "--predictions", metavar="FILE", help="JSONL with prediction and ground_truth.", show_default=False
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Score a file of predictions as the benchmark does."""
    from seriatim.cli.printing import print_json
    from seriatim.errors import UsageError
    from seriatim.evaluation.predictions import score_predictions
    from seriatim.evaluation.reasoning.tasks import TASKS as REASONING
    from seriatim.evaluation.tasks import find_task

    if task in REASONING:
        raise UsageError(f"{task} is scored as it is asked: seriatim eval run --task {task}")
    scored = score_predictions(find_task(task), predictions)
    if json:
        print_json(scored.to_dict())
    else:
        print(
            f"{scored.task}: {scored.metric} {scored.score:.4f}, strictly read {scored.strict_score:.4f}, n {scored.n}"
        )


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run's folder.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another's.", show_default=False)],
    by: Annotated[
        Literal["score", "strict_score", "coverage"], typer.Option("--by", help="What of each question counts.")
    ] = "score",
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of the bootstrap.")] = 0,
    json: JsonOption = False,
) -> None:
    """Compare two runs question by question: A less B, with paired statistics."""
    from seriatim.cli.printing import print_json
    from seriatim.evaluation import comparison
    from seriatim.evaluation.records import read_run

    first, second = read_run(a), read_run(b)
    compared = comparison.compare(first, second, by, seed)
    if json:
        print_json(comparison.to_dict(first, second, by, compared))
        return
    print(f"{by} of {first.settings['task']}, in percent: A is {first.name}, B is {second.name}")
    print(f"{'tokens':>8} {'n':>5} {'docs':>5} {'A':>7} {'B':>7} {'A - B':>7} {'95%':>15} {'p':>7} {'Holm':>7}")
    for each in compared:
        _show_compared(each)


def _show_compared(each: "Compared") -> None:
    low, high = each.interval_95
    tokens = f"{each.tokens_a:,}" if each.tokens_a == each.tokens_b else f"{each.tokens_a:,}/{each.tokens_b:,}"
    print(
        f"{tokens:>8} {each.n:>5} {each.documents:>5} {each.a:>7.2f} {each.b:>7.2f} {each.difference:>+7.2f} "
        f"{f'{low:+.2f} to {high:+.2f}':>15} {each.p:>7.4f} {each.p_holm:>7.4f}"
    )


@app.command()
def plot(
    runs: RunsArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the plots go.")] = Path("."),
) -> None:
    """Draw score, coverage and cost of runs against tokens, as SVG and PNG."""
    from seriatim.evaluation.plots import draw
    from seriatim.evaluation.records import read_run

    for file in draw([read_run(path) for path in runs], out):
        print(file)
