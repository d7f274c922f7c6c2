"""GenEval 2: prompts of three to ten atoms, and a vision-language model that is asked for each."""
