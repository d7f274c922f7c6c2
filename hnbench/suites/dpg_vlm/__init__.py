"""DPG-Bench's prompts and questions, answered by a vision-language model instead of mPLUG."""
