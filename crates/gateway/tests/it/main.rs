//! The gateway from outside: real sockets, a raw origin, real HTTP/2, TLS and WebSocket peers.

mod balancing;
mod bodies;
mod caching;
mod client_certificates;
mod events;
mod forwarding;
mod http2;
mod life;
mod refusals;
mod revocation;
mod streams;
mod support;
mod tls;
mod waits;
