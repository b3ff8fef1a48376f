"""`python -m chest_xray.training.prepare_data --source NIH_FOLDER --output DATASET`: the same as `cxr prepare-data`."""

import sys

if __name__ == "__main__":
    from chest_xray.cli import main

    main(["prepare-data", *sys.argv[1:]])
