"""Examples with their truth: drawn, built or the user's own, one by one and in batches."""
