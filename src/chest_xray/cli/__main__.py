"""`python -m chest_xray.cli`: the same as `cxr`."""

from chest_xray.cli.app import main

if __name__ == "__main__":
    main()
