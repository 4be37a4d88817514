"""`gradus train`: data and models for search, from any Hugging Face model; and the making of Abacus."""
