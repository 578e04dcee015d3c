"""What can be wrong with a data set; every message names file and mend."""


class DataError(ValueError):
    """A data set cannot be prepared or read as asked."""


class ManualDirError(DataError):
    """The directory of raw files is missing, wrong or incomplete."""


class DataDirError(DataError):
    """The directory for prepared data cannot be written."""


class DatasetNameError(DataError):
    """No data set or configuration has this name."""


class LabelFileError(DataError):
    """A label file has a bad header, an unknown level or a repeated id."""


class MissingImageError(DataError):
    """The label file lists an image that is not there."""


class UnlabelledImageError(DataError):
    """An image is there that no label file lists."""


class BadImageError(DataError):
    """An image file is empty, truncated, corrupt or of an unfit kind."""


class CircleNotFoundError(DataError):
    """No circular field of view was found in a photograph."""


class PatientLeakError(DataError):
    """A patient stands in more than one split."""


class EmptySplitError(DataError):
    """A split would hold no photograph."""


class PathError(DataError):
    """A path leads out of the directory that it is relative to."""


class DuplicateError(DataError):
    """An id stands twice, or one image stands in two splits."""


class CorruptRecordError(DataError):
    """A record file is truncated, damaged, or no record file."""


class RecordCountError(DataError):
    """A file holds another number of records than was written."""


class MappingError(DataError):
    """Records do not hold what the key map says."""


class TooManyBadError(DataError):
    """More examples are unusable than was allowed."""
