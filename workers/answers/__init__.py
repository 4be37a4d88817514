"""How final answers are read out of a turn, and which of them mean the same. Imports nothing heavy."""
