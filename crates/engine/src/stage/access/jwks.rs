//! JSON Web Keys: parsed once, used for one purpose, found by name.
//!
//! A key that is unusable is left out of its set, as RFC 7517 §5 asks: unknown kind, another `use`, too short, a private
//! key that somebody published, a key from a broken generator. So are secrets beside public keys (an attacker who knows a
//! public key must never find it used as a secret), secrets that came over the network, and two different keys of one
//! name. Verification is `ring`'s: it refuses points off the curve, malleable lengths and RSA below 2048 bits.
//! Sources: RFC 7517, RFC 7518 §6, RFC 7638, RFC 8037 §2, RFC 8725 §3; CVE-2017-15361 (ROCA).

use bartizan_config::JwtAlgorithm;
use bartizan_model::Secret;
use ring::{digest, hmac, signature};
use serde_json::{Map, Value};

use super::jose;

/// LIMIT: bytes of a key set; the largest of the big issuers has 20 KB.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// LIMIT: keys of a set that are kept; issuers rotate between two and a dozen.
const KEYS_MAX: usize = 64;
/// LIMIT: bytes of an RSA modulus: 8192 bits, what `ring` takes; time grows with its square.
const MODULUS_BYTES_MAX: usize = 1024;
/// LIMIT: least bytes of an RSA modulus (RFC 7518 §3.3).
const MODULUS_BYTES_MIN: usize = 256;

/// One usable key.
#[derive(Debug)]
pub(crate) struct Key {
    id: Option<Box<str>>,
    /// The only algorithm it may be used with, when it says so
    algorithm: Option<JwtAlgorithm>,
    material: Material,
    thumbprint: [u8; 32],
}

#[derive(Debug)]
enum Material {
    Rsa {
        modulus: Box<[u8]>,
        exponent: Box<[u8]>,
    },
    /// Uncompressed point
    P256(Box<[u8]>),
    /// Uncompressed point
    P384(Box<[u8]>),
    Ed25519(Box<[u8]>),
    Symmetric(Secret<Box<[u8]>>),
}

/// The keys of one issuer.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<Key>);

/// Where a key set came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file of the operator's: may hold secrets
    File,
    /// The network: what is published is no secret
    Network,
}

/// What became of looking for a key.
#[derive(Debug)]
pub(crate) enum Lookup<'k> {
    Found(&'k Key),
    /// There is no such key, or without a name more than one
    Unknown,
    /// The key of this name is for another algorithm
    WrongKind,
}

impl Keys {
    /// Reads a key set, and says how many of its keys were left out. `None` when it is no key set.
    pub(crate) fn parse(document: &[u8], origin: Origin) -> Option<(Self, usize)> {
        if document.len() > DOCUMENT_BYTES_MAX {
            return None;
        }
        let members = jose::object(document)?;
        let Some(Value::Array(listed)) = members.get("keys") else { return None };
        let mut keys: Vec<Key> = Vec::new();
        for key in listed.iter().filter_map(Value::as_object).filter_map(Key::parse).take(KEYS_MAX) {
            if !keys.iter().any(|known| known.thumbprint == key.thumbprint && known.id == key.id) {
                keys.push(key);
            }
        }
        let has_public = listed.iter().any(|key| key.get("kty").is_some_and(|kind| kind != "oct"));
        if has_public || origin == Origin::Network {
            keys.retain(|key| !key.is_symmetric());
        }
        keys.retain(|key| key.id.as_deref().is_none_or(|id| !is_ambiguous(listed, id)));
        let left_out = listed.len().saturating_sub(keys.len());
        Some((Self(keys), left_out))
    }

    /// How many keys can be used.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of this name for `algorithm`; without a name, the only key for it.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: JwtAlgorithm) -> Lookup<'_> {
        if let Some(named) = id.and_then(|id| self.0.iter().find(|key| key.id.as_deref() == Some(id))) {
            return if named.fits(algorithm) { Lookup::Found(named) } else { Lookup::WrongKind };
        }
        let mut fitting = self.0.iter().filter(|key| (id.is_none() || key.id.is_none()) && key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Lookup::Found(only),
            (Some(_), Some(_)) => Lookup::Unknown,
            (None, _) if id.is_none() && !self.0.is_empty() => Lookup::WrongKind,
            (None, _) => Lookup::Unknown,
        }
    }
}

/// Whether different keys for signatures have this name, usable or not: nothing says which of them is meant.
fn is_ambiguous(listed: &[Value], id: &str) -> bool {
    let mut named = listed.iter().filter(|key| {
        key.get("kid").is_some_and(|name| name == id) && key.get("use").is_none_or(|purpose| purpose != "enc")
    });
    let first = named.next();
    named.any(|other| Some(other) != first)
}

impl Key {
    /// A key for checking signatures; `None` when it is not one, or not one that can be trusted.
    pub(crate) fn parse(members: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let bytes = |name: &str| jose::base64url(text(name)?.as_bytes()).map(Vec::into_boxed_slice);
        let algorithm = match members.get("alg") {
            None => None,
            Some(name) => Some(jose::algorithm(name.as_str()?)?),
        };
        if members.get("use").is_some_and(|purpose| purpose != "sig") || !may_verify(members.get("key_ops")) {
            return None;
        }
        let id = match members.get("kid") {
            None => None,
            Some(id) => Some(id.as_str().filter(|id| id.len() <= jose::KEY_ID_BYTES_MAX)?.into()),
        };
        let is_private = members.contains_key("d");
        let material = match text("kty")? {
            "oct" => Material::Symmetric(Secret::new(bytes("k")?)),
            _ if is_private => return None,
            "RSA" => rsa(bytes("n")?, bytes("e")?)?,
            "EC" => match text("crv")? {
                "P-256" => Material::P256(point(&bytes("x")?, &bytes("y")?, 32)?),
                "P-384" => Material::P384(point(&bytes("x")?, &bytes("y")?, 48)?),
                _ => return None,
            },
            "OKP" if text("crv")? == "Ed25519" => Material::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
            _ => return None,
        };
        let key = Self { id, algorithm, thumbprint: thumbprint(members)?, material };
        let is_usable = JwtAlgorithm::ALL.into_iter().any(|algorithm| key.fits(algorithm));
        is_usable.then_some(key)
    }

    /// SHA-256 over the members that make the key (RFC 7638 §3).
    pub(crate) const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The key's name.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(crate) const fn is_symmetric(&self) -> bool {
        matches!(self.material, Material::Symmetric(_))
    }

    /// Whether this key may check signatures of this algorithm: the kinds must match, which is what stops a public key
    /// from being used as a secret (RFC 8725 §3.1).
    pub(crate) fn fits(&self, algorithm: JwtAlgorithm) -> bool {
        use JwtAlgorithm::{EdDsa, Es256, Es384, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let kind_fits = match (&self.material, algorithm) {
            (Material::Rsa { .. }, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512) => true,
            (Material::P256(_), Es256) | (Material::P384(_), Es384) | (Material::Ed25519(_), EdDsa) => true,
            // A secret shorter than the hash is guessed sooner than the hash is broken (RFC 7518 §3.2).
            (Material::Symmetric(secret), Hs256) => secret.expose().len() >= 32,
            (Material::Symmetric(secret), Hs384) => secret.expose().len() >= 48,
            (Material::Symmetric(secret), Hs512) => secret.expose().len() >= 64,
            (
                Material::Rsa { .. }
                | Material::P256(_)
                | Material::P384(_)
                | Material::Ed25519(_)
                | Material::Symmetric(_),
                _,
            ) => false,
        };
        kind_fits && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether `signature` over `message` was made with this key.
    pub(crate) fn verifies(&self, algorithm: JwtAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = signature::RsaPublicKeyComponents { n: &**modulus, e: &**exponent };
                rsa_parameters(algorithm).is_some_and(|parameters| key.verify(parameters, message, signature).is_ok())
            }
            Material::P256(point) => verifies(&signature::ECDSA_P256_SHA256_FIXED, point, message, signature),
            Material::P384(point) => verifies(&signature::ECDSA_P384_SHA384_FIXED, point, message, signature),
            Material::Ed25519(point) => verifies(&signature::ED25519, point, message, signature),
            Material::Symmetric(secret) => hmac_algorithm(algorithm).is_some_and(|algorithm| {
                hmac::verify(&hmac::Key::new(algorithm, secret.expose()), message, signature).is_ok()
            }),
        }
    }
}

fn verifies(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    point: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    signature::UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
}

const fn rsa_parameters(algorithm: JwtAlgorithm) -> Option<&'static signature::RsaParameters> {
    match algorithm {
        JwtAlgorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        JwtAlgorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        JwtAlgorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        JwtAlgorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        JwtAlgorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        JwtAlgorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        JwtAlgorithm::Es256
        | JwtAlgorithm::Es384
        | JwtAlgorithm::EdDsa
        | JwtAlgorithm::Hs256
        | JwtAlgorithm::Hs384
        | JwtAlgorithm::Hs512 => None,
    }
}

fn hmac_algorithm(algorithm: JwtAlgorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        JwtAlgorithm::Hs256 => Some(hmac::HMAC_SHA256),
        JwtAlgorithm::Hs384 => Some(hmac::HMAC_SHA384),
        JwtAlgorithm::Hs512 => Some(hmac::HMAC_SHA512),
        JwtAlgorithm::Rs256
        | JwtAlgorithm::Rs384
        | JwtAlgorithm::Rs512
        | JwtAlgorithm::Ps256
        | JwtAlgorithm::Ps384
        | JwtAlgorithm::Ps512
        | JwtAlgorithm::Es256
        | JwtAlgorithm::Es384
        | JwtAlgorithm::EdDsa => None,
    }
}

/// Whether the key may check signatures, as far as it says (RFC 7517 §4.3).
fn may_verify(operations: Option<&Value>) -> bool {
    match operations {
        None => true,
        Some(Value::Array(listed)) => listed.iter().any(|operation| operation == "verify"),
        Some(_) => false,
    }
}

fn rsa(modulus: Box<[u8]>, exponent: Box<[u8]>) -> Option<Material> {
    let size = MODULUS_BYTES_MIN..=MODULUS_BYTES_MAX;
    let is_minimal = |number: &[u8]| number.first().is_some_and(|first| *first != 0);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let has_exponent = exponent.len() <= 4 && is_odd(&exponent) && *exponent != [1];
    let is_sound = size.contains(&modulus.len()) && is_minimal(&modulus) && is_minimal(&exponent) && is_odd(&modulus);
    (is_sound && has_exponent && !is_roca(&modulus)).then_some(Material::Rsa { modulus, exponent })
}

/// Whether a modulus shows the mark of Infineon's generator (CVE-2017-15361): modulo each of these primes it is a power
/// of 65537. By chance about one modulus in 2^27 does.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.into_iter().all(|prime| {
        let residue = modulus.iter().fold(0, |rest: u32, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * (65_537 % prime) % prime;
            power == residue
        })
    })
}

/// An uncompressed point (SEC 1 §2.3.3) of two coordinates of full length (RFC 7518 §6.2.1.2).
fn point(x: &[u8], y: &[u8], bytes: usize) -> Option<Box<[u8]>> {
    (x.len() == bytes && y.len() == bytes).then(|| [&[4], x, y].concat().into_boxed_slice())
}

/// SHA-256 of the required members in the order of their names (RFC 7638 §3.2, RFC 8037 §2).
fn thumbprint(members: &Map<String, Value>) -> Option<[u8; 32]> {
    let kind = members.get("kty")?.as_str()?;
    let names: &[&str] = match kind {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "oct" => &["k", "kty"],
        _ => return None,
    };
    let mut text = String::from("{");
    for name in names {
        let value = members.get(*name)?;
        let comma = if text.len() > 1 { "," } else { "" };
        value.as_str()?;
        text.push_str(&format!("{comma}\"{name}\":{value}"));
    }
    text.push('}');
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let text = format!(r#"{{"kty":"RSA","n":"{modulus}","e":"AQAB","alg":"RS256","kid":"2011-04-29"}}"#);
        let key = Key::parse(&jose::object(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(key.thumbprint()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_private_key_that_was_published_is_left_out() {
        let set = |extra: &str| {
            format!(
                r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"{extra}}}]}}"#
            )
        };
        let count =
            |text: &str| Keys::parse(text.as_bytes(), Origin::File).map(|(keys, left_out)| (keys.len(), left_out));
        assert_eq!(count(&set("")), Some((1, 0)));
        assert_eq!(count(&set(r#","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A""#)), Some((0, 1)));
        assert_eq!(count(&set(r#","use":"enc""#)), Some((0, 1)));
        assert_eq!(count("[]"), None);
    }

    #[test]
    fn a_secret_is_taken_from_a_file_of_secrets_only() {
        let secret = r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let public = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let secrets = |keys: &str, origin| {
            let (keys, _) = Keys::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes(), origin).unwrap();
            keys.0.iter().filter(|key| key.is_symmetric()).count()
        };
        assert_eq!(secrets(secret, Origin::File), 1);
        assert_eq!(secrets(secret, Origin::Network), 0);
        assert_eq!(secrets(&format!("{secret},{public}"), Origin::File), 0);
    }
}
