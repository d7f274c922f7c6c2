"""GenAI-Bench: prompts of professional designers, and VQAScore of their images."""
