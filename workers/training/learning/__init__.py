"""The one harness that trains models: transformers' Trainer, with resuming, records and checkpoint rules."""
