"""MiniDAG: an experiment small enough for two cores, which measures what learning to correct oneself is worth."""
