"""Run the command line: ``python -m loganalyze``."""

from loganalyze.cli import main

if __name__ == "__main__":
    main()
