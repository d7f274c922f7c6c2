"""The command line, with one file for each command. Each translates its options into a call of the
library, and prints the result.
"""
