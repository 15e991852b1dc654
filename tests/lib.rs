//! Black-box scenarios live in `scenarios/`; the scripts of real clients and servers in `real/`. There is no code here.
