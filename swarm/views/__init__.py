"""What people see of a run: views read a `State` or events, and change nothing.

    progress   lines while it runs
    tables     runs, one run, a plan; the few lines at the end of a run
    pages      one step with its turns
    log        events as structured lines
    simulation what was simulated, advised and compared
    words      how all of them write a duration, a count, somebody's text

Whatever text reaches a view may have been written by a model, a tool or a file. It is shown, never obeyed: everything
goes through `swarm.safe.safe_text`, so no byte of it steers a terminal.
"""
