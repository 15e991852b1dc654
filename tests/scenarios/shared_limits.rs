//! Rate limits that gateways share through a real Redis: never more than the limit in all, nearly all of it whoever gets
//! the traffic, and what holds when a gateway or Redis is killed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Bartizan, Origin, Program, free_port};
use rustix::process::Signal;

use crate::api_keys;

/// A Redis that forgets nothing when it is killed.
struct Redis {
    program: Program,
    folder: PathBuf,
    port: u16,
    arguments: Vec<String>,
}

const PASSWORD: &str = "a password of Redis";

impl Redis {
    fn start(folder: &Path, arguments: &[&str]) -> Result<Self> {
        let port = free_port();
        let plain = ["--port", &port.to_string(), "--requirepass", PASSWORD].map(str::to_owned);
        let arguments: Vec<String> = match arguments {
            [] => plain.to_vec(),
            given => given.iter().map(|word| word.replace("{port}", &port.to_string())).collect(),
        };
        let program = launch(folder, &arguments, port)?;
        Ok(Self { program, folder: folder.to_path_buf(), port, arguments })
    }

    fn kill(&mut self) -> Result<()> {
        self.program.signal(Signal::KILL)?;
        self.program.wait().map(drop)
    }

    fn start_again(&mut self) -> Result<()> {
        self.program = launch(&self.folder, &self.arguments, self.port)?;
        Ok(())
    }

    /// Lines that a command prints.
    fn says(&self, command: &[&str]) -> Result<Vec<String>> {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.port.to_string(), "-n", "3", "--no-auth-warning", "-a", PASSWORD]).args(command);
        let output = client.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }
}

fn launch(folder: &Path, arguments: &[String], port: u16) -> Result<Program> {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    command.arg("--dir").arg(folder).args(arguments);
    let mut program = Program::start(&mut command, &folder.join("redis.log"))?;
    program.wait_for_port(port)?;
    Ok(program)
}

/// A gateway of `gateways`, in front of `origin`, with these policies.
fn configuration(origin: u16, redis: &str, policies: &str) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}]
threads: 1
redis: {{ {redis} }}
policies:
{policies}
console: {{ address: \"127.0.0.1:{{console}}\" }}
"
    )
}

fn policy(name: &str, rate: &str) -> String {
    format!("  - {{ name: {name}, mode: enforce, scope: {{ paths: [/{name}] }}, rate: {{ {rate} }} }}\n")
}

/// What is written of a Redis at `port`, for so many gateways.
fn reached(folder: &Path, port: u16, gateways: usize) -> Result<String> {
    let (password, key) = (folder.join("password"), folder.join("key"));
    std::fs::write(&password, format!("{PASSWORD}\n"))?;
    std::fs::write(&key, "sixteen bytes or more\n")?;
    let (password, key) = (password.display(), key.display());
    Ok(format!(
        "address: \"127.0.0.1:{port}\", gateways: {gateways}, database: 3, key_prefix: test, password_file: \"{password}\", key_file: \"{key}\", timeout: 2s"
    ))
}

/// One keep-alive client of one gateway.
struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    fn new(gateway: &Bartizan, path: &str) -> Self {
        let agent = crate::agent();
        Self { agent, url: gateway.url(path) }
    }

    /// Whether a request is admitted.
    fn is_admitted(&self) -> Result<bool> {
        let mut response = self.agent.get(&self.url).header("x-api-key", "a-key-of-a-client").call()?;
        let status = response.status().as_u16();
        response.body_mut().read_to_vec()?;
        ensure!(matches!(status, 200 | 429), "{} answers {status}", self.url);
        Ok(status == 200)
    }

    /// How many of so many requests are admitted.
    fn admitted(&self, requests: usize) -> Result<usize> {
        (0..requests).map(|_| self.is_admitted().map(usize::from)).sum()
    }
}

/// Sends requests to several gateways at once, to each its part of them all the time. How many were admitted.
fn admitted_skewed(gateways: &[Bartizan], path: &str, requests: usize, weights: &[usize]) -> Result<usize> {
    let total: usize = weights.iter().sum();
    let (sent, admitted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let start = |(gateway, weight): (&Bartizan, &usize)| {
            let (client, weight) = (Client::new(gateway, path), *weight);
            let (sent, admitted) = (&sent, &admitted);
            scope.spawn(move || -> Result<()> {
                let mut own = 0;
                while sent.load(Ordering::Relaxed) < requests {
                    if own * total > sent.load(Ordering::Relaxed) * weight {
                        std::thread::sleep(Duration::from_micros(200)); // the others' turn
                        continue;
                    }
                    own += 1;
                    sent.fetch_add(1, Ordering::Relaxed);
                    admitted.fetch_add(usize::from(client.is_admitted()?), Ordering::Relaxed);
                }
                Ok(())
            })
        };
        let senders: Vec<_> = gateways.iter().zip(weights).map(start).collect();
        senders.into_iter().try_for_each(|sender| sender.join().ok().context("a sender panicked")?)
    })?;
    Ok(admitted.into_inner())
}

#[test]
fn four_gateways_admit_no_more_than_the_limit_and_nearly_all_of_it_under_skewed_load() -> Result<()> {
    const QUOTA: usize = 1000;
    let folder = tempfile::tempdir()?;
    let redis = Redis::start(folder.path(), &[])?;
    let origin = Origin::start(Duration::ZERO)?;
    let policies = [
        policy("leased", &format!("key: [api_key], quota: {{ requests: {QUOTA}, per: 1h }}")),
        policy("monthly", "key: [global], quota: { requests: 300, per: month }"),
        policy("strict", "key: [global], quota: { requests: 100, per: 1h }, shared: strict"),
        policy("pace", "key: [global], spike_arrest: { requests: 1, per: 1h, burst: 20 }, shared: strict"),
    ]
    .concat();
    let text = configuration(origin.port, &reached(folder.path(), redis.port, 4)?, &policies);
    let gateways = (0..4).map(|_| Bartizan::start(&text)).collect::<Result<Vec<_>>>()?;

    let leased = admitted_skewed(&gateways, "/leased", QUOTA * 2, &[85, 10, 4, 1])?;
    assert!((QUOTA * 95 / 100..=QUOTA).contains(&leased), "{leased} of {QUOTA}");
    let monthly = admitted_skewed(&gateways, "/monthly", 600, &[85, 10, 4, 1])?;
    assert!((285..=300).contains(&monthly), "{monthly} of 300");
    assert_eq!(admitted_skewed(&gateways, "/strict", 240, &[1, 1, 1, 1])?, 100);
    assert_eq!(admitted_skewed(&gateways, "/pace", 80, &[1, 1, 1, 1])?, 20);
    println!("leased: {leased} of {QUOTA}; by month: {monthly} of 300");

    let keys = redis.says(&["--scan"])?;
    assert_eq!(keys.len(), 4, "{keys:?}");
    let is_hash = |part: &str| part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    for key in &keys {
        let parts: Vec<&str> = key.split(':').collect();
        assert!(matches!(parts[..], ["test", limit, who] if is_hash(limit) && is_hash(who)), "{key}");
        let expires_ms: i64 = redis.says(&["PTTL", key])?.concat().parse()?;
        assert!(expires_ms > 0, "{key} stays forever");
    }
    let commands = redis.says(&["INFO", "commandstats"])?;
    println!("{:?}", commands.iter().find(|line| line.contains("evalsha")));
    Ok(())
}

#[test]
fn what_a_killed_gateway_had_leased_is_neither_lost_forever_nor_counted_twice() -> Result<()> {
    const QUOTA: usize = 200;
    const WINDOW: Duration = Duration::from_secs(6);
    let folder = tempfile::tempdir()?;
    let redis = Redis::start(folder.path(), &[])?;
    let origin = Origin::start(Duration::ZERO)?;
    let quota =
        policy("plan", &format!("key: [global], quota: {{ requests: {QUOTA}, per: 6s }}, failure_mode: closed"));
    let text = configuration(origin.port, &reached(folder.path(), redis.port, 2)?, &quota);
    let (mut doomed, lasting) = (Bartizan::start(&text)?, Bartizan::start(&text)?);

    let begun = Instant::now();
    let before = Client::new(&doomed, "/plan").admitted(50)?;
    assert_eq!(before, 50);
    doomed.kill()?;
    let client = Client::new(&lasting, "/plan");
    let after = client.admitted(QUOTA)?;
    if begun.elapsed() < WINDOW {
        assert!(before + after <= QUOTA, "{before} and {after}");
        assert!(before + after >= QUOTA * 8 / 10, "what the dead one held is a block: {before} and {after}");
    }
    // A whole window has to pass in which nobody spends anything: only time brings the tokens back.
    std::thread::sleep(WINDOW + Duration::from_millis(500));
    let later = client.admitted(QUOTA * 3 / 2)?;
    assert!((QUOTA * 95 / 100..=QUOTA).contains(&later), "{later} of {QUOTA}");
    Ok(())
}

#[test]
fn without_redis_each_policy_does_what_it_says_and_counts_go_on_when_it_is_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut redis = Redis::start(folder.path(), &[])?;
    let origin = Origin::start(Duration::ZERO)?;
    let quota = "key: [global], quota: { requests: 40, per: 1h }";
    let policies: String = ["leased", "strict"]
        .iter()
        .flat_map(|shared| ["open", "closed", "share"].map(|mode| (shared, mode)))
        .map(|(shared, mode)| {
            policy(&format!("{shared}-{mode}"), &format!("{quota}, shared: {shared}, failure_mode: {mode}"))
        })
        .chain([policy("kept", &format!("{quota}, shared: strict, failure_mode: closed"))])
        .collect();
    let text = configuration(origin.port, &reached(folder.path(), redis.port, 2)?, &policies);
    let gateway = Bartizan::start(&text)?;
    let client = |path: &str| Client::new(&gateway, &format!("/{path}"));
    assert_eq!(client("kept").admitted(30)?, 30);

    redis.kill()?;
    for shared in ["leased", "strict"] {
        let begun = Instant::now();
        let admitted = ["open", "closed", "share"].map(|mode| client(&format!("{shared}-{mode}")).admitted(60));
        let [open, closed, share] = admitted;
        assert_eq!([open?, closed?, share?], [60, 0, 20], "{shared}");
        assert!(begun.elapsed() < Duration::from_secs(8), "nobody waits for a Redis that is gone");
    }
    assert_eq!(client("kept").admitted(1)?, 0);

    redis.start_again()?;
    let begun = Instant::now();
    while !client("kept").is_admitted()? {
        assert!(begun.elapsed() < Duration::from_secs(10), "Redis is back, and nobody noticed:\n{}", gateway.printed());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client("kept").admitted(20)?, 9, "30 before, one just now: Redis has them on disk");
    for shared in ["leased", "strict"] {
        let admitted = ["open", "closed", "share"].map(|mode| client(&format!("{shared}-{mode}")).admitted(60));
        let [open, closed, share] = admitted;
        assert_eq!([open?, closed?, share?], [0, 40, 20], "{shared}: what was admitted meanwhile is counted");
    }
    Ok(())
}

#[test]
fn redis_is_reached_over_tls_with_a_certificate_and_nobody_else_is_believed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let [certificate, key, stranger] = ["redis.crt", "redis.key", "stranger.crt"].map(file);
    std::fs::write(&certificate, certified.cert.pem())?;
    std::fs::write(&key, certified.signing_key.serialize_pem())?;
    std::fs::write(&stranger, rcgen::generate_simple_self_signed(["localhost".to_owned()])?.cert.pem())?;
    let tls = ["--port", "0", "--tls-port", "{port}", "--tls-ca-cert-file", &certificate];
    let pair = ["--tls-cert-file", &certificate, "--tls-key-file", &key];
    let redis = Redis::start(folder.path(), &[tls.as_slice(), &pair].concat())?;
    let origin = Origin::start(Duration::ZERO)?;
    let strict = policy("plan", "key: [global], quota: { requests: 3, per: 1h }, shared: strict, failure_mode: closed");
    let admitted = |authority: &str| {
        let reached = format!(
            "address: \"localhost:{}\", gateways: 1, timeout: 2s, tls: {{ authorities: \"{authority}\", certificate: \"{certificate}\", key: \"{key}\" }}",
            redis.port
        );
        let gateway = Bartizan::start(&configuration(origin.port, &reached, &strict))?;
        Client::new(&gateway, "/plan").admitted(5)
    };
    assert_eq!(admitted(&stranger)?, 0);
    assert_eq!(admitted(&certificate)?, 3);
    Ok(())
}

/// A key of `application` at this gateway, once the gateway knows it.
fn key_of(gateway: &Bartizan, words: &[&str]) -> Result<String> {
    let key = api_keys::key(&gateway.data(), &[&["create"], words].concat())?;
    let begun = Instant::now();
    while crate::agent().get(gateway.url("/known")).header("x-api-key", &key).call()?.status().as_u16() == 401 {
        ensure!(begun.elapsed() < Duration::from_secs(10), "the gateway does not take the key");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(key)
}

#[test]
fn gateways_share_what_api_keys_bring_along_though_each_has_keys_of_its_own() -> Result<()> {
    const REQUESTS: usize = 100;
    let folder = tempfile::tempdir()?;
    let mut redis = Redis::start(folder.path(), &[])?;
    let origin = Origin::start(Duration::ZERO)?;
    let callers = "  - { name: callers, mode: enforce, authenticate: { methods: [{ api_key: {} }] } }\n";
    let reached = reached(folder.path(), redis.port, 2)?;
    let text = format!(
        "{}plans: [{{ name: gold, quota: {{ requests: {REQUESTS}, per: 1h }}, shared: strict, failure_mode: closed }}]\n",
        configuration(origin.port, &format!("{reached}, key_quotas: {{ failure_mode: closed }}"), callers)
    );
    let gateways = (0..2).map(|_| Bartizan::start(&text)).collect::<Result<Vec<_>>>()?;
    let admitted = |words: &[&str]| -> Result<usize> {
        let keys = gateways.iter().map(|gateway| key_of(gateway, words)).collect::<Result<Vec<_>>>()?;
        let mut admitted = 2; // by which the gateways were seen to know the keys
        for request in 0..REQUESTS * 2 {
            let at = usize::from(request % 5 == 0);
            let url = gateways[at].url("/orders");
            let status = crate::agent().get(&url).header("x-api-key", &keys[at]).call()?.status().as_u16();
            ensure!(matches!(status, 200 | 429), "{url} answers {status}");
            admitted += usize::from(status == 200);
        }
        Ok(admitted)
    };
    let quota = admitted(&["shop", "--quota", &format!("{REQUESTS}/1h")])?;
    assert!((REQUESTS * 95 / 100..=REQUESTS).contains(&quota), "leased: {quota} of {REQUESTS}");
    assert_eq!(admitted(&["bank", "--plan", "gold"])?, REQUESTS, "each request was counted in Redis");
    let late = key_of(&gateways[0], &["lab", "--plan", "gold"])?;
    redis.kill()?;
    let begun = Instant::now();
    let last = crate::agent().get(gateways[0].url("/orders")).header("x-api-key", &late).call()?;
    assert_eq!(last.status().as_u16(), 429, "without Redis, closed is closed");
    assert!(begun.elapsed() < Duration::from_secs(4), "and nobody waits for long");
    Ok(())
}

#[test]
fn gateways_share_attempts_to_log_in_and_give_back_those_that_succeed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut redis = Redis::start(folder.path(), &[])?;
    let origin = Origin::start(Duration::ZERO)?;
    // The origin answers everything with 200: for one of the policies that is a failure.
    let login = |name: &str, failure: u16, mode: &str| {
        let login = format!("account: user, per_account: {{ attempts: 6, per: 1h }}, failure_statuses: [{failure}]");
        policy(name, &format!("login: {{ {login} }}, shared: strict, failure_mode: {mode}"))
    };
    let policies =
        [login("wrong", 200, "share"), login("right", 401, "share"), login("closed", 200, "closed")].concat();
    let text = configuration(origin.port, &reached(folder.path(), redis.port, 3)?, &policies);
    let gateways = (0..3).map(|_| Bartizan::start(&text)).collect::<Result<Vec<_>>>()?;
    let admitted = |path: &str, user: &str, attempts: usize| -> Result<usize> {
        let mut admitted = 0;
        for attempt in 0..attempts {
            let request =
                crate::agent().post(gateways[attempt % 3].url(path)).header("content-type", "application/json");
            let status = request.send(format!("{{\"user\":\"{user}\",\"password\":\"{attempt}\"}}"))?.status().as_u16();
            ensure!(matches!(status, 200 | 429), "{path} answers {status}");
            admitted += usize::from(status == 200);
        }
        Ok(admitted)
    };
    assert_eq!(admitted("/wrong", "ann", 30)?, 6, "over all gateways");
    assert_eq!(admitted("/wrong", "bob", 3)?, 3, "another account");
    assert_eq!(admitted("/right", "ann", 24)?, 24, "who succeeds uses up nothing");
    redis.kill()?;
    assert_eq!(admitted("/closed", "ann", 3)?, 0);
    assert_eq!(admitted("/right", "cyd", 24)?, 24, "nor without Redis");
    assert_eq!(admitted("/wrong", "cyd", 30)?, 6, "each gateway admits its share of two");
    Ok(())
}
