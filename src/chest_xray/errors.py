"""The errors that a user can cause and mend. Each message says what was found, what was expected, what to do.

ChestXrayError                 ends `cxr` with one line and exit code 2
├── SettingsError              an option or a CXR_* variable that cannot be used
├── ImageError                 bytes that are not an image this project reads
│   ├── ImageTooLargeError     an image refused before it is decoded
│   ├── ImageUnsuitableError   an image that by its own tags is no frontal chest radiograph
│   └── UnlikeTrainingError    an image that a strict caller does not want scored
├── DataError                  a source folder, a CSV or a shard folder that contradicts itself
├── DownloadError              an archive that could not be fetched or verified
├── TrainingError              a run that cannot start, or cannot go on from its checkpoint
│   └── JobStoppedError        a training job that was stopped before its end; exit code 3
├── ArchiveError               a .tar.gz that is none, or holds what is not unpacked
├── CloudError                 a call to AWS that was refused, or an answer that never came
├── EmulatorError              an emulator that cannot start, or is not there
├── BundleError                a bundle that is incomplete, altered or does not agree with its network
│   └── CompressionError       a compressed graph that breaks one of the bars it is held to
├── RegistryError              a model or a version that the registry does not hold
│   ├── NotApprovedError       a version that may not be deployed
│   └── GateError              a bundle that the promotion gate does not let into the registry
├── EndpointError              an endpoint that does not exist or does not answer
│   └── NotDeployedError       an endpoint to which nothing was deployed yet
├── AccessError                a key file that cannot be read, or a key that it does not hold
├── AuditError                 an audit entry that could not be written
└── GroundTruthError           a reader's judgement that could not be written, or a folder of them that is not there
"""


class ChestXrayError(Exception):
    """Root of every error that this project raises on purpose. `exit_code` is what `cxr` ends with."""

    exit_code = 2


class SettingsError(ChestXrayError):
    """An option or a CXR_* variable that cannot be used."""


class ImageError(ChestXrayError):
    """Bytes that are not an image this project reads."""


class ImageTooLargeError(ImageError):
    """An image refused before it is decoded, by its bytes or by its dimensions."""


class ImageUnsuitableError(ImageError):
    """An image that by its own tags is no single frontal radiograph of the chest."""


class UnlikeTrainingError(ImageError):
    """A film that the guard or a quality check does not accept, asked for with `strict`.

    `code` is `out_of_distribution`, or `quality_` and the check's name.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class DataError(ChestXrayError):
    """A source folder, a CSV or a shard folder that contradicts itself."""


class DownloadError(ChestXrayError):
    """An archive that could not be fetched or verified."""


class TrainingError(ChestXrayError):
    """A run that cannot start, or cannot go on from its checkpoint."""


class JobStoppedError(TrainingError):
    """A training job that was stopped, by a person or by its limits, before its end: there is no model."""

    exit_code = 3


class ArchiveError(ChestXrayError):
    """A .tar.gz that is none, or that holds what is not unpacked."""


class CloudError(ChestXrayError):
    """A call to AWS that was refused, or an answer that never came."""


class EmulatorError(ChestXrayError):
    """An emulator that cannot start, or that is not there."""


class BundleError(ChestXrayError):
    """A bundle that is incomplete, altered, or does not agree with its network."""


class CompressionError(BundleError):
    """A compressed graph that breaks one of the bars it is held to."""


class RegistryError(ChestXrayError):
    """A model or a version that the registry does not hold."""


class NotApprovedError(RegistryError):
    """A version that may not be deployed because nobody approved it."""


class GateError(RegistryError):
    """A bundle that the promotion gate does not let into the registry."""


class EndpointError(ChestXrayError):
    """An endpoint that does not exist or does not answer."""


class NotDeployedError(EndpointError):
    """An endpoint to which nothing was deployed yet."""


class AccessError(ChestXrayError):
    """A key file that cannot be read, or a key that it does not hold."""


class AuditError(ChestXrayError):
    """An audit entry that could not be written."""


class GroundTruthError(ChestXrayError):
    """A reader's judgement that could not be written, or a folder of them that is not there."""
