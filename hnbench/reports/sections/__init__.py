"""The sections of a report's text, one file each. `section` returns its Markdown, or an empty text
if it has nothing to say.
"""
