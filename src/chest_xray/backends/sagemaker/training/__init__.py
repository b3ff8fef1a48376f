"""Training jobs: requests, uploads, results, and the ledger of what this machine started."""
