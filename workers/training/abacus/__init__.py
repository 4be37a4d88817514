"""Abacus, the embedded models: their tasks, language-model training, and the report on them."""
