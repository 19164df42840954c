"""What the server counts, in Prometheus' form."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from seriatim.models.generator import Usage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Metrics:
    """The figures of one server. No label holds anything that a client or a document wrote."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "seriatim_requests", "Requests answered, by status.", ["status"], registry=self._registry
        )
        self.refusals = Counter(
            "seriatim_refusals", "Requests refused, by reason.", ["reason"], registry=self._registry
        )
        self.searches = Histogram(
            "seriatim_search_seconds", "How long searches took.", buckets=_SECONDS, registry=self._registry
        )
        self.answers = Counter("seriatim_answers", "Questions answered.", registry=self._registry)
        self._tokens = Counter("seriatim_tokens", "Tokens read and written.", ["kind"], registry=self._registry)
        self._running = Gauge("seriatim_model_running", "Whether the model is at work.", registry=self._registry)
        self._waiting = Gauge("seriatim_model_waiting", "Questions that wait for it.", registry=self._registry)

    def count_tokens(self, usage: Usage) -> None:
        """Add what a generation read and wrote."""
        self._tokens.labels("read").inc(usage.prompt_tokens)
        self._tokens.labels("written").inc(usage.completion_tokens)

    def text(self, *, running: int, waiting: int) -> bytes:
        """All figures."""
        self._running.set(running)
        self._waiting.set(waiting)
        return generate_latest(self._registry)
