"""`cxr doctor --backend sagemaker`: what a training job needs, looked at before one is asked for; nothing changes."""
