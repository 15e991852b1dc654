//! A moment after which a connection is given up: moved with every request, reached by few.
//!
//! PERF: the runtime's timer is touched only when the moment comes nearer or the timer rings too early, so a busy
//! connection pays for a timer once in the length of a wait and not once a request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// One deadline at a time.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    timer: Option<Pin<Box<Sleep>>>,
    due: Option<Instant>,
}

impl Deadline {
    /// The wait is over; the next one has a deadline of its own.
    pub(crate) fn clear(&mut self) {
        self.due = None;
    }

    /// Ready once `wait` is over, counted from the first call after [`Deadline::clear`].
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, wait: Duration) -> Poll<()> {
        let due = *self.due.get_or_insert_with(|| Instant::now() + wait);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}
