"""One loop for every model: state, steps, sharding, optimiser, checkpoints, log."""
