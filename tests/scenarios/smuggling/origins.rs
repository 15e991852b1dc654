//! Real origins that write down each request they parse: three servers with an application behind them, and the
//! application's own servers.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Program, free_port, python};
use base64::prelude::{BASE64_STANDARD, Engine};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::script;

/// How long a server may take to end; gunicorn waits for connections that are kept open.
const PATIENCE: Duration = Duration::from_secs(15);

/// A kind of origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nginx,
    Apache,
    Haproxy,
    Node,
    Gunicorn,
    UvicornHttptools,
    UvicornH11,
    Hypercorn,
}

impl Kind {
    /// Every one of them.
    pub(super) const ALL: &[Self] = &[
        Self::Nginx,
        Self::Apache,
        Self::Haproxy,
        Self::Node,
        Self::Gunicorn,
        Self::UvicornHttptools,
        Self::UvicornH11,
        Self::Hypercorn,
    ];

    /// As the table has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "Apache",
            Self::Haproxy => "HAProxy",
            Self::Node => "Node.js",
            Self::Gunicorn => "gunicorn",
            Self::UvicornHttptools => "uvicorn (httptools)",
            Self::UvicornH11 => "uvicorn (h11)",
            Self::Hypercorn => "hypercorn",
        }
    }
}

/// A request that a server parsed.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) method: String,
    /// As the server read it, bytes beyond ASCII as Latin-1; `None` when the server's log would not show it exactly
    pub(super) target: Option<String>,
    pub(super) id: Option<String>,
    /// Value of `X-Forwarded-For`
    pub(super) client: Option<String>,
    /// The whole body, where the server has seen its end
    pub(super) body: Option<Vec<u8>>,
    /// It is a copy of one that the server before it has parsed
    pub(super) is_passed_on: bool,
}

/// What a server wrote down.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) parsed: Vec<Parsed>,
    /// Methods are in capitals, however they came
    pub(super) has_capital_methods: bool,
    /// What it could not read, and to whom it could not say so by an id
    pub(super) refused: Vec<String>,
}

/// A running origin.
pub(super) struct Origin {
    kind: Kind,
    pub(super) port: u16,
    programs: Vec<Program>,
    folder: PathBuf,
}

impl Origin {
    /// Starts one, with its files in `folder`.
    pub(super) fn start(kind: Kind, folder: &Path) -> Result<Self> {
        let port = free_port();
        let programs = match kind {
            Kind::Nginx | Kind::Apache | Kind::Haproxy => {
                let application = free_port();
                vec![node(application, folder)?, server(kind, port, application, folder)?]
            }
            Kind::Node => vec![node(port, folder)?],
            Kind::Gunicorn => {
                vec![module(
                    &["gunicorn", "--threads", "16", "--keep-alive", "5", "--no-control-socket", "--bind"],
                    port,
                    folder,
                )?]
            }
            Kind::UvicornHttptools => vec![uvicorn("httptools", port, folder)?],
            Kind::UvicornH11 => vec![uvicorn("h11", port, folder)?],
            Kind::Hypercorn => vec![module(&["hypercorn", "--bind"], port, folder)?],
        };
        let mut origin = Self { kind, port, programs, folder: folder.to_path_buf() };
        origin.programs.last_mut().context("a program")?.wait_for_port(port)?;
        Ok(origin)
    }

    /// What it has written down so far; it must still run.
    pub(super) fn log(&mut self) -> Result<Log> {
        for program in &mut self.programs {
            ensure!(program.is_running(), "the origin has ended:\n{}", program.printed());
        }
        let read = |name: &str| -> Result<String> {
            let bytes = std::fs::read(self.folder.join(name)).unwrap_or_default(); // nothing was parsed: no file
            Ok(bytes.iter().map(|byte| char::from(*byte)).collect())
        };
        // Hypercorn writes methods in capitals, however they came.
        let mut log = Log { has_capital_methods: self.kind == Kind::Hypercorn, ..Log::default() };
        for line in read("application.seen")?.lines() {
            application_line(line, &mut log, matches!(self.kind, Kind::Nginx | Kind::Apache | Kind::Haproxy))?;
        }
        match self.kind {
            Kind::Nginx => {
                for line in read("nginx.seen")?.lines() {
                    nginx_line(line, &mut log)?;
                }
            }
            Kind::Apache => read("apache.seen")?.lines().try_for_each(|line| tabbed_line(line, &mut log))?,
            Kind::Haproxy => {
                read("haproxy.log")?.lines().try_for_each(|line| tabbed_line(&unescaped(line), &mut log))?;
            }
            Kind::Node | Kind::Gunicorn | Kind::UvicornHttptools | Kind::UvicornH11 | Kind::Hypercorn => {}
        }
        Ok(log)
    }
}

/// Servers have workers, which a killed master leaves behind: each is asked to end, with all of its processes.
impl Drop for Origin {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            let group = program.id();
            let Some(leader) = i32::try_from(group).ok().and_then(Pid::from_raw) else { continue };
            let _ = kill_process_group(leader, Signal::TERM);
            let begun = Instant::now();
            // Asking whether it runs also takes note of its end, else it would stay as a zombie.
            while program.is_running() || !members(group).is_empty() {
                if begun.elapsed() > PATIENCE {
                    let _ = kill_process_group(leader, Signal::KILL);
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The living processes of a group: `pid (name) state parent group …` in each `stat` (proc(5)).
fn members(group: u32) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_member = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default(); // it may have just ended
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = rest.split(' ').take(3).collect();
        matches!(fields.as_slice(), [state, _parent, of] if !matches!(*state, "Z" | "X") && of.parse() == Ok(group))
    };
    ids.filter(is_member).collect()
}

/// Starts a program as the first of a process group of its own.
fn start(command: &mut Command, log: &Path) -> Result<Program> {
    Program::start(command.process_group(0), log)
}

#[test]
fn nothing_of_an_origin_is_left_behind_its_end() -> Result<()> {
    for kind in [Kind::Nginx, Kind::Apache, Kind::Gunicorn, Kind::Hypercorn] {
        let folder = tempfile::tempdir()?;
        let origin = Origin::start(kind, folder.path())?;
        let groups: Vec<u32> = origin.programs.iter().map(Program::id).collect();
        let living = || groups.iter().flat_map(|group| members(*group)).collect::<Vec<u32>>();
        // Some open their port before they have a worker.
        let begun = Instant::now();
        while living().len() <= groups.len() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let before = living();
        ensure!(before.len() > groups.len(), "{}: this one has no workers, so the test shows nothing", kind.name());
        drop(origin);
        let left = living();
        ensure!(left.is_empty(), "{}: of {before:?} there are still {left:?}", kind.name());
        let is_there = |id: &&u32| Path::new("/proc").join(id.to_string()).join("exe").exists();
        let left: Vec<_> = before.iter().filter(is_there).collect();
        ensure!(left.is_empty(), "{}: {left:?} have left their group and live on", kind.name());
    }
    Ok(())
}

/// A line of the scripts `origin_*`.
fn application_line(line: &str, log: &mut Log, is_passed_on: bool) -> Result<()> {
    let line: Value = serde_json::from_str(line).with_context(|| format!("the application's log: {line}"))?;
    if let Some(reason) = line.get("refused") {
        log.refused.push(reason.to_string());
        return Ok(());
    }
    let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
    let body = BASE64_STANDARD.decode(text("body").unwrap_or_default())?;
    log.parsed.push(Parsed {
        method: text("method").unwrap_or_default(),
        target: text("target").filter(|_| !is_passed_on),
        id: text("id"),
        client: text("client"),
        body: (line["complete"] == true).then_some(body),
        is_passed_on,
    });
    Ok(())
}

fn nginx_line(line: &str, log: &mut Log) -> Result<()> {
    let value: Value = serde_json::from_str(line).with_context(|| format!("nginx's log: {line}"))?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    push_own(log, line, [text("method"), text("id"), text("client"), text("target")]);
    Ok(())
}

/// HAProxy writes `#` and two digits for bytes that mean something in its logs.
fn unescaped(line: &str) -> String {
    let mut parts = line.split('#');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.zip(part.get(2..)) {
            Some((byte, rest)) => {
                text.push(char::from(byte));
                text.push_str(rest);
            }
            None => {
                text.push('#');
                text.push_str(part);
            }
        }
    }
    text
}

/// Method, status, id, client and request line, with tabs between them.
fn tabbed_line(line: &str, log: &mut Log) -> Result<()> {
    let parts: Vec<&str> = line.split('\t').collect();
    let [method, _status, id, client, request] = parts.as_slice() else {
        return Ok(()); // HAProxy tells of its start too
    };
    let target = request.split(' ').nth(1).unwrap_or_default();
    push_own(log, line, [*method, *id, *client, target].map(str::to_owned));
    Ok(())
}

/// What a server's own log has of a request; empty, `-` and `<BADREQ>` stand for what it could not read.
fn push_own(log: &mut Log, line: &str, [method, id, client, target]: [String; 4]) {
    let known = |text: &str| (!matches!(text, "" | "-" | "<BADREQ>")).then(|| text.to_owned());
    let Some(id) = known(&id).filter(|_| known(&method).is_some()) else {
        log.refused.push(line.to_owned());
        return;
    };
    let is_plain = target.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"'));
    log.parsed.push(Parsed {
        method,
        target: Some(target).filter(|_| is_plain),
        id: Some(id),
        client: known(&client),
        body: None,
        is_passed_on: false,
    });
}

fn node(port: u16, folder: &Path) -> Result<Program> {
    let mut command = Command::new("node");
    command.arg(script("origin_node.js")).arg(port.to_string()).arg(folder.join("application.seen"));
    let mut program = start(&mut command, &folder.join("node.log"))?;
    program.wait_for_port(port)?;
    Ok(program)
}

fn uvicorn(parser: &str, port: u16, folder: &Path) -> Result<Program> {
    let mut command = python_module("uvicorn", folder);
    command.args(["--http", parser, "--log-level", "critical", "--port", &port.to_string(), "origin_asgi:app"]);
    start(&mut command, &folder.join("uvicorn.log"))
}

/// gunicorn or hypercorn: the module, its options, `--bind` at last.
fn module(words: &[&str], port: u16, folder: &Path) -> Result<Program> {
    let [name, options @ ..] = words else { anyhow::bail!("a module's name") };
    let mut command = python_module(name, folder);
    let application = if *name == "gunicorn" { "origin_wsgi:app" } else { "origin_asgi:app" };
    command.args(options).arg(format!("127.0.0.1:{port}")).arg(application);
    start(&mut command, &folder.join("python.log"))
}

fn python_module(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(python());
    let scripts = script("");
    command.args(["-m", name]).env("PYTHONPATH", &scripts).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(folder);
    command.env("SEEN_LOG", folder.join("application.seen"));
    command
}

/// nginx, Apache or HAProxy, with the application at `application`.
fn server(kind: Kind, port: u16, application: u16, folder: &Path) -> Result<Program> {
    let (name, config) = match kind {
        Kind::Nginx => ("nginx", "origin_nginx.conf"),
        Kind::Apache => ("apache2", "origin_apache.conf"),
        _ => ("haproxy", "origin_haproxy.cfg"),
    };
    let text = std::fs::read_to_string(script(config))?
        .replace("{folder}", &folder.display().to_string())
        .replace("{modules}", "/usr/lib/apache2/modules")
        .replace("{port}", &port.to_string())
        .replace("{application}", &application.to_string());
    let path = folder.join(config);
    std::fs::write(&path, text)?;
    // Where Debian has them, which a plain user's path may lack.
    let system = Path::new("/usr/sbin").join(name);
    let mut command = Command::new(if system.exists() { system } else { name.into() });
    match kind {
        Kind::Nginx => command.arg("-c").arg(&path),
        Kind::Apache => command.args(["-D", "FOREGROUND", "-f"]).arg(&path),
        _ => command.args(["-db", "-f"]).arg(&path),
    };
    start(&mut command, &folder.join(name).with_extension("log"))
}
