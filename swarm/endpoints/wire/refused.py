"""Answers that an endpoint refused and quotes in its error: `failed_generation` of Groq and its copies. Pure.

Such an endpoint checks an answer by its own reading of the schema. What it refuses for a fence, a
text next to the value or a number as text is often an answer by ours, and it is paid for. So what
is one whole JSON value is taken as the answer, with a note, and is judged as any other: if it does
not fit, the model is told why. All else is asked again.
"""

import re

from pydantic_core import from_json

from swarm.endpoints.wire.answers import Assembly
from swarm.endpoints.wire.faults import Fault
from swarm.endpoints.wire.thoughts import answer_in
from swarm.spec.chat import Request

_FENCE = re.compile(r"^```[a-z]{0,8}\s*\n(.*)\n```$", re.DOTALL)
MOST_CHARACTERS = 1_000_000
"""Maximum length of a quoted answer: an error is no place for a longer one."""
NOTE = "the endpoint refused this answer, and it was read from the refusal"


def read_refused(fault: Fault, request: Request) -> Assembly | None:
    """Return the answer that a refusal quotes, if a form was asked for and it is one whole JSON value."""
    if request.form is None or not fault.answer or len(fault.answer) > MOST_CHARACTERS:
        return None
    text = answer_in(fault.answer).strip()
    fenced = _FENCE.match(text)
    if fenced is not None:
        text = fenced[1].strip()
    try:
        value = from_json(text)
    except ValueError:
        return None
    if not isinstance(value, dict | list) or not value:
        return None
    return Assembly(words=[text], finish="stop", note=NOTE)
