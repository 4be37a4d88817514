"""`gradus bench`: what each strategy is worth on a model, a verifier and questions of one's own."""
