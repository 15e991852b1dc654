//! The command line: every verb, its options and examples. `bartizan help VERB` prints what stands here.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// See every API, judge every call, stop abuse
///
/// Bartizan stands in front of your APIs (or reads their traffic), catalogs every endpoint, checks every call and
/// shows what happened.
#[derive(Parser, Debug)]
#[command(name = "bartizan", version, propagate_version = true, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
    /// Log lines as JSON
    #[arg(long, global = true, env = "BARTIZAN_LOG_JSON")]
    pub log_json: bool,
    /// Log level: error, warn, info, debug, trace, or directives such as `info,bartizan_gateway=debug`
    #[arg(long, global = true, env = "BARTIZAN_LOG", default_value = "info")]
    pub log: String,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Run the gateway and the console
    #[command(
        after_help = "Examples:\n  bartizan run --config bartizan.yaml\n  kill -HUP PID        read the configuration again\n  kill -TERM PID       stop after the requests in flight\n  kill -QUIT PID       hand the sockets to a process started with --upgrade"
    )]
    Run(Run),
    /// Check a configuration file and say everything that is wrong with it
    #[command(
        after_help = "Examples:\n  bartizan check bartizan.yaml\n  bartizan check --json bartizan.yaml\n\nExit code: 0 valid, 1 not valid, 2 could not be read."
    )]
    Check(Check),
    /// Ask a running gateway to read its configuration again (what SIGHUP does)
    #[command(
        after_help = "Examples:\n  bartizan reload\n  bartizan reload --data-dir /var/lib/bartizan\n\nExit code: 0 asked, 2 no gateway runs with that directory."
    )]
    Reload(DataDirectory),
    /// Run recorded traffic through the same engine, catalog and store
    #[command(
        after_help = "Examples:\n  bartizan replay --config bartizan.yaml --input traffic.ndjson\n  bartizan replay --config bartizan.yaml --input access.log --preset combined --host bank.example\n  bartizan replay --config bartizan.yaml --input session.har --data-dir /tmp/b --decisions out.ndjson\n\nExit code: 0 every line was read, 3 some lines were skipped (each is reported with its number)."
    )]
    Replay(Replay),
    /// Run the gateway and write its traffic to a file that `replay` reads, with secrets masked
    #[command(after_help = "Examples:\n  bartizan record --config bartizan.yaml --output traffic.ndjson --seconds 60")]
    Record(Record),
    /// Show every endpoint in the catalog
    #[command(
        after_help = "Examples:\n  bartizan catalog --data-dir bartizan-data\n  bartizan catalog --data-dir bartizan-data --json | jq '.[].template'"
    )]
    Catalog(Catalog),
    /// Ask the events in SQL
    #[command(
        after_help = "Examples:\n  bartizan query --data-dir bartizan-data \"SELECT status, count(*) FROM events GROUP BY status\"\n  bartizan query --data-dir bartizan-data --json \"SELECT * FROM events ORDER BY time DESC LIMIT 5\"\n\nExit code: 0 done, 2 it could not be done, 3 done without segments that cannot be read (each is named on standard error)."
    )]
    Query(Query),
    /// API keys: make, list, rotate and revoke them, also while a gateway runs
    #[command(
        subcommand,
        after_help = "Examples:\n  bartizan key create shop-backend --owner team-shop --scope orders:read --quota 10000/1d --expires 90d\n  bartizan key list\n  bartizan key rotate shop-backend --grace 24h\n  bartizan key revoke k7kq2xwz4mabc\n\nA running gateway takes every change within two seconds. Policies with the method `api_key` accept the keys."
    )]
    Key(KeyVerb),
    /// Say what would be decided about one request, and why, without traffic
    #[command(
        after_help = "Examples:\n  bartizan explain --config bartizan.yaml GET https://bank.example/v1/accounts/7 -H 'authorization: Bearer x'\n  bartizan explain --config bartizan.yaml POST http://localhost:8080/transfers -d '{\"amount\": 5}' --client 192.0.2.7"
    )]
    Explain(Explain),
    /// Attack rules: which ones a configuration runs, what one is about, what they say of recorded requests
    #[command(
        subcommand,
        after_help = "Examples:\n  bartizan rules list --config bartizan.yaml\n  bartizan rules explain 942100 --config bartizan.yaml\n  bartizan rules test requests.ndjson --config bartizan.yaml"
    )]
    Rules(RulesVerb),
    /// List the checks, or explain one by its id
    #[command(
        after_help = "Examples:\n  bartizan checks\n  bartizan checks LIM-104\n  bartizan checks --json | jq '.[].id'"
    )]
    Checks {
        /// Check id, such as LIM-104
        id: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration file
    #[command(
        after_help = "Examples:\n  bartizan schema > bartizan.schema.json\n\nEditors with a YAML language server complete and check a file that begins with\n  # yaml-language-server: $schema=bartizan.schema.json"
    )]
    Schema,
}

/// Options of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// Configuration file (YAML)
    #[arg(long, short, value_name = "FILE", default_value = "bartizan.yaml")]
    pub config: PathBuf,
    /// Where events and state are kept; overrides `data.directory`
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Take the listening sockets over from a running process that got SIGQUIT
    #[arg(long)]
    pub upgrade: bool,
}

/// Options of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// Configuration file (YAML)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Diagnostics as JSON
    #[arg(long)]
    pub json: bool,
}

/// Where a gateway keeps its data.
#[derive(Args, Debug)]
pub struct DataDirectory {
    /// Data directory of the gateway
    #[arg(long, value_name = "DIR", default_value = "bartizan-data")]
    pub data_dir: PathBuf,
}

/// Formats of recorded traffic.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// Our own: one exchange a line, NDJSON
    Exchanges,
    /// HTTP Archive 1.2
    Har,
    /// Access logs: combined, or JSON lines (see --preset and --field)
    AccessLog,
}

/// Options of `replay`.
#[derive(Args, Debug)]
pub struct Replay {
    /// Configuration file (YAML)
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Recorded traffic; `-` reads standard input
    #[arg(long, short, value_name = "FILE")]
    pub input: PathBuf,
    /// Format of the input; told from its first lines when not given
    #[arg(long, value_enum)]
    pub format: Option<InputFormat>,
    /// Kind of access log: combined, common, nginx-json, haproxy, envoy, aws-api-gateway, …
    #[arg(long, value_name = "NAME", conflicts_with = "fields")]
    pub preset: Option<String>,
    /// Field of a JSON access log, such as `status=response.code`; may be repeated
    #[arg(long = "field", value_name = "NAME=PATH")]
    pub fields: Vec<String>,
    /// Host of requests in logs that do not record it
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Offset from UTC, in minutes, of times in logs that do not record theirs
    #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_negative_numbers = true,
        value_parser = clap::value_parser!(i16).range(-1080..=1080))]
    pub utc_offset: i16,
    /// Keep events and catalog here; without it they are forgotten after the summary
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Write one line an exchange to a new file: what was decided and why
    #[arg(long, value_name = "OUT.ndjson")]
    pub decisions: Option<PathBuf>,
    /// The recording holds credentials as they were sent (`record --no-mask`): judge who calls, with the keys that the
    /// configuration names
    #[arg(long)]
    pub with_credentials: bool,
    /// Ask issuers, authorization servers and authorizers behind URLs; without it only files are read
    #[arg(long, requires = "with_credentials")]
    pub online: bool,
    /// Summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `record`.
#[derive(Args, Debug)]
pub struct Record {
    #[command(flatten)]
    pub run: Run,
    /// File to write; must not exist
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Stop after this many seconds; without it, on SIGTERM or Ctrl-C
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Write credentials and personal data as they are; the file is then as sensitive as the traffic
    #[arg(long)]
    pub no_mask: bool,
}

/// Options of `catalog`.
#[derive(Args, Debug)]
pub struct Catalog {
    #[command(flatten)]
    pub data: DataDirectory,
    /// Everything that is known, as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `query`.
#[derive(Args, Debug)]
pub struct Query {
    #[command(flatten)]
    pub data: DataDirectory,
    /// One SELECT over the table `events`
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// Rows as JSON objects, one a line
    #[arg(long)]
    pub json: bool,
    /// Most rows
    #[arg(long, default_value_t = 1000)]
    pub limit: usize,
}

/// What to do with rules.
#[derive(Subcommand, Debug)]
pub enum RulesVerb {
    /// List the rules that the policies of a configuration run
    List(Rules),
    /// Say what a rule is about, where it is written, and how to exclude it
    Explain {
        /// Rule id, such as 942100
        id: u32,
        #[command(flatten)]
        options: Rules,
    },
    /// Run recorded requests through the policies and say what matches, and what is wrong by their labels
    #[command(
        after_help = "The file has one exchange a line, as `bartizan record` writes it. A line with `\"label\": {\"attack\": true}` must be\ndenied (or be such that it would be, when observed), one with `false` must not.\n\nExit code: 0 all labels hold, 1 one does not, 3 some lines were skipped."
    )]
    Test(TestRules),
}

/// Where rules are configured.
#[derive(Args, Debug)]
pub struct Rules {
    /// Configuration file (YAML)
    #[arg(long, short, value_name = "FILE", default_value = "bartizan.yaml")]
    pub config: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `rules test`.
#[derive(Args, Debug)]
pub struct TestRules {
    /// Recorded requests: exchanges, one a line
    #[arg(value_name = "REQUESTS")]
    pub file: PathBuf,
    #[command(flatten)]
    pub rules: Rules,
}

/// What to do with API keys.
#[derive(Subcommand, Debug)]
pub enum KeyVerb {
    /// Make a key for an application; it is printed once and kept nowhere
    #[command(
        after_help = "The key goes to standard output, everything else to standard error:\n  KEY=$(bartizan key create shop-backend --scope orders:read)\n\nAn application has at most two live keys. The quota is shared by the keys of one application.\n\nExit code: 0 made, 1 not possible as asked for, 2 it could not be done."
    )]
    Create(CreateKey),
    /// List the keys that are accepted, or with --all every one
    #[command(
        after_help = "Examples:\n  bartizan key list\n  bartizan key list --all --json | jq '.[] | select(.state == \"revoked\").id'"
    )]
    List {
        /// Ended keys too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        options: Keys,
    },
    /// Show everything that is kept of a key
    Show {
        /// Id of the key, or its application when that has one live key
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        options: Keys,
    },
    /// Make a key that takes the place of another, which goes on working for a while
    #[command(
        after_help = "Examples:\n  bartizan key rotate shop-backend              both keys work for a day\n  bartizan key rotate shop-backend --grace 0s   the old one ends at once\n\nThe new key is for the same, and lives as long as the old one was made to."
    )]
    Rotate {
        /// Id of the key, or its application when that has one live key
        #[arg(value_name = "KEY")]
        key: String,
        /// How long the old key goes on working, such as 12h; at most 90d
        #[arg(long, value_name = "TIME", default_value = "1d")]
        grace: String,
        #[command(flatten)]
        options: Keys,
    },
    /// Take a key back, at once and for good
    #[command(
        after_help = "Examples:\n  bartizan key revoke k7kq2xwz4mabc\n  bartizan key revoke shop-backend --all        every live key of the application"
    )]
    Revoke {
        /// Id of the key, or its application when that has one live key
        #[arg(value_name = "KEY")]
        key: String,
        /// Every live key of the application
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        options: Keys,
    },
}

/// Where keys are kept.
#[derive(Args, Debug)]
pub struct Keys {
    #[command(flatten)]
    pub data: DataDirectory,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `key create`.
#[derive(Args, Debug)]
pub struct CreateKey {
    /// The application that the key is given to: letters, digits, `.`, `_`, `-`, `@`, `:` and `/`
    #[arg(value_name = "APPLICATION")]
    pub application: String,
    /// Who answers for it: a person or a team
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// What it may do; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// What it is; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// Plan of the running configuration that it is sold under
    #[arg(long, value_name = "NAME")]
    pub plan: Option<String>,
    /// Requests in any window of a length, such as 10000/1d or 50/1m; without it, as many as policies allow
    #[arg(long, value_name = "REQUESTS/TIME")]
    pub quota: Option<String>,
    /// When it ends: after a time such as 90d, or at one such as 2027-01-31T00:00:00Z; without it, never
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
    #[command(flatten)]
    pub options: Keys,
}

/// Options of `explain`.
#[derive(Args, Debug)]
pub struct Explain {
    /// Configuration file (YAML)
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Method
    #[arg(value_name = "METHOD")]
    pub method: String,
    /// Absolute URL
    #[arg(value_name = "URL")]
    pub url: String,
    /// Header field, as `name: value`; may be repeated
    #[arg(long, short = 'H', value_name = "FIELD")]
    pub header: Vec<String>,
    /// Body
    #[arg(long, short, value_name = "BODY")]
    pub data: Option<String>,
    /// Address the connection comes from
    #[arg(long, default_value = "127.0.0.1")]
    pub client: IpAddr,
    /// Use the endpoints that were learned there, and the API keys that were made there
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Ask issuers, authorization servers and authorizers behind URLs; without it only files are read
    #[arg(long)]
    pub online: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}
