//! Black-box scenarios live in `scenarios/`, the Core Rule Set's tests through the gateway in `crs_http/`; the scripts of real clients and servers in `real/`. There is no code here.
