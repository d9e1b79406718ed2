"""Where a run is sent as OpenTelemetry spans while it works."""

from pydantic import Field

from swarm.base.values import Frozen


class Otel(Frozen):
    """A collector that gets the spans of a run: names and figures, no prompt and no answer."""

    url: str = Field(min_length=1)
    """Address of a collector with OTLP over HTTP; `/v1/traces` is added if it has no path. Example:
    `http://127.0.0.1:4318`."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of each request, such as a key. Example: `{Authorization: "Basic ${TRACES_KEY}"}`."""
