"""Write `docs/faults.md` from the cases of the fault matrix: `python tests/faults_table.py`."""

import re
import sys
from collections import defaultdict
from pathlib import Path

import test_faults_matrix_body as body
import test_faults_matrix_endpoints as endpoints
import test_faults_matrix_model as model
import test_faults_matrix_status as status
import test_faults_matrix_transport as transport
import test_faults_matrix_width as width
import test_recorded_errors as bodies
from faults import Case, cases_in

DOCUMENT = Path(__file__).parent.parent / "docs" / "faults.md"
MODULES = (status, transport, body, model, endpoints, bodies, width)

HEAD = """\
# Faults

After this page you know what swarm does when an endpoint or a model fails in a given way.

Each row is a test with that number (`pytest -k fault-52`), against a server of raw sockets, or in virtual time if it is
about waiting. The tests assert the last column, and a test compares it with this page.

| word | means |
| --- | --- |
| retried | called again, with exponential backoff and full jitter, up to the number of calls given |
| once | the fault occurred once, and the retry was answered |
| refused | the step fails; there is no retry |
| endpoint stopped | no other call goes to that model; if its pool has no other, the run stops with exit code 1 |
| checked | called before the first paid call of a run; a model that fails stops the run |

| # | Fault | What must happen | What the tests see |
| --: | --- | --- | --- |
"""

ROWS: dict[int, tuple[str, str]] = {
    1: ("429 without `Retry-After`", "retried; the limit of parallel calls is lowered once per episode"),
    2: ("429, `Retry-After: 1`", "every caller of that endpoint waits"),
    3: ("429, `retry-after-ms`", "used before `Retry-After`"),
    4: ("429, `Retry-After` as a date, in the past, or invalid", "used if it is valid, otherwise backoff"),
    5: ("429, `Retry-After: 86400`", "no wait beyond the deadline; the requested wait is reported"),
    6: ("429 for an exhausted quota", "no retry; the endpoint is stopped"),
    7: ("429, tokens per minute", "if the request exceeds the limit of any minute, the step fails; otherwise retried"),
    8: ("429 for ten minutes", "no storm of calls; progress all the time"),
    9: ("500, 502, 503, 504", "retried"),
    10: ("529, or 503 `overloaded_error`", "retried, with longer waits"),
    11: ("408, 409", "retried"),
    12: ("400, 418, 422", "the step fails; the message is stored, truncated to 2 kB"),
    13: ("400, context too long, in any provider's words", "a larger model if there is one, otherwise the step fails"),
    14: ("401, 403", "stopped after the first; the key is never printed"),
    15: ("404, no such model", "checked before the plan is paid for; stopped at the first call"),
    16: ("404, wrong path", "stopped; the URL is shown"),
    17: ("413", "the step fails"),
    18: ("500, `x-should-retry: false`", "obeyed"),
    19: ("400, `x-should-retry: true`", "obeyed, within bounds"),
    20: ("502 with a web page", "retried; messages contain no tags and no control characters"),
    21: ("307 to another path or host", "not followed; prompt and key are not sent on"),
    22: ("redirects in a circle", "one request"),
    23: ("500 for every other of 1,000 calls", "all end, with at most 3 tries per call"),
    24: ("connection refused", "retried; stopped if no call ever succeeded"),
    25: ("no such host", "as 24"),
    26: ("reset before the answer", "retried"),
    27: ("closed before the answer; not HTTP", "retried"),
    28: ("accepted, never answered", "ends at the deadline of the call; the step may be retried"),
    29: ("headers, then nothing", "as 28"),
    30: ("a body that trickles", "the deadline is total"),
    31: ("shorter than its `Content-Length`", "retried"),
    32: ("more calls than connections", "cannot occur: calls are limited, connections are not"),
    33: ("connections closed between calls", "no effect"),
    34: ("1,000 calls cancelled in flight", "the next ones are answered; nothing is left over"),
    35: ("TLS fails", "stopped"),
    36: ("proxies in the environment", "used, but never for this machine"),
    37: ("an error object with status 200", "treated like its status"),
    38: ("a web page with status 200", "retried once"),
    39: ("a page as JSON, an empty body, a truncated one", "retried once"),
    40: ("`null`, `[]`", "retried once"),
    41: ("no choices, no message", "retried once"),
    42: ("content of the wrong type", "retried once"),
    43: ("invalid UTF-8", "retried once"),
    44: ("half a surrogate pair", "replaced by U+FFFD"),
    45: (
        "usage missing, negative, NaN, text",
        "estimated, and marked as an estimate; a budget is charged the larger figure",
    ),
    46: (
        "`finish_reason`: an interruption, or an unknown word",
        "an interruption is retried and never accepted; an unknown word is retried once, then accepted with a note",
    ),
    47: ("a body that fills the memory", "maximum 8 MB, also of what a compressed body unpacks to"),
    48: ("corrupt gzip", "retried once"),
    49: ("JSON 100,000 levels deep", "retried once; the process survives"),
    50: ("the answer of another request, again", "accepted, recorded once per attempt"),
    51: ("a stream without `[DONE]`", "`finish_reason` decides"),
    52: ("a stream without `finish_reason`", "whole if it has `[DONE]`; otherwise the call is retried"),
    53: ("a stream that is interrupted", "the whole call is retried; the partial answer is dropped"),
    54: ("invalid JSON in a stream", "retried"),
    55: ("an error in a stream", "treated like its code"),
    56: ("`event: error` in any format", "a fault"),
    57: ("silence after a chunk", "an idle timeout"),
    58: ("keep-alive comments without end", "only content counts as progress"),
    59: ("a complete answer instead of a stream", "accepted if it is valid"),
    60: ("a stream without content", "`empty`"),
    61: ("an endless event, an endless stream", "stopped at a maximum size"),
    62: ("a word now and then, without end", "the deadline is total"),
    63: ("tool calls in pieces", "any split of the bytes gives the same calls"),
    64: ("an empty answer", "requested once more, then the step fails"),
    65: ("an answer that reached its cap", "never used, even if it looks complete; the cap is raised once"),
    66: ("a content filter, a refusal", "the step fails, without a storm of calls"),
    67: ("no JSON", "the error is sent back, twice"),
    68: ("JSON that does not fit", "as 67, with the errors"),
    69: ("JSON in fences, in prose", "accepted"),
    70: ("a tool that does not exist", "the model gets an error; three turns in a row end the attempt"),
    71: ("arguments that are not JSON", "the model gets an error"),
    72: ("arguments as an object", "accepted"),
    73: ("a call without an id", "it gets one"),
    74: ("two calls with one id", "ids are made unique, both run once"),
    75: ("the same id in every turn", "swarm assigns its own ids"),
    76: ("the same call without end", "the model gets a note, then the attempt ends"),
    77: (
        "words without end",
        "a cap is always sent; a text that reaches it is kept with a note; of repeated text, one copy is kept",
    ),
    78: ("500 calls in a turn", "32 run; the model gets a note for the others"),
    79: ("a tool that is not granted", "refused by the registry, not by the prompt"),
    80: ("a plan with a cycle", "returned to the planner once, with the cycle"),
    81: ("unknown needs, duplicate ids, no step, one step", "returned once; a single step runs"),
    82: ("a plan far too large, or too deep", "refused while it is read; with a short message"),
    83: ("a planner that plans without end", "`limits.rounds`, then the report"),
    84: ("more than the reducer reads", "truncated by share; what was omitted is listed"),
    85: ("a worker that does nothing", "`empty`, as 64"),
    109: ("an answer that may be incomplete", "accepted with a note at most, never stored in the cache"),
    110: (
        "a `finish_reason` on every chunk, or on the first",
        "it counts only if no content follows; then `[DONE]`, the end or silence end the answer",
    ),
    111: ("a tool call written as text", "requested once more, then the step fails; never passed on"),
    112: ("thoughts and template tokens in the words of an answer", "removed, unless they are quoted as code"),
    113: ("a prompt that the server truncated silently", "noted with both figures, and read again in parts that fit"),
    114: ("a byte order mark before a body or a stream", "removed"),
    118: ("a stream that was not requested, or with another content type", "the first bytes decide"),
    123: (
        "400 because the model wrote a bad call or bad JSON",
        "a whole value in the error is taken, and noted; else asked again; then the next way to ask for the format",
    ),
    125: ("parallel calls with one index, without ids or with equal ones", "each is a call of its own"),
    126: ("a tool call although no tool was offered", "not sent back; the model is asked for words once"),
    127: ("events of a stream that are no part of an answer", "ignored"),
    129: (
        "`Content-Encoding` that means nothing, or compressed although plain bytes were requested",
        "the bytes decide; errors are unpacked, too",
    ),
    130: ("errors with status 200, in the provider's own shape", "read, and treated like the same words with a status"),
    131: ("a model that is not there, in a provider's words", "`model_not_found`: checked before the first paid call"),
    132: (
        "a limit that is reset in hours, said in words or fields",
        "`quota`, with the time of its reset; a short wait is waited",
    ),
    133: (
        "a prompt that is too long, in a provider's words",
        "`context_length`, or `too_large` for bytes; the stated size is learnt",
    ),
    134: ("a wrong path, in a provider's words", "`wrong_path`, with the right address proposed where it is known"),
    135: ("counts of tokens at another place, under other names, as text", "read"),
    137: ("reasoning without an answer", "requested once more, then the reasoning is accepted with a note"),
    164: ("a server that queues and never refuses", "no more calls in flight than it answers within half a deadline"),
    165: ("a server that restarts after it has answered", "waited for; nothing that waits counts as a failure"),
    166: ("a text that reaches its output cap", "kept with a note; the run is not `done`"),
    167: ("an answer that does not fit", "requested again in other words, also by another attempt"),
    168: ("a call that never had a connection", "costs nothing, whatever ended it"),
    169: ("a bare value where the schema has one field", "taken as that field's value, and noted"),
}
"""Each row: what goes wrong, and what must happen."""


RUN_HEAD = """
## One bad part, and the rest of the run

What one step, one answer, one file or one argument does to the others. Each row is one or more tests with that number
(`pytest -k fault_147`); the first of them is named.

| # | Fault | What must happen | Test |
| --: | --- | --- | --- |
"""

RUN_ROWS: dict[int, tuple[str, str]] = {
    140: ("a call that can never fit a limit", "fails its own step; the others run"),
    141: ("an answer with 60,000 tool calls", "cut when it is read; no other step waits"),
    142: (
        "too few open files; a page that cannot be written",
        "the limit is raised or the width bounded; no step fails",
    ),
    143: ("`--no-cache`, stopped, resumed", "what was said at the start holds"),
    144: ("no locks, a full disk, a failed sync", "the file and the cure are named; exit 1 or 3, never 70"),
    145: ("a step with a name that swarm uses itself", "refused with its place before a call"),
    146: ("a task with thousands of errors", "the first 100, in linear time"),
    147: ("one of the steps that a last reducer needs fails", "the report is made of the others"),
    148: ("`each` over the list of a step", "an instance reads its item only"),
    149: ("five equal failures without a success", "similar steps stop; the reason is said once"),
    150: ("the cached answer of another endpoint", "not taken"),
    151: ("equal steps in flight", "one is paid for"),
    152: ("a model without an endpoint", "an error before a call"),
    153: ("the offline endpoint without inputs", "an error before a call"),
    154: ("a function that is passed but not listed", "granted"),
    155: ("`progress()` of a run that has not started", "an error"),
    156: ("an object that returns no reply", "an error that names what is expected"),
    157: ("a misspelt name of the library", "an error with the nearest name, for the type checker, too"),
    158: ("an unknown `{parameter}` in Python", "the same error as in YAML"),
    159: ("a limit below the first call", "an error before a call, with the limit that would do"),
    160: ("arguments that `check` refuses and `run` takes", "there are none"),
    161: ("an input that cannot be read", "left out, named, exit 3"),
    162: ("an input that is longer than its step reads", "said once, with both sizes"),
    163: ("a failed call that may have been billed", "a figure of its own, not usage"),
}
"""The rows about one bad part of a run. Their tests are functions with the number in their names."""


def run_tests() -> dict[int, list[str]]:
    """Return the tests of each of these rows, as `file.py::name`, in the order of files and lines."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for name, number in re.findall(r"def (test_fault_(\d+)_\w+)", path.read_text(encoding="utf-8")):
            found[int(number)].append(f"{path.name}::{name}")
    return found


def _run_table() -> str:
    tests = run_tests()
    rows = (f"| {row} | {what} | {must} | `{tests[row][0]}` |\n" for row, (what, must) in RUN_ROWS.items())
    return RUN_HEAD + "".join(rows)


def cases() -> list[Case]:
    """Give the cases of all tests, by row."""
    return sorted((case for module in MODULES for case in cases_in(module)), key=lambda case: case.row)


def written() -> str:
    """Write the page."""
    ways: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for case in cases():
        ways[case.row][case.seen].append(case.what)
    lines = [f"| {row} | {fault} | {wanted} | {_seen(ways[row])} |" for row, (fault, wanted) in ROWS.items()]
    return HEAD + "\n".join(lines) + "\n" + _run_table()


def _seen(ways: dict[str, list[str]]) -> str:
    parts = [f"{', '.join(whats)}: {_cell(seen)}" for seen, whats in ways.items()]
    return "<br>".join(_cell(part) if "|" in part else part for part in parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(f"{DOCUMENT.write_text(written(), encoding='utf-8')} characters\n")
