"""The commands of `gradus` that read files, decide and measure: one module each."""
