"""Texts about runs for people: views read a `State` or events, and change nothing.

    progress    lines while a run works, and the summary at its end
    tables      a list of runs, one run, one step with its turns, a plan
    parallel    the parallelism of a run
    why         what most of its time and cost was spent on
    page        a run as one page of HTML
    log         events as structured log lines
    simulation  simulations, estimates, and the comparison of two runs
    words       durations, counts, tables, and texts of others

Any text may come from a model, a tool or a file. It is shown, never obeyed: everything
goes through `swarm.base.redaction.safe_text`, so no byte of it steers a terminal.
"""
