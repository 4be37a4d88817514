"""Abacus, the embedded models: tasks, language-model training, rollouts, the process reward model and the
report.
"""
