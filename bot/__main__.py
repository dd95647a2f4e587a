"""`python -m bot` does what `turso-rotate` does."""

from bot.cli import main

if __name__ == "__main__":
    main()
