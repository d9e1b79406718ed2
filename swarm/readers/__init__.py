"""Readers of documents: bytes become text with marks for pages, slides, sheets and chapters.

`kinds` says what a file is, `encodings` what a text is written in, `extract` reads documents in a
process of its own. Nothing here knows a task. Packages of the extra `files` are imported in the
functions that need them.
"""
