"""A run as one page of HTML: self-contained, complete without scripts, and without any request.

    page       the parts in order, and the head with its policy
    html       the only place that makes markup: every text goes through `esc`
    style      the style sheet and the script
    summary    what the run was, what it cost, what stands out
    report     the report with its citations, and its claims
    boxes      the graph of steps, with alike steps in one box
    layout     places for boxes and edges
    drawing    the graph as SVG
    moments    what waited and what was called, over time
    gantt      slots, waiting and endpoints on one axis as SVG
    steps      the table of steps
    details    one panel per step: its prompt, turns, tool calls, output and sources

Texts come from models, tools and files. They are escaped, cut and shown; nothing in them is a
tag, a link or a style. Links of the page lead to places in it (`#s12`, by ordinal) and to files
of the run.
"""
