"""A local agent-swarm orchestrator: plan a task as a graph of steps, run them side by side, merge the results.

A map of the package, from the ground up:

    errors, safe, frozen   the tree of errors; what may reach a terminal; what values are made of
    chat, agent, plan      what is said to a model; a role; the steps of a plan
    task                   what the user wants
    strict, taskfile       files read strictly: YAML with places, tasks, agents, inputs
    graph, lint            questions about the graph; what is wrong with a plan
    events, state, journal the facts of a run, their fold, their file
    endpoints, tools       who completes a request; what a model may use
    executor, prompt, loop what an attempt is; its words; its turns
    assign, scheduler      a ready step made an attempt; who runs next
    executors              where attempts run
    run                    the composition root
    views, cli             what people see
    testing                doubles for all of it, public
"""

__version__ = "0.1.0"
