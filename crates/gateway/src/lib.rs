//! Inline enforcement: listeners, TLS, HTTP/1 and HTTP/2 proxying on Pingora, driven by the engine's decisions.
//!
//! The only crate that names Pingora. A [`Gateway`] binds its listeners, then [`Gateway::run`] serves until a signal or
//! [`GatewayHandle::stop`]. Every exchange drives one `engine::Inspection` and ends as exactly one `Event` in the sink.

mod answers;
mod body;
mod cache;
mod client_trust;
mod clients;
mod deadline;
mod door;
mod error;
mod exchange;
mod fields;
mod flood;
mod form;
mod forward;
mod frames;
mod gateway;
mod hand_over;
mod ids;
mod line;
mod link;
mod listen;
mod message;
mod proxy;
mod proxy_header;
mod record;
mod refusal;
mod response;
mod response_edits;
mod sealed;
mod shared;
mod tls;
mod upgrade;
mod upstream;
mod wire;

pub use cache::{CacheStats, Purge};
pub use error::Error;
pub use form::{FormFault, admit};
pub use gateway::{
    Desk, EventSink, ExchangeSink, Gateway, GatewayHandle, GatewayOptions, GatewayStats, Sinks, Stop, TargetHealth,
    UpstreamHealth,
};
pub use tls::{FileFault, unusable_files};
