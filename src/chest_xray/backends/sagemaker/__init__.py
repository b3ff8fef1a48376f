"""AWS SageMaker as a backend. boto3 is imported here and in the emulator, nowhere else."""
