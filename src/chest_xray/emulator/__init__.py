"""SageMaker on one machine: moto's server as control plane, and the containers' own commands run as processes.

It speaks AWS's protocol and knows nothing of this project's backends: any AWS client works against it.
"""
