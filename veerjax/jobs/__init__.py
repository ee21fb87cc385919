"""What the commands do: thin compositions of the rooms below."""
