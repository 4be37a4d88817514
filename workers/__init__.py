"""Everything that touches a model: engines, verifiers, search, and the Celery tasks that run them."""
