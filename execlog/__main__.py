"""`python -m execlog` is the command `execlog`."""

from execlog.cli import main

if __name__ == "__main__":
    main()
