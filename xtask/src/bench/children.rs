//! The programs of a bench: each pinned to a core, waited for, and ended with the value.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a program may take to listen: with a debug build the rules alone take long to compile.
const PATIENCE: Duration = Duration::from_secs(120);

/// Programs that run, and the folder with their logs.
pub(super) struct Children {
    running: Vec<Child>,
    folder: PathBuf,
}

impl Children {
    /// None yet; their logs go to `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self { running: Vec::new(), folder: folder.to_owned() }
    }

    /// Starts a program on a core; what it prints goes to `log`.log.
    pub(super) fn pinned(&mut self, core: &str, log: &str, program: &Path, arguments: &[&str]) -> Result<()> {
        let output = std::fs::File::create(self.folder.join(format!("{log}.log")))?;
        let mut command = Command::new("taskset");
        command.args(["-c", core]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        self.running.push(child);
        Ok(())
    }

    /// Until somebody listens, all programs are running, and patience lasts.
    pub(super) fn wait_for(&mut self, port: u16) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.running.iter_mut().any(|child| child.try_wait().is_ok_and(|status| status.is_some()));
            if ended || begun.elapsed() > PATIENCE {
                let why = if ended { "a program has ended" } else { "patience is over" };
                bail!("nothing listens on port {port}, and {why}; see the logs in {}", self.folder.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// All end, however the bench does.
impl Drop for Children {
    fn drop(&mut self) {
        for child in &self.running {
            let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
        }
        std::thread::sleep(Duration::from_secs(2));
        for child in &mut self.running {
            let _ = child.kill(); // Pingora sleeps its grace out, which nobody waits for here
            let _ = child.wait();
        }
    }
}
