"""`python -m chest_xray.inference.deploy --model-name chest-xray`: the same as `cxr deploy`."""

import sys

if __name__ == "__main__":
    from chest_xray.cli import main

    main(["deploy", *sys.argv[1:]])
