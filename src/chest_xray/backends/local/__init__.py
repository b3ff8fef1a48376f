"""The steps on this machine, with no account: folders and an MLflow registry under CXR_HOME."""
