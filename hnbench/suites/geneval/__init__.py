"""GenEval: one implementation of its rules, fed by any detector."""
