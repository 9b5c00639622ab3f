"""`python -m pipeline.commands`: the program `orbweaver` where its script is not on the PATH."""

from pipeline.commands import main

if __name__ == "__main__":
    main()
