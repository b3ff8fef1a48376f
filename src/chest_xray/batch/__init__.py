"""`cxr score`: every film of a folder, by all processors, to one Parquet file, whatever happens on the way."""
