"""How good routing is, on outcomes that are known: metrics, frontiers, cross-validation, intervals."""
