//! The store against a real disk, through its public interface.

mod api_keys;
mod crash;
mod events;
mod faults;
mod sample;
mod sql;
mod state;
