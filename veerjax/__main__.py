"""`python -m veerjax` is the command `veerjax`."""

from veerjax.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
