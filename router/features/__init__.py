"""From prompts, conversations and probes to numbers."""
