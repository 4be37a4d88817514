"""Runs a model behind any server that speaks OpenAI's API."""
