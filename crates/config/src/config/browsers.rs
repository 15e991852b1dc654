//! What policies about web pages mean: `cors`, `csrf`, `response_headers`.

/// Which origins may call, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Every origin but `null` may call
    pub any_origin: bool,
    /// Origins that may call
    pub origins: Vec<OriginPattern>,
    /// `null` may call
    pub opaque_origin: bool,
    /// Methods, upper case
    pub methods: Vec<String>,
    /// Header fields of requests
    pub headers: HeaderNames,
    /// Header fields of answers
    pub exposed_headers: HeaderNames,
    /// Cookies may come along; then nothing above is "any"
    pub credentials: bool,
    /// How long preflights may be kept, in seconds
    pub max_age_secs: u64,
    /// Pages from the Internet may call a private network
    pub private_network: bool,
}

/// Names of header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderNames {
    /// Every one
    Any,
    /// These, lower case
    Listed(Vec<String>),
}

/// Origins as browsers serialize them (HTML, "serialization of an origin"): lower case, without the scheme's own port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// `https://shop.example`
    Exact(String),
    /// Every name below one
    Below {
        /// `https://`
        scheme: String,
        /// `.shop.example`, with the port when it is not the scheme's own: `.shop.example:8443`
        suffix: String,
    },
}

/// What requests that change something must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csrf {
    /// Origins beside the API's own
    pub origins: Vec<OriginPattern>,
    /// Pages of the same site may call
    pub same_site: bool,
    /// Methods that are not looked at
    pub safe_methods: Vec<String>,
    /// Requests with a cookie need not say where they come from
    pub allow_unknown: bool,
    /// A token that must be sent twice
    pub token: Option<CsrfToken>,
}

/// A token in a cookie and in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsrfToken {
    /// Name of the cookie
    pub cookie: String,
    /// Name of the field, lower case
    pub header: String,
}

/// Fields of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHeaders {
    /// Fields that are set
    pub set: Vec<SetHeader>,
    /// Fields that are taken out, lower case
    pub remove: Vec<String>,
}

/// A field that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetHeader {
    /// Name, lower case
    pub name: String,
    /// Value, visible ASCII and spaces
    pub value: String,
    /// The upstream's own gives way
    pub replaces: bool,
    /// On which answers
    pub on: AnswersSet,
}

/// Answers that a field is set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswersSet {
    /// All
    All,
    /// Those over TLS
    Tls,
    /// Those to requests that carry a credential
    Credentials,
}

impl OriginPattern {
    /// As it is written: `https://*.shop.example`.
    pub fn words(&self) -> String {
        match self {
            Self::Exact(origin) => origin.clone(),
            Self::Below { scheme, suffix } => format!("{scheme}*{suffix}"),
        }
    }
}

impl Cors {
    /// What it demands, in one line.
    pub fn summary(&self) -> String {
        let mut origins: Vec<String> = self.origins.iter().map(OriginPattern::words).collect();
        origins.extend(self.any_origin.then(|| "every origin".to_owned()));
        origins.extend(self.opaque_origin.then(|| "null".to_owned()));
        let credentials = if self.credentials { ", with cookies" } else { "" };
        format!("pages of {}: {}{credentials}", origins.join(", "), self.methods.join(", "))
    }
}

impl Csrf {
    /// What it demands, in one line.
    pub fn summary(&self) -> String {
        let mut text = "changes only from its own pages".to_owned();
        if !self.origins.is_empty() {
            let origins: Vec<String> = self.origins.iter().map(OriginPattern::words).collect();
            text = format!("{text} and those of {}", origins.join(", "));
        }
        if self.token.is_some() { format!("{text}, with a token") } else { text }
    }
}

impl ResponseHeaders {
    /// What it does, in one line.
    pub fn summary(&self) -> String {
        let set: Vec<&str> = self.set.iter().map(|set| set.name.as_str()).collect();
        let mut parts = Vec::new();
        parts.extend((!set.is_empty()).then(|| format!("sets {}", set.join(", "))));
        parts.extend((!self.remove.is_empty()).then(|| format!("removes {}", self.remove.join(", "))));
        parts.join("; ")
    }
}
