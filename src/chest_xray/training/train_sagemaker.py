"""`python -m chest_xray.training.train_sagemaker --instance-type ml.g4dn.xlarge --use-spot --data SHARDS --output RUN`.

The same as `cxr train --backend sagemaker`.
"""

import sys

if __name__ == "__main__":
    from chest_xray.cli import main

    main(["train", "--backend", "sagemaker", *sys.argv[1:]])
