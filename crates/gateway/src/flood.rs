//! What a client makes an HTTP/2 connection do without asking for anything: streams that are opened and taken back at
//! once, and frames that carry neither a request nor a body.
//!
//! Both are counted in windows of some seconds and held against what the connection is used for, so that a busy proxy,
//! which cancels its share, and a long download, which is all `WINDOW_UPDATE`, stay below them. What h2 bounds by itself
//! (`CONTINUATION` frames of a header block, empty `DATA`, streams reset before they were seen, streams that it had to
//! reset) ends in its own GOAWAY, which `frames.rs` reads.
//!
//! Sources: CVE-2023-44487 (rapid reset), CVE-2025-8671 (MadeYouReset), CVE-2019-9512 (ping), -9515 (settings), -9513
//! (priority), -9518 (empty frames); RFC 9113 §10.5.

use std::time::{Duration, Instant};

/// How long is counted together.
const WINDOW: Duration = Duration::from_secs(10);

/// LIMIT: streams reset in a window: by the client, or by us for a fault of its. A person who leaves a page cancels some
/// tens; a proxy with many clients cancels more, but not most.
const RESETS_MAX: u32 = 200;

/// LIMIT: frames in a window that ask for nothing. Each costs a microsecond or two, and PING and SETTINGS an answer, so
/// this is a five-hundredth of a core. gRPC's bandwidth probe sends a PING a round trip, some thousand in a window.
const IDLE_FRAMES_MAX: u32 = 10_000;

/// Idle frames that each frame of use allows: a client may say `WINDOW_UPDATE` for stream and connection a `DATA` frame.
const IDLE_PER_USE: u32 = 8;

/// A client that asks for nothing, and much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// Streams opened and taken back
    Resets,
    /// Frames that ask for nothing
    Frames,
}

/// What happened in the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Toll {
    since: Instant,
    opened: u32,
    resets: u32,
    idle: u32,
    used: u32,
}

impl Toll {
    /// Nothing yet.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { since: now, opened: 0, resets: 0, idle: 0, used: 0 }
    }

    /// The client opened a stream.
    pub(crate) const fn opened(&mut self) {
        self.opened = self.opened.saturating_add(1);
        self.used = self.used.saturating_add(1);
    }

    /// A stream was reset: by the client, or for a fault of its.
    pub(crate) const fn reset(&mut self) {
        self.resets = self.resets.saturating_add(1);
    }

    /// A frame that asks for nothing.
    pub(crate) const fn idle(&mut self) {
        self.idle = self.idle.saturating_add(1);
    }

    /// A frame of a request, or of a response.
    pub(crate) const fn used(&mut self) {
        self.used = self.used.saturating_add(1);
    }

    /// Whether it is too much; begins a new window when this one is over.
    pub(crate) fn judge(&mut self, now: Instant) -> Option<Flood> {
        let flood = if self.resets > RESETS_MAX && self.resets > self.opened / 2 {
            Some(Flood::Resets)
        } else {
            let is_idle = self.idle > IDLE_FRAMES_MAX && self.idle / IDLE_PER_USE > self.used;
            is_idle.then_some(Flood::Frames)
        };
        if flood.is_none() && now.saturating_duration_since(self.since) > WINDOW {
            *self = Self::new(now);
        }
        flood
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many of each within one window.
    fn flood(opened: u32, resets: u32, idle: u32, used: u32) -> Option<Flood> {
        let now = Instant::now();
        let mut toll = Toll::new(now);
        (0..opened).for_each(|_| toll.opened());
        (0..resets).for_each(|_| toll.reset());
        (0..idle).for_each(|_| toll.idle());
        (0..used).for_each(|_| toll.used());
        toll.judge(now)
    }

    #[test]
    fn streams_that_are_taken_back_are_a_flood_when_they_are_many_and_most() {
        assert_eq!(flood(201, 201, 0, 0), Some(Flood::Resets));
        assert_eq!(flood(200, 200, 0, 0), None, "a page that is left");
        assert_eq!(flood(4000, 1900, 0, 0), None, "a proxy whose clients cancel");
    }

    #[test]
    fn frames_without_use_are_a_flood_and_those_of_a_download_are_not() {
        assert_eq!(flood(1, 0, 10_001, 0), Some(Flood::Frames));
        assert_eq!(flood(1, 0, 10_000, 0), None);
        assert_eq!(flood(1, 0, 60_000, 30_000), None, "two WINDOW_UPDATEs a DATA frame");
    }

    #[test]
    fn a_window_ends() {
        let begun = Instant::now();
        let mut toll = Toll::new(begun);
        for second in 0..60 {
            (0..15).for_each(|_| {
                toll.opened();
                toll.reset();
            });
            assert_eq!(toll.judge(begun + Duration::from_secs(second)), None, "after {second} s");
        }
    }
}
