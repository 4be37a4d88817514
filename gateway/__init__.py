"""The edge: HTTP in OpenAI's shape, dispatch to workers, calls to large models."""
