"""A panel per step: what it was asked, its turns and tool calls, its output and its sources.

A panel is shown when its link is followed (`:target`), so it needs no script. Long texts are cut,
with a link to the file of the run that has all of it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from swarm.base.values import Json
from swarm.record import events as e
from swarm.record.steps import Status, StepState
from swarm.spec.chat import MediaFile, Message, Usage
from swarm.spec.plan import role_of
from swarm.views.page.drawing import status_class
from swarm.views.page.html import EMPTY, Html, html, join, joined
from swarm.views.page.scene import PageScene
from swarm.views.words import counted, dollars, seconds

MOST_LINKS = 12
"""Maximum steps that a list of links names."""
MOST_MEMBERS = 1000
"""Maximum steps that the panel of a group lists."""
MOST_TURNS = 60
"""Maximum turns of a step that are shown."""
CLOSE = html('<a class="close" href="#-" aria-label="Close">×</a>')


def panels(scene: PageScene) -> Iterator[Html]:
    """Yield a panel for each group of alike steps, and one for each step."""
    for n, group in enumerate(scene.groups):
        yield _group(scene, n, group)
    cited = _claims_by_step(scene)
    for s in scene.state.steps.values():
        yield _panel(scene, s, cited.get(s.id, ()))


def _claims_by_step(scene: PageScene) -> dict[str, list[int]]:
    report = scene.result.report
    found: dict[str, list[int]] = {}
    for n, claim in enumerate(() if report is None else report.claims):
        for step in claim.steps:
            found.setdefault(step, []).append(n)
    return found


def _group(scene: PageScene, n: int, group: Sequence[StepState]) -> Html:
    first = group[0]
    rows = [html("<li>{} {}</li>", scene.link(s.id), seconds(scene.took(s))) for s in group[:MOST_MEMBERS]]
    more = len(group) - len(rows)
    rest = html('<p>and {} more in <a href="#steps">the table</a></p>', f"{more:,}") if more else EMPTY
    return html(
        '<section class="panel" id="g{}">{}<h2>{} alike steps</h2><p>agent {}, {}, model {}; they wait for the same '
        'steps, or for alike ones.</p><ul class="members">{}</ul>{}</section>',
        n,
        CLOSE,
        f"{len(group):,}",
        role_of(first.step),
        first.status.value,
        first.model or "–",
        join(rows),
        rest,
    )


def _panel(scene: PageScene, s: StepState, claims: Sequence[int]) -> Html:
    return html(
        '<section class="panel" id="s{}">{}<h2>{} <span class="badge {}">{}</span></h2><dl>{}</dl>{}{}{}{}{}</section>',
        s.order,
        CLOSE,
        s.id,
        status_class(s),
        status_class(s),
        join(_facts(scene, s, claims)),
        html('<p class="note bad">{}</p>', _why(s)) if s.over and s.status is not Status.DONE and _why(s) else EMPTY,
        _text("Prompt", scene, s, s.step.prompt),
        _output(scene, s),
        _turns(scene, s),
        _notes(s),
    )


def _why(s: StepState) -> str:
    return s.because or ("" if s.error is None else f"{s.error.kind}: {s.error.message}")


def _facts(scene: PageScene, s: StepState, claims: Sequence[int]) -> Iterator[Html]:
    yield from _done_by(scene, s)
    yield from _asked(scene, s)
    yield from _linked(scene, "Added by", [s.by] if s.by in scene.state.steps else [])
    yield from _linked(scene, "Became" if s.kind == "stand_in" else "Added", s.children)
    yield from _linked(scene, "Read by", s.waiters)
    if claims:
        report = scene.result.report
        assert report is not None
        links = [html('<a href="#k{}">{}</a>', n, report.claims[n].id) for n in claims[:MOST_LINKS]]
        yield _fact("Cited in claims", joined(", ", links))
    for made in s.outcome.media:
        yield _fact("Media", scene.file(f"artifacts/{made.sha256}", f"{_named(made)}{made.mime}, {made.size:,} bytes"))


def _named(made: MediaFile) -> str:
    return f"{made.name}: " if made.name else ""


def _done_by(scene: PageScene, s: StepState) -> Iterator[Html]:
    """Yield who did a step, and what it took and used."""
    model = f", model {s.model}" if s.model else ""
    where = f" at {s.endpoint}" if s.endpoint else ""
    yield _fact("Agent", f"{role_of(s.step)}{model}{where}")
    if s.spans:
        attempts = f"{counted(s.attempt, 'attempt')}, {counted(s.turns, 'turn')}"
        yield _fact("Took", f"{seconds(scene.took(s))}, from {seconds(s.spans[0].start)}; {attempts}")
    if s.waited:
        yield _fact("Waited", ", ".join(f"{seconds(spent)} {cause}" for cause, spent in s.waited.items()))
    if s.usage.calls:
        yield _fact("Used", _used(s.usage))


def _asked(scene: PageScene, s: StepState) -> Iterator[Html]:
    """Yield what a step was to read."""
    step = s.step
    yield from _linked(scene, "Needs", step.needs)
    yield from _linked(scene, "After", step.after)
    if step.inputs:
        yield _fact("Inputs", ", ".join(step.inputs[:MOST_LINKS]))
    if step.instance_of is not None and step.item is not None:
        yield _fact("Item", _written(step.item)[:500])
    if step.part is not None:
        yield _fact("Part", f"{step.part.name}, lines {step.part.lines[0]} to {step.part.lines[1]}")
    if step.tools:
        yield _fact("Tools", ", ".join(step.tools))


def _fact(name: str, value: object) -> Html:
    return html("<dt>{}</dt><dd>{}</dd>", name, value)


def _linked(scene: PageScene, name: str, steps: Sequence[str]) -> Iterator[Html]:
    if steps:
        more = len(steps) - MOST_LINKS
        links = joined(", ", map(scene.link, steps[:MOST_LINKS]))
        yield _fact(name, html("{} and {} more", links, f"{more:,}") if more > 0 else links)


def _used(used: Usage) -> str:
    cached = f" ({used.cached_tokens:,} cached)" if used.cached_tokens else ""
    paid = f", {dollars(used.cost)}" if used.cost else ""
    guess = ", estimated" if used.estimated else ""
    return f"{used.input_tokens:,} tokens in{cached}, {used.output_tokens:,} out{guess}{paid}"


def _written(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _text(title: str, scene: PageScene, s: StepState, text: str) -> Html:
    return html("<h3>{}</h3>{}", title, _block(scene, s, text)) if text.strip() else EMPTY


def _block(scene: PageScene, s: StepState, text: str) -> Html:
    """Return a text, cut if it is long, with a link to the page of the step that has all of it."""
    if len(text) <= scene.most:
        return html("<pre>{}</pre>", text)
    more = len(text) - scene.most
    page = scene.file(f"steps/{s.order:03}-{s.id}.md", "the page of this step")
    return html('<pre>{}…</pre><p class="cut">{} more characters in {}</p>', text[: scene.most], f"{more:,}", page)


def _output(scene: PageScene, s: StepState) -> Html:
    """Return the output of a step that has one of its own."""
    if s.outcome.artifact is not None:
        link = scene.file(f"artifacts/{s.outcome.artifact}", "a file of the run")
        return html("<h3>Output</h3><p>It is large: see {}.</p>", link)
    if s.status is not Status.DONE or s.outcome.output is None:
        return EMPTY
    return _text("Output", scene, s, _written(s.outcome.output))


def _turns(scene: PageScene, s: StepState) -> Html:
    told: list[Html] = []
    number = 0
    for event in scene.events_of.get(s.id, ()):
        match event:
            case e.StepStarted() if event.attempt > 1:
                told.append(html("<p>Attempt {} started at {}</p>", event.attempt, seconds(event.t)))
            case e.TurnTaken():
                number += 1
                if number <= MOST_TURNS:
                    told.append(_turn(scene, s, event, number))
            case e.StepFailed():
                again = "" if event.retry_in is None else f"; retried after {seconds(event.retry_in)}"
                words = f"Attempt {event.attempt} failed: {event.error.kind}: {event.error.message}{again}"
                told.append(html('<p class="bad">{}</p>', words))
            case _:
                pass
    if number > MOST_TURNS:
        told.append(html("<p>and {} more turns: swarm show {} {}</p>", number - MOST_TURNS, scene.state.run, s.id))
    return html("<h3>Turns</h3>{}", join(told)) if told else EMPTY


def _turn(scene: PageScene, s: StepState, event: e.TurnTaken, number: int) -> Html:
    is_tool = bool(event.messages) and not event.is_answer
    what = "tool result" if is_tool else f"finish reason {event.finish}"
    head = [f"Turn {number}", event.endpoint, seconds(event.seconds), what]
    if event.usage.tokens:
        head.append(_used(event.usage))
    inside = join(chain.from_iterable(_message(scene, s, message) for message in event.messages))
    return html("<details><summary>{}</summary>{}</details>", " · ".join(filter(None, head)), inside)


def _message(scene: PageScene, s: StepState, message: Message) -> Iterator[Html]:
    same = message.role == "assistant" and isinstance(s.outcome.output, str) and message.text == s.outcome.output
    if same:
        yield html("<p>assistant: the output above</p>")
    elif message.text:
        yield html('<p class="who">{}</p>{}', message.role, _block(scene, s, message.text))
    for call in message.tool_calls:
        yield html('<p class="who">calls {}</p>{}', call.name, _block(scene, s, call.arguments))


def _notes(s: StepState) -> Html:
    seen = (each.words for each in s.outcome.opened)
    gaps = (f"omitted: {what}" for what in s.outcome.gaps)
    notes: Iterable[str] = (*s.outcome.notes, *s.outcome.doubts, *seen, *gaps)
    lines = [html("<li>{}</li>", note) for note in notes]
    return html("<h3>Notes</h3><ul>{}</ul>", join(lines)) if lines else EMPTY
