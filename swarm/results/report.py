"""The report of a run and its provenance: which claim names which step, what nobody could say, what was left out."""

from collections.abc import Callable

from pydantic import Field
from pydantic_core import to_json

from swarm.attempt.citations import claims
from swarm.base.text import listing
from swarm.base.values import Frozen, Json
from swarm.record.state import State, Status, StepState
from swarm.spec.plan import Step


class Report(Frozen):
    """What a run has to say."""

    text: str
    """Markdown (or JSON, where the last step gives a value), sources and gaps listed at its end."""
    sources: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """For each claim, in the order of the text, the steps it cites."""
    value: Json = None
    """The last step's output as it came: a text, or a JSON value."""

    def _repr_html_(self) -> str:
        """Show it in a notebook: as text, every character escaped."""
        text = self.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f'<pre style="white-space: pre-wrap">{text}</pre>'


def make_report(state: State, output_of: Callable[[StepState], Json], about: Callable[[Step], str]) -> Report | None:
    """Make the report of a run that has one; `about` says in one line what a step was asked."""
    last = state.steps.get(state.report_step or "")
    if last is None or last.status is not Status.DONE:
        return None
    value = output_of(last)
    if not isinstance(value, str):
        return Report(text=to_json(value, indent=2).decode(), value=value)
    known = {s.id for s in state.real_steps()}
    sources = {name: cited for name, cited in claims(value, known).items() if cited}
    cited = [s for s in state.real_steps() if any(s.id in steps for steps in sources.values())]
    blocks = [value.strip(), _listed("Sources", [_source(s, about(s.step)) for s in cited])]
    blocks.append(_listed("Missing", [_gap(s) for s in state.real_steps() if s.over and s.status is not Status.DONE]))
    blocks.append(_listed("Left out", [f"[{s.id}] {what}" for s in state.real_steps() for what in s.outcome.left_out]))
    return Report(text="\n\n".join(block for block in blocks if block) + "\n", sources=sources, value=value)


def _listed(title: str, lines: list[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _source(s: StepState, asked: str) -> str:
    read = s.step.inputs or ()
    files = listing(read, 3) if read else ""
    if files and s.step.instance_of is not None:  # the instances were all asked the same
        return f"[{s.id}] {files}"
    return f"[{s.id}] {': '.join(part for part in (files, asked) if part) or s.step.agent}"


def _gap(s: StepState) -> str:
    why = s.because if s.status is Status.SKIPPED else s.error.message if s.error is not None else ""
    return f"[{s.id}] {s.status}: {' '.join(why.split())[:300]}".rstrip(": ")
