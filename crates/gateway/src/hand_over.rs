//! Hands the listening sockets to the next process, so that an upgrade refuses no connection.
//!
//! The new process is started with the upgrade option: it listens on a Unix socket and waits. The old one, on SIGQUIT,
//! connects to it and sends the addresses with the sockets (SCM_RIGHTS). The new one answers with one byte once it
//! accepts; only then does the old one stop accepting and finish what it has. Until then both hold the sockets and the
//! kernel's queue, so nothing is lost, and if the new process fails the old one simply goes on.

use std::fs;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use crate::Error;

/// LIMIT: sockets of one hand-over; the kernel's own limit is 253.
const SOCKETS_MAX: usize = 128;

/// LIMIT: bytes of the list of addresses.
const LIST_BYTES_MAX: usize = 8192;

/// How long each side waits for the other.
const PATIENCE: Duration = Duration::from_secs(60);

/// The sockets that came, and the line to say that they are served.
pub(crate) struct Inheritance {
    sockets: Vec<(SocketAddr, TcpListener)>,
    line: UnixStream,
}

impl Inheritance {
    /// Waits at `path` for the running gateway to hand its sockets over.
    pub(crate) fn receive(path: &Path) -> Result<Self, Error> {
        let fault = |fault: String| Error::HandOver { socket: path.to_owned(), fault };
        let listener = listen(path).map_err(|error| fault(format!("cannot listen: {error}")))?;
        listener.set_nonblocking(true).map_err(|error| fault(error.to_string()))?;
        let deadline = Instant::now() + PATIENCE;
        let line = loop {
            match listener.accept() {
                Ok((line, _)) => break line,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(_) => return Err(fault("no gateway came; send SIGQUIT to the one that runs".to_owned())),
            }
        };
        let _ = fs::remove_file(path);
        line.set_nonblocking(false).map_err(|error| fault(error.to_string()))?;
        line.set_read_timeout(Some(PATIENCE)).map_err(|error| fault(error.to_string()))?;
        let sockets = receive_sockets(&line).map_err(fault)?;
        Ok(Self { sockets, line })
    }

    /// The socket bound to `address`, if it came.
    pub(crate) fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let index = self.sockets.iter().position(|(bound, _)| *bound == address)?;
        Some(self.sockets.swap_remove(index).1)
    }

    /// Tells the other process that its sockets are served here now.
    pub(crate) fn acknowledge(mut self) {
        let _ = self.line.write_all(b"+"); // if it is gone, it needs not know
    }
}

/// Listens at `path`. The socket gets its name last: whoever sees it can connect, and nobody else could before.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    let unnamed = path.with_extension("new");
    let _ = fs::remove_file(&unnamed); // left behind by an earlier upgrade, as may be what the new name replaces
    let listener = UnixListener::bind(&unnamed)?;
    fs::set_permissions(&unnamed, fs::Permissions::from_mode(0o600))?;
    fs::rename(&unnamed, path)?;
    Ok(listener)
}

fn receive_sockets(line: &UnixStream) -> Result<Vec<(SocketAddr, TcpListener)>, String> {
    let mut list = [0; LIST_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(line, &mut [IoSliceMut::new(&mut list)], &mut control, flags)
        .map_err(|error| format!("nothing received: {error}"))?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    let text = std::str::from_utf8(&list[..message.bytes]).map_err(|error| error.to_string())?;
    let addresses: Result<Vec<SocketAddr>, _> = text.lines().map(str::parse).collect();
    let addresses = addresses.map_err(|_| "the other process sent something else".to_owned())?;
    if addresses.len() != fds.len() {
        return Err(format!("{} addresses came with {} sockets", addresses.len(), fds.len()));
    }
    Ok(addresses.into_iter().zip(fds.into_iter().map(TcpListener::from)).collect())
}

/// Sends the sockets to the process that waits at `path`, and waits until it serves them.
pub(crate) fn send(path: &Path, sockets: &[(SocketAddr, OwnedFd)]) -> Result<(), Error> {
    let fault = |fault: String| Error::HandOver { socket: path.to_owned(), fault };
    let mut line = UnixStream::connect(path).map_err(|error| {
        fault(format!("nobody takes over: {error}; start the new process with the upgrade option first"))
    })?;
    let list: String = sockets.iter().map(|(address, _)| format!("{address}\n")).collect();
    let fds: Vec<BorrowedFd<'_>> = sockets.iter().map(|(_, fd)| fd.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(fault(format!("more than {SOCKETS_MAX} listeners")));
    }
    sendmsg(&line, &[IoSlice::new(list.as_bytes())], &mut control, SendFlags::NOSIGNAL)
        .map_err(|error| fault(format!("not sent: {error}")))?;
    line.set_read_timeout(Some(PATIENCE)).map_err(|error| fault(error.to_string()))?;
    let mut byte = [0];
    line.read_exact(&mut byte).map_err(|_| fault("the new process did not begin to serve; this one goes on".to_owned()))
}
