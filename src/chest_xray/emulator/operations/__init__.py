"""Operations of SageMaker that moto lacks or answers untruly, assigned to its response classes."""
