"""Training OLMoE: data, the loop, parallelism, recipes."""
