//! Fuzz targets: plain functions over bytes, one a format. They must return for any input.
