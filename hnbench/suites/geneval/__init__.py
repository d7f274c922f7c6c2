"""GenEval: one implementation of its rules, which works with any detector."""
