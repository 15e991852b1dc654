//! What a policy of rate limits means.

use bartizan_model::Timestamp;

use crate::defaults;

/// Rate limits; each that is `Some` must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Whom counts are for, all of it together; not empty
    pub key: Vec<RateKey>,
    /// Only requests with an API key of one of these plans are limited; all when empty
    pub plans: Vec<String>,
    /// Which requests count
    pub count: RateCount,
    /// What a request weighs, at least 1
    pub weight: u32,
    /// Header that can make it weigh more, lower case
    pub weight_header: Option<String>,
    /// Pace and burst
    pub spike_arrest: Option<SpikeArrest>,
    /// Requests in a window
    pub quota: Option<Quota>,
    /// Requests in flight
    pub concurrency: Option<u32>,
    /// Bytes in a window
    pub bandwidth: Option<Bandwidth>,
    /// Largest response body in bytes
    pub response_bytes_max: Option<u64>,
    /// Largest page
    pub page_size: Option<PageSize>,
    /// Failed attempts to log in
    pub login: Option<Login>,
    /// With whom counts are shared
    pub sharing: RateSharing,
    /// Keys that each limit counts apart
    pub keys_max: u32,
    /// Clients are told of enforced limits
    pub announce: bool,
}

/// Something that requests are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// Holder of the credential or session
    Principal,
    /// API key
    ApiKey,
    /// Application of the caller's credential
    Application,
    /// Plan of the caller's API key
    Plan,
    /// What the client's software looks like
    Fingerprint,
    /// Client address, of IPv6 the /64
    Address,
    /// Country of the client's address
    Country,
    /// Network operator of the client's address
    Asn,
    /// Endpoint
    Endpoint,
    /// API
    Api,
    /// Nothing
    Global,
    /// Header, lower case
    Header(String),
    /// Cookie
    Cookie(String),
    /// Query parameter
    Query(String),
    /// Claim of the verified caller
    Claim(String),
}

/// Which requests count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateCount {
    /// Those let through
    Admitted,
    /// Every one
    All,
}

/// With whom counts are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateSharing {
    /// With nobody
    Local,
    /// The quota with all gateways, leased ahead of use
    Leased(FailureMode),
    /// Quota and spike arrest with all gateways, each request counted in Redis
    Strict(FailureMode),
}

/// What holds while Redis cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureMode {
    /// Every request is admitted
    Open,
    /// Every request is refused
    Closed,
    /// Each gateway admits its even share
    Share,
}

/// GCRA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpikeArrest {
    /// Requests, at least 1
    pub requests: u32,
    /// In so many milliseconds, at least 1
    pub per_ms: u64,
    /// Requests at once, at least 1
    pub burst: u32,
}

/// Requests in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests, at least 1
    pub requests: u64,
    /// The window
    pub window: QuotaWindow,
}

/// The window of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaWindow {
    /// Any window of this length
    Rolling {
        /// Milliseconds, at least 1
        window_ms: u64,
    },
    /// Windows that follow each other
    Calendar {
        /// Milliseconds, at least 1
        length_ms: u64,
        /// When one of them begins
        start: Timestamp,
    },
    /// Calendar months in UTC
    Month,
}

/// Bytes in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bytes of bodies, both ways
    pub bytes: u64,
    /// In so many milliseconds
    pub per_ms: u64,
}

/// Largest page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSize {
    /// Query parameters, compared without case
    pub parameters: Vec<String>,
    /// Largest number
    pub max: u32,
}

/// Login protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Member of the body with the account's name
    pub account: String,
    /// At one account
    pub per_account: Attempts,
    /// From one network
    pub per_source: Attempts,
    /// Statuses of failure
    pub failure_statuses: Vec<u16>,
    /// Bytes of a body that are looked at
    pub body_bytes_max: u64,
}

/// Failed attempts in any window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// Attempts, at least 1
    pub attempts: u32,
    /// In so many milliseconds
    pub per_ms: u64,
}

impl RateKey {
    /// As it is written, such as `principal` or `header:x-tenant`.
    pub fn words(&self) -> String {
        match self {
            Self::Principal => "principal".to_owned(),
            Self::ApiKey => "api_key".to_owned(),
            Self::Application => "application".to_owned(),
            Self::Plan => "plan".to_owned(),
            Self::Fingerprint => "fingerprint".to_owned(),
            Self::Address => "address".to_owned(),
            Self::Country => "country".to_owned(),
            Self::Asn => "asn".to_owned(),
            Self::Endpoint => "endpoint".to_owned(),
            Self::Api => "api".to_owned(),
            Self::Global => "global".to_owned(),
            Self::Header(name) => format!("header:{name}"),
            Self::Cookie(name) => format!("cookie:{name}"),
            Self::Query(name) => format!("query:{name}"),
            Self::Claim(name) => format!("claim:{name}"),
        }
    }
}

impl Rate {
    /// Limits that hold for an application, whatever it calls; none yet. At most 65,536 applications are counted apart.
    pub fn of_application(sharing: RateSharing) -> Self {
        Self {
            key: vec![RateKey::Application],
            plans: Vec::new(),
            count: RateCount::Admitted,
            weight: 1,
            weight_header: None,
            spike_arrest: None,
            quota: None,
            concurrency: None,
            bandwidth: None,
            response_bytes_max: None,
            page_size: None,
            login: None,
            sharing,
            keys_max: defaults::APPLICATIONS_MAX,
            announce: true,
        }
    }

    /// How many counts it keeps for each key.
    pub fn counts(&self) -> usize {
        usize::from(self.spike_arrest.is_some())
            + usize::from(self.quota.is_some())
            + usize::from(self.concurrency.is_some())
            + usize::from(self.bandwidth.is_some())
    }

    /// The key in words, such as `principal and endpoint`.
    pub fn key_words(&self) -> String {
        self.key.iter().map(RateKey::words).collect::<Vec<_>>().join(" and ")
    }

    /// What it demands, in one line.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        let span = crate::units::duration_text;
        if let Some(spike) = self.spike_arrest {
            parts.push(format!("{} in {}, {} at once", spike.requests, span(spike.per_ms), spike.burst));
        }
        if let Some(quota) = self.quota {
            let window = match quota.window {
                QuotaWindow::Rolling { window_ms } => span(window_ms),
                QuotaWindow::Calendar { length_ms, .. } => format!("each {}", span(length_ms)),
                QuotaWindow::Month => "each month".to_owned(),
            };
            parts.push(format!("{} in {window}", quota.requests));
        }
        parts.extend(self.concurrency.map(|most| format!("{most} in flight")));
        parts.extend(self.bandwidth.map(|most| format!("{} B in {}", most.bytes, span(most.per_ms))));
        let mut text = parts.join(", ");
        if !text.is_empty() {
            text = format!("{text} by {}", self.key_words());
            match self.sharing {
                RateSharing::Local => {}
                RateSharing::Leased(_) => text.push_str(", leased among gateways"),
                RateSharing::Strict(_) => text.push_str(", counted by all gateways"),
            }
        }
        let more = [
            self.response_bytes_max.map(|bytes| format!("responses at most {bytes} B")),
            self.page_size.as_ref().map(|page| format!("pages of at most {}", page.max)),
            self.login.as_ref().map(|login| format!("{} failed logins at an account", login.per_account.attempts)),
        ];
        for part in more.into_iter().flatten() {
            text = if text.is_empty() { part } else { format!("{text}; {part}") };
        }
        if !self.plans.is_empty() {
            text = format!("{text}; for the plans {}", self.plans.join(", "));
        }
        text
    }
}
