//! The stages a request's head goes through, in order. Each is a `fn`; the list below is the whole order.
//!
//! A stage reads the head and what the stages before it found, and pushes findings. After each one `decide` looks at
//! the findings; the first enforced deny ends the walk.

pub(crate) mod access;
pub(crate) mod content;
pub(crate) mod identify;
pub(crate) mod limit;
pub(crate) mod route;
pub(crate) mod threat;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use bartizan_model::{Client, EndpointRef, RequestHead, RequestId, Source, Timestamp};
use smallvec::SmallVec;

use crate::bounded::Digest;
use crate::credential::Credentials;
use crate::decide::Notices;
use crate::edits::Edits;
use crate::fields::Fields;
use crate::held::HeldBody;
use crate::host::Host;
use crate::networks::AddressFacts;
use crate::path::Readings;
use crate::policy::{Policy, PolicyIndex};
use crate::question::Asked;
use crate::snapshot::{Route, Snapshot};
use access::api_key::KnownKey;
use access::authorize::Authorizing;
use access::cors::Told;
use access::signature::BodyDigest;
use access::verified::{Verified, Who};
use access::watch::Watches;
use content::Contents;
use limit::body::BodyGate;
use limit::rate::Rates;
use threat::Threats;

/// One stage: its name in traces, and what it does.
pub(crate) type Stage = (&'static str, fn(&mut HeadContext<'_>));

/// Name of the stage that counts: what stops a request before it is counted where all requests count.
pub(crate) const LIMIT: &str = "limit";

/// What a request's head goes through.
pub(crate) const REQUEST_HEAD: &[Stage] = &[
    ("identify", identify::run),
    ("route", route::run),
    ("access", access::run),
    ("authenticate", access::authenticate::run),
    ("continuity", access::continuity::run),
    ("authorize", access::authorize::run),
    (LIMIT, limit::run),
    ("content", content::run),
    ("threat", threat::run),
];

/// What a stage sees.
pub(crate) struct HeadContext<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) source: Source,
    pub(crate) id: RequestId,
    pub(crate) now: Timestamp,
    /// The other end of the connection
    pub(crate) peer: Option<IpAddr>,
    /// Our end
    pub(crate) local: Option<SocketAddr>,
    /// The client's certificate and what vouches for it: DER, leaf first
    pub(crate) client_chain: &'a [Arc<[u8]>],
    /// Credentials are as they were sent; else they may be masked, and prove nothing
    pub(crate) are_credentials_whole: bool,
    /// The recording lacks header fields: their absence proves nothing
    pub(crate) lacks_headers: bool,
    pub(crate) head: &'a RequestHead<'a>,
    pub(crate) fields: &'a Fields<'a>,
    /// Seen, not verified
    pub(crate) credentials: &'a Credentials<'a>,
    pub(crate) readings: &'a Readings<'a>,
    /// What stages found out for those after them and for the event
    pub(crate) facts: &'a mut Facts,
    /// Questions to the host
    pub(crate) asked: &'a mut Asked,
    pub(crate) body: &'a mut BodyGate,
    /// What is kept of the body
    pub(crate) held: &'a mut HeldBody,
    pub(crate) watches: &'a mut Watches,
    pub(crate) contents: &'a mut Contents,
    pub(crate) threats: &'a mut Threats,
    /// What was counted for it
    pub(crate) rates: &'a mut Rates,
    pub(crate) notices: &'a mut Notices,
}

impl HeadContext<'_> {
    /// What is known of the client's address: looked up once, by whoever asks first after the client is known.
    pub(crate) fn address_facts(&self) -> &AddressFacts {
        let find = |address| self.snapshot.address_data().find(address);
        self.facts.address.get_or_init(|| self.facts.client.ip.map(find).unwrap_or_default())
    }
}

/// What is known of an exchange once its head went through the stages.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) client: Client,
    /// What files say of the client's address, once somebody asked
    pub(crate) address: OnceLock<AddressFacts>,
    /// A second address that the client may have, when forwarding headers contradict each other
    pub(crate) rival: Option<IpAddr>,
    pub(crate) host: Option<Host>,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) endpoint: Option<EndpointRef>,
    /// Policies that apply, in the order written
    pub(crate) policies: SmallVec<[PolicyIndex; 8]>,
    /// What browsers are told of pages of other origins
    pub(crate) cors: Option<Told>,
    /// Who calls, by the first policy that knows
    pub(crate) caller: Option<Arc<Verified>>,
    /// By which of its methods it knows
    pub(crate) known_by: Option<(PolicyIndex, usize)>,
    /// Whether a recording lacks what would tell who called
    pub(crate) is_caller_unjudged: bool,
    /// The policy that let an API key in, one that enforces if there is any: it answers for what the key may use
    pub(crate) metered: Option<Metered>,
    /// What a refusal of a policy must say in `WWW-Authenticate`
    pub(crate) challenges: Vec<(PolicyIndex, Vec<String>)>,
    /// Changes to what the upstream gets
    pub(crate) edits: Edits,
    /// Proofs that this exchange has used up
    pub(crate) proofs: SmallVec<[Digest; 1]>,
    /// A nonce that the client shall use from now on (RFC 9449 §8.2)
    pub(crate) fresh_nonce: Option<String>,
    /// What the body must be, by the signatures over it
    pub(crate) body_digests: Vec<BodyDigest>,
    /// What policies have yet to see before they permit it
    pub(crate) authorizing: Authorizing,
}

/// An API key that was let in, beside whatever else the request carries.
#[derive(Debug)]
pub(crate) struct Metered {
    pub(crate) by: PolicyIndex,
    pub(crate) key: Arc<KnownKey>,
}

impl Facts {
    /// Who calls, when a policy knows.
    pub(crate) fn caller(&self) -> Option<&Who> {
        self.caller.as_ref().and_then(|verified| verified.who.as_ref().ok())
    }

    /// Whether the body streams by unread; what no API is known for does.
    pub(crate) fn is_streaming(&self) -> bool {
        self.route.as_ref().is_none_or(|route| route.streaming)
    }

    /// Whether the request is a preflight that is answered here.
    pub(crate) fn is_preflight(&self) -> bool {
        self.route.is_some() && self.cors.as_ref().is_some_and(|told| told.is_preflight)
    }
}

/// The policies that apply, with their numbers.
pub(crate) fn applying<'a>(
    snapshot: &'a Snapshot,
    facts: &'a Facts,
) -> impl Iterator<Item = (PolicyIndex, &'a Policy)> + 'a {
    facts.policies.iter().filter_map(|index| snapshot.policies().policy(*index).map(|policy| (*index, policy)))
}
