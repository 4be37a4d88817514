"""What the gateway adds to an answer, beside other gateways: ``python -m benchmarks.gateway --help``."""
