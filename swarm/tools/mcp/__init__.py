"""MCP servers as kits of tools: started or reached when a run begins, closed when it ends.

kit         the tools of a server, as the task lists them
owner       the only task that holds the session: callers queue a call and get exactly one answer
pins        what a server was like when the user looked at it
pipes       a server that is a command: messages over its pipes, its process, its log
http        a server with a URL: messages over HTTP
sandbox     the box around a command
answers     a server's answer as the result of a tool
faults      what went wrong, in one sentence
"""
