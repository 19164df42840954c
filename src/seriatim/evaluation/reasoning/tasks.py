"""The reasoning benchmarks by name; each is a line here and a file of its own."""

from seriatim.evaluation.reasoning import gsm8k, humaneval, mmlu

TASKS = {task.name: task for task in (gsm8k.TASK, mmlu.TASK, humaneval.TASK)}
