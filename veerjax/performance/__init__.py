"""What veerjax costs: time, arithmetic and memory, against what the machine could do and what a peer does."""
