//! Starts the real binary and the real programs around it: for tests only.
//!
//! Nothing here pretends to be anything: a [`Bartizan`] is the built program with a configuration file in a folder of
//! its own, a [`Program`] is somebody else's program. Both end with the value that holds them. [`crs`] is the regression suite of
//! the OWASP Core Rule Set.

mod bartizan;
pub mod crs;
mod origin;
mod program;
mod slow;

pub use bartizan::Bartizan;
pub use origin::{Origin, Seen};
pub use program::{Program, free_port, python, wait_for_port};
pub use slow::{Slow, SlowHttp2};
