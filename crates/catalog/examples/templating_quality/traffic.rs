//! Requests made from a document: popular and rare operations, values by the parameter's name, forty callers.

use bartizan_model::{
    Actor, ActorKind, AuthKinds, Client, Decision, Ending, Event, HttpVersion, Missing, RequestId, Scheme, Source,
    Timestamp,
};

use crate::specs::{Operation, Segment, Spec, hash};

/// Callers of one API.
const ACTORS: u64 = 40;

/// One request.
pub struct Request {
    pub operation: usize,
    pub method: String,
    pub path: String,
    pub actor: u64,
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % below.max(1)
    }

    /// A rank below `size`, the first ones far more often (Zipf with exponent 1, by inversion).
    fn rank(&mut self, size: u64) -> u64 {
        let uniform = (self.next(1 << 24) as f64 + 0.5) / (1 << 24) as f64;
        ((size as f64 + 1.0).powf(uniform) - 1.0) as u64
    }
}

/// `density` requests for each operation on average, Zipf over the operations.
pub fn make(spec: &Spec, density: usize) -> Vec<Request> {
    let mut random = Random(hash(&spec.name) | 1);
    let size = spec.operations.len();
    (0..size * density)
        .map(|_| {
            let operation = random.rank(size as u64) as usize % size;
            let actor = random.next(ACTORS);
            let path = path(spec, &spec.operations[operation], actor, &mut random);
            Request { operation, method: spec.operations[operation].method.clone(), path, actor }
        })
        .collect()
}

fn path(spec: &Spec, operation: &Operation, actor: u64, random: &mut Random) -> String {
    let mut path = String::new();
    for segment in &operation.segments {
        path.push('/');
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Parameter { before, name, after, hint } => {
                let style = Style::of(spec, name, hint);
                let index = if hash(&format!("{}/{name}/own", spec.name)).is_multiple_of(2) {
                    actor * 3 + random.next(3)
                } else {
                    random.rank(style.pool())
                };
                path.push_str(before);
                path.push_str(&style.value(hash(&format!("{}/{name}/{index}", spec.name)), index, hint));
                path.push_str(after);
            }
        }
    }
    path
}

/// How a parameter's values look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Small,
    Large,
    Uuid,
    ObjectId,
    Digest,
    Base62,
    Prefixed,
    Nano,
    Numbered,
    Slug,
    Name,
    Code,
    Date,
    Host,
    Version,
    Email,
    Enum,
    Word,
}

const IDS: [Style; 9] = [
    Style::Small,
    Style::Large,
    Style::Uuid,
    Style::ObjectId,
    Style::Digest,
    Style::Base62,
    Style::Prefixed,
    Style::Nano,
    Style::Numbered,
];

impl Style {
    fn of(spec: &Spec, name: &str, hint: &crate::specs::Hint) -> Self {
        let roll = hash(&format!("{}/{name}/style", spec.name));
        let lower = name.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if !hint.values.is_empty() {
            return Self::Enum;
        }
        match (hint.kind.as_str(), hint.format.as_str()) {
            ("integer" | "number", _) => return if roll.is_multiple_of(3) { Self::Large } else { Self::Small },
            (_, "uuid") => return Self::Uuid,
            (_, "date" | "date-time") => return Self::Date,
            (_, "email") => return Self::Email,
            _ => {}
        }
        if has(&["date", "_day"]) {
            Self::Date
        } else if has(&["email"]) {
            Self::Email
        } else if has(&["country", "currency", "lang", "locale", "code", "symbol", "sku"]) {
            Self::Code
        } else if has(&["host", "domain"]) {
            Self::Host
        } else if has(&["version"]) {
            Self::Version
        } else if has(&["slug", "title"]) {
            Self::Slug
        } else if has(&["name", "user", "login", "owner", "repo", "org", "tag", "city", "label", "branch"])
            && !lower.ends_with("id")
        {
            if roll.is_multiple_of(3) { Self::Slug } else { Self::Name }
        } else if lower.ends_with("id") || has(&["uuid", "guid", "key", "token", "hash", "number"]) {
            IDS[(roll / 8 % 9) as usize]
        } else {
            match roll % 20 {
                0..=7 => IDS[(roll / 32 % 9) as usize],
                8..=11 => Self::Slug,
                12..=15 => Self::Name,
                16..=17 => Self::Word,
                _ => Self::Code,
            }
        }
    }

    /// How many values there are.
    const fn pool(self) -> u64 {
        match self {
            Self::Code | Self::Word => 60,
            Self::Version => 12,
            Self::Enum => 8,
            Self::Host | Self::Name | Self::Slug | Self::Date => 400,
            _ => 5_000,
        }
    }

    fn value(self, seed: u64, index: u64, hint: &crate::specs::Hint) -> String {
        let mut random = Random(seed | 1);
        match self {
            Self::Small => (1 + index * 7 % 9_000).to_string(),
            Self::Large => (10_000_000 + random.next(9_000_000_000)).to_string(),
            Self::Uuid => {
                let hex = hex(&mut random, 32);
                format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
            }
            Self::ObjectId => hex(&mut random, 24),
            Self::Digest => hex(&mut random, 40),
            Self::Base62 => pick(&mut random, 11),
            Self::Prefixed => format!("cus_{}", pick(&mut random, 14)),
            Self::Nano => pick(&mut random, 21),
            Self::Numbered => format!("ORD-{:05}", random.next(100_000)),
            Self::Slug => (0..2 + random.next(3)).map(|_| noun(&mut random)).collect::<Vec<_>>().join("-"),
            Self::Name => name(&mut random),
            Self::Code => CODES[(index % CODES.len() as u64) as usize].to_owned(),
            Self::Date => {
                format!("20{:02}-{:02}-{:02}", 15 + random.next(12), 1 + random.next(12), 1 + random.next(28))
            }
            Self::Host => format!("{}.{}", name(&mut random), ["com", "org", "net", "io"][random.next(4) as usize]),
            Self::Version => format!("{}.{}.{}", index % 4, random.next(20), random.next(9)),
            Self::Email => format!("{}@{}.com", name(&mut random), name(&mut random)),
            Self::Enum => hint.values[(index % hint.values.len() as u64) as usize].clone(),
            Self::Word => noun(&mut random),
        }
    }
}

fn hex(random: &mut Random, digits: usize) -> String {
    (0..digits).map(|_| char::from(b"0123456789abcdef"[random.next(16) as usize])).collect()
}

fn pick(random: &mut Random, length: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(ALPHABET[random.next(62) as usize])).collect()
}

fn noun(random: &mut Random) -> String {
    NOUNS[random.next(NOUNS.len() as u64) as usize].to_owned()
}

/// A person's, a project's or a company's name: some real, most made of syllables, some with a number or capital.
fn name(random: &mut Random) -> String {
    let mut name = if random.next(3) == 0 {
        PEOPLE[random.next(PEOPLE.len() as u64) as usize].to_owned()
    } else {
        (0..2 + random.next(2)).map(|_| SYLLABLES[random.next(SYLLABLES.len() as u64) as usize]).collect()
    };
    match random.next(10) {
        0 => name.push_str(&random.next(100).to_string()),
        1 => name = format!("{name}-{}", noun(random)),
        2 => name = format!("{}{}", name[..1].to_uppercase(), &name[1..]),
        _ => {}
    }
    name
}

const SYLLABLES: [&str; 40] = [
    "ka", "lo", "min", "ter", "sa", "ru", "vel", "don", "pri", "xa", "mo", "len", "gar", "th", "bel", "qui", "no",
    "zar", "fen", "hol", "ist", "ber", "wick", "ant", "or", "del", "cas", "wyn", "ju", "tal", "eth", "ros", "mar",
    "son", "ville", "ny", "kir", "pe", "lund", "ash",
];

const PEOPLE: [&str; 40] = [
    "alice", "bob", "carol", "dave", "eve", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj", "olivia",
    "peggy", "rupert", "sybil", "trent", "victor", "walter", "yusuf", "smith", "mueller", "garcia", "tanaka", "acme",
    "globex", "initech", "umbrella", "octocat", "torvalds", "london", "paris", "berlin", "tokyo", "boston", "oslo",
    "madrid", "austin", "lima", "cairo",
];

const NOUNS: [&str; 60] = [
    "red", "blue", "summer", "winter", "guide", "best", "coffee", "shoes", "river", "mountain", "quick", "start",
    "house", "garden", "open", "light", "dark", "music", "travel", "kitchen", "sports", "running", "classic", "modern",
    "little", "great", "story", "first", "secret", "world", "city", "night", "ocean", "forest", "paper", "stone",
    "silver", "golden", "market", "team", "launch", "report", "plan", "review", "main", "feature", "login", "fix",
    "docs", "release", "home", "news", "test", "default", "blog", "shop", "data", "bike", "chair", "lamp",
];

const CODES: [&str; 48] = [
    "US",
    "DE",
    "FR",
    "GB",
    "JP",
    "IT",
    "ES",
    "NL",
    "SE",
    "PL",
    "USD",
    "EUR",
    "GBP",
    "JPY",
    "CHF",
    "SEK",
    "en",
    "de",
    "fr",
    "es",
    "it",
    "ja",
    "pt-BR",
    "en-US",
    "zh-CN",
    "AAPL",
    "MSFT",
    "TSLA",
    "BTC",
    "ETH",
    "JFK",
    "LHR",
    "SFO",
    "CDG",
    "A12",
    "B7",
    "X-100",
    "SKU-4471",
    "KM-2201",
    "east1",
    "west2",
    "Q3",
    "us-east-1",
    "eu-west-2",
    "NYC",
    "LAX",
    "NOK",
    "DKK",
];

/// An answered request; method, path and actor are filled in.
pub fn blank_event() -> Event {
    Event {
        id: RequestId::from_bits(0),
        time: Timestamp::from_millis(0),
        source: Source::Exchanges,
        client: Client { ip: None, via: None, tls_version: None },
        actor: Actor { kind: ActorKind::Credential, id: "".into() },
        scheme: Scheme::Https,
        version: HttpVersion::Http11,
        host: "api.example".into(),
        method: "GET".into(),
        path: "/".into(),
        api: None,
        endpoint: None,
        parameters: Vec::new(),
        auth: AuthKinds::NONE,
        principal: None,
        cache_status: None,
        user_agent: None,
        request_type: None,
        response_type: None,
        ending: Ending::Answered,
        status: 200,
        request_bytes: 0,
        response_bytes: 0,
        duration_us: 0,
        upstream_us: None,
        upstream: None,
        findings: Vec::new(),
        decision: Decision::default(),
        missing: Missing::default(),
    }
}
