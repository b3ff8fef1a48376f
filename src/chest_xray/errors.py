"""The errors that a user can cause and mend. Each message says what was found, what was expected, what to do.

ChestXrayError                 ends `cxr` with one line and exit code 2
├── SettingsError              an option or a CXR_* variable that cannot be used
├── ImageError                 bytes that are not an image this project reads
│   └── ImageTooLargeError     an image refused before it is decoded
├── DataError                  a source folder, a CSV or a shard folder that contradicts itself
├── DownloadError              an archive that could not be fetched or verified
├── TrainingError              a run that cannot start, or cannot go on from its checkpoint
├── BundleError                a bundle that is incomplete, altered or does not agree with its network
├── RegistryError              a model or a version that the registry does not hold
│   └── NotApprovedError       a version that may not be deployed
└── EndpointError              an endpoint that does not exist or does not answer
"""


class ChestXrayError(Exception):
    """Root of every error that this project raises on purpose."""


class SettingsError(ChestXrayError):
    """An option or a CXR_* variable that cannot be used."""


class ImageError(ChestXrayError):
    """Bytes that are not an image this project reads."""


class ImageTooLargeError(ImageError):
    """An image refused before it is decoded, by its bytes or by its dimensions."""


class DataError(ChestXrayError):
    """A source folder, a CSV or a shard folder that contradicts itself."""


class DownloadError(ChestXrayError):
    """An archive that could not be fetched or verified."""


class TrainingError(ChestXrayError):
    """A run that cannot start, or cannot go on from its checkpoint."""


class BundleError(ChestXrayError):
    """A bundle that is incomplete, altered, or does not agree with its network."""


class RegistryError(ChestXrayError):
    """A model or a version that the registry does not hold."""


class NotApprovedError(RegistryError):
    """A version that may not be deployed because nobody approved it."""


class EndpointError(ChestXrayError):
    """An endpoint that does not exist or does not answer."""
