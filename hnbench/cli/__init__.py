"""The command line: one file a command. Each translates options into a call of the library and
prints what comes back.
"""
