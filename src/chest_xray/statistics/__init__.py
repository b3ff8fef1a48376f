"""What is counted from scores and labels: ranks, intervals over patients, calibration errors."""
