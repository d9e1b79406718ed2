"""The web for agents: pages as clean text, and search. Every address is checked before a connection to it.

addresses   which addresses may be reached
fetch       one GET: addresses, redirects, limits, one request a host at a time, robots
pages       the text of what came
search      search services as data
kit         the tools `web_fetch` and `web_search`
"""
