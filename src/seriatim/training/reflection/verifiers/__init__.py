"""Who decides whether a step or an answer is right: exact checks, none of them a model."""
