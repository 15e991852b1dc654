//! Revocation lists, for tests here and in `tests/scenarios`.

use rcgen::{
    CertificateRevocationListParams, CertifiedIssuer, Error, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
    date_time_ymd,
};

/// A list of `issuer` on which `serials` stand, good until `next_year` begins.
pub fn list(issuer: &CertifiedIssuer<'_, KeyPair>, serials: &[u64], next_year: i32) -> Result<String, Error> {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2024, 6, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 6, 1),
        next_update: date_time_ymd(next_year, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(issuer)?.pem()
}
