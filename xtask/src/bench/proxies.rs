//! The proxies that are compared, each pinned to core 0; the upstream is on core 1 with the load generator.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::children::Children;
use super::cpu::Figure;
use crate::{run, system};

/// Where the upstream listens.
const UPSTREAM: u16 = 9000;
/// Which software stands between.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BarePingora,
    Nginx,
    HaProxy,
    Envoy,
    Bartizan,
    /// With the Core Rule Set and our own rules, enforced
    BartizanRules,
    /// With libmodsecurity and the Core Rule Set, enforced
    NginxModSecurity,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BarePingora => "bare Pingora",
            Self::Nginx => "nginx",
            Self::HaProxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Bartizan => "Bartizan",
            Self::BartizanRules => "Bartizan + rules",
            Self::NginxModSecurity => "nginx + libmodsecurity",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::BarePingora => 9001,
            Self::Nginx => 9002,
            Self::HaProxy => 9003,
            Self::Envoy => 9004,
            Self::NginxModSecurity => 9005,
            Self::Bartizan => 9010,
            Self::BartizanRules => 9020,
        }
    }

    const fn has_rules(self) -> bool {
        matches!(self, Self::BartizanRules | Self::NginxModSecurity)
    }
}

/// One proxy under test.
pub(super) struct Proxy {
    pub kind: Kind,
    /// One for each round
    pub figures: Vec<Figure>,
}

impl Proxy {
    pub(super) const fn port(&self) -> u16 {
        self.kind.port()
    }
}

/// Upstream and proxies, which end with the value.
pub(super) struct Park {
    children: Children,
    folder: PathBuf,
    profile: String,
    pub proxies: Vec<Proxy>,
}

impl Park {
    /// Starts the upstream and these proxies; `rule_set` is where the Core Rule Set is.
    pub(super) fn start(kinds: &[Kind], rule_set: Option<&Path>, profile: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("bartizan-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let proxies = kinds.iter().map(|kind| Proxy { kind: *kind, figures: Vec::new() }).collect();
        let mut park = Self { children: Children::new(&folder), folder, profile: profile.to_owned(), proxies };
        let backend = park.config("load/backend.conf", &[])?;
        park.children.pinned("1", "backend", &nginx(), &["-c", &backend, "-g", "daemon off;"])?;
        for kind in kinds {
            park.launch(*kind, rule_set).with_context(|| format!("starting {}", kind.name()))?;
        }
        for port in std::iter::once(UPSTREAM).chain(kinds.iter().map(|kind| kind.port())) {
            park.children.wait_for(port)?;
        }
        for kind in kinds.iter().filter(|kind| kind.has_rules()) {
            check_rules(kind.port()).with_context(|| kind.name())?;
        }
        Ok(park)
    }

    /// For files of this run.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where Bartizan without rules, or with them, keeps its events.
    pub(super) fn data(&self, kind: Kind) -> PathBuf {
        self.folder.join(format!("data-{}", kind.port()))
    }

    fn launch(&mut self, kind: Kind, rule_set: Option<&Path>) -> Result<()> {
        let foreground = ["-g", "daemon off;"];
        match kind {
            Kind::BarePingora => {
                let program = run::binary(&format!("{}/examples", self.profile), "bare_pingora");
                self.children.pinned("0", "bare", &program, &["127.0.0.1:9001", "127.0.0.1:9000"])
            }
            Kind::Nginx => {
                let config = self.config("load/nginx.conf", &[])?;
                self.children.pinned("0", "nginx", &nginx(), &[&["-c", &config][..], &foreground].concat())
            }
            Kind::HaProxy => {
                let config = self.config("load/haproxy.cfg", &[])?;
                self.children.pinned("0", "haproxy", &installed("haproxy"), &["-db", "-f", &config])
            }
            Kind::Envoy => {
                let config = self.config("load/envoy.yaml", &[])?;
                self.children.pinned("0", "envoy", &envoy()?, &["--concurrency", "1", "-l", "error", "-c", &config])
            }
            Kind::Bartizan => self.bartizan(kind, "load/bartizan.yaml", &[]),
            Kind::BartizanRules => {
                let rule_set = folder_of(rule_set)?;
                self.bartizan(kind, "load/bartizan-rules.yaml", &[("CRS_DIR", &rule_set)])
            }
            Kind::NginxModSecurity => {
                self.config("waf/pl1.conf", &[("CRS_DIR", &folder_of(rule_set)?)])?;
                let config = self.config("load/nginx-modsecurity.conf", &[("MODULE", system::NGINX_MODSECURITY)])?;
                self.children.pinned("0", "nginx-modsecurity", &nginx(), &[&["-c", &config][..], &foreground].concat())
            }
        }
    }

    fn bartizan(&mut self, kind: Kind, document: &str, settings: &[(&str, &str)]) -> Result<()> {
        let document = self.config(document, settings)?;
        let data = self.data(kind).display().to_string();
        let program = run::binary(&self.profile, "bartizan");
        let log = format!("bartizan-{}", kind.port());
        self.children.pinned("0", &log, &program, &["run", "--config", &document, "--data-dir", &data])
    }

    /// A file of `bench/` with its places filled in, in the folder of this run.
    fn config(&self, file: &str, settings: &[(&str, &str)]) -> Result<String> {
        let from = run::root().join("bench").join(file);
        let text = std::fs::read_to_string(&from).with_context(|| from.display().to_string())?;
        let text = settings.iter().fold(text, |text, (place, setting)| text.replace(place, setting));
        let path = self.folder.join(from.file_name().unwrap_or_default());
        std::fs::write(&path, text.replace("RUN_DIR", &self.folder.to_string_lossy()))?;
        Ok(path.display().to_string())
    }
}

/// The folder stays after a failure, for its logs.
impl Drop for Park {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.proxies.iter().all(|proxy| !proxy.figures.is_empty()) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn folder_of(rule_set: Option<&Path>) -> Result<String> {
    let folder = rule_set.context("no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`")?;
    Ok(folder.display().to_string())
}

pub(super) fn nginx() -> PathBuf {
    installed("nginx")
}

/// A server program of Debian's, which a plain user's path may lack.
fn installed(name: &str) -> PathBuf {
    let system = Path::new("/usr/sbin").join(name);
    if system.exists() { system } else { PathBuf::from(name) }
}

/// Envoy's binary inside its Python package.
fn envoy() -> Result<PathBuf> {
    let library = system::python_environment().join("lib");
    let python = std::fs::read_dir(&library)?.next().context("the Python environment is empty")??.path();
    Ok(python.join("site-packages/envoy/_bin/envoy"))
}

/// The rules refuse an attack and let its innocent neighbor pass: a bench of rules that are asleep shows nothing.
fn check_rules(port: u16) -> Result<()> {
    let innocent = status(port, "/v1/users?id=1")?;
    ensure!(innocent == 200, "an innocent request is answered {innocent}");
    let attack = status(port, "/v1/users?id=1%27%20OR%20%271%27%3D%271%20UNION%20SELECT%20password%20FROM%20users--")?;
    ensure!(attack == 403, "an SQL injection is answered {attack}");
    Ok(())
}

fn status(port: u16, target: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let head = "Host: api.example.com\r\nUser-Agent: okhttp/4.12.0\r\nAccept: application/json\r\nConnection: close";
    stream.write_all(format!("GET {target} HTTP/1.1\r\n{head}\r\n\r\n").as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).with_context(|| format!("answered: {text}"))
}
