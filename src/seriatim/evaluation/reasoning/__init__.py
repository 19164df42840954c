"""GSM8K, MMLU and HumanEval, asked with and without reflection."""
