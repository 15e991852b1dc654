//! The real binary with real software around it: each test starts programs, talks to them, and ends them.

mod admin;
mod audit_log;
mod bad_input;
mod command_line;
mod crash;
mod explain;
mod imports;
mod real_software;
mod reload;
mod settings;
mod threats;
