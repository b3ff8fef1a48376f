"""DICOM: from the bytes of one file to grey levels, with none of its identifiers."""
