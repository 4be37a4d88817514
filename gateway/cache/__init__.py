"""Answers that need not be given twice: :class:`gateway.cache.answers.AnswerCache`."""
