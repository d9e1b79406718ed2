"""What the advisor says of published graphs, whose names say which kind they are: a table of confusion.

    python bench/advice.py [FILE]

The file is a list of graphs, or an object with `graphs`; by default those of the tests. `seq` graphs are chains, `para`
ones have all steps in parallel, `async` ones are in between. Aimed at is "one agent" for all chains, and "swarm" for
all parallel ones with an ideal speed-up above 1.5; the graph where that is not so is named, and the exit code is 1.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from swarm.forecast.advice import advise
from swarm.spec.plan import Step

GRAPHS = Path(__file__).parent.parent / "tests" / "data" / "graphs.json"
ENOUGH = 1.5


def main() -> None:
    """Print the table."""
    read = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else GRAPHS).read_text(encoding="utf-8"))
    counts: Counter[tuple[str, str, str]] = Counter()
    wrong = 0
    for graph in read["graphs"] if isinstance(read, dict) else read:
        steps = [Step.model_validate({key: s[key] for key in ("id", "needs", "seconds")}) for s in graph["steps"]]
        found = advise(steps)
        above = "above" if found.ideal_speedup > ENOUGH else "at most"
        counts[graph["kind"], above, found.verdict] += 1
        due = {("seq", "at most"): "one agent", ("para", "above"): "swarm"}.get((graph["kind"], above))
        if due is not None and found.verdict != due:
            wrong += 1
            print(f"{graph['name']}: {found.verdict}, not {due}: {found.reason}")
    print(f"{'kind':8} {'ideal speed-up':16} {'one agent':>10} {'swarm':>6}")
    for kind, above in sorted({key[:2] for key in counts}):
        one, many = counts[kind, above, "one agent"], counts[kind, above, "swarm"]
        print(f"{kind:8} {f'{above} {ENOUGH}':16} {one:>10} {many:>6}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
