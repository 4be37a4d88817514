"""Budgets and limits: reserved in Redis before anything is spent, settled after, kept in the journal."""
