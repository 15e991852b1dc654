//! Who calls: tables of cases for each method of authentication, driven as a host drives the engine.
//!
//! A table's row says what a request carries and which check must notice it; a row without a check must be let in. Rows
//! count as cases of the checks they name.

mod api_key;
mod asked;
mod authorize;
mod authorize_evasion;
mod authorize_lookup;
mod continuity;
pub mod desk;
mod dpop;
mod external;
mod jwt;
mod mtls;
mod plans;
mod rfc;
mod signature;
mod wycheproof;

use std::collections::BTreeMap;

/// Adds the rows of every table: which checks they make fire, and which must stay quiet.
pub fn tally(fires: &mut BTreeMap<String, u32>, quiet: &mut BTreeMap<String, u32>) {
    let tables = [
        jwt::tally(),
        dpop::tally(),
        external::tally(),
        api_key::tally(),
        mtls::tally(),
        asked::tally(),
        signature::tally(),
        authorize::tally(),
        plans::tally(),
        continuity::tally(),
    ];
    for (check, is_quiet) in tables.into_iter().flatten() {
        let tally = if is_quiet { &mut *quiet } else { &mut *fires };
        *tally.entry(check.to_owned()).or_insert(0) += 1;
    }
}

/// What a table's rows stand for: the check each must make fire, and for those that are let in, that all of the
/// table's checks are quiet.
pub fn rows(expected: &[Option<&'static str>]) -> Vec<(&'static str, bool)> {
    let mut checks: Vec<&'static str> = expected.iter().copied().flatten().collect();
    let fires: Vec<_> = checks.iter().map(|check| (*check, false)).collect();
    checks.sort_unstable();
    checks.dedup();
    let welcome = expected.iter().filter(|check| check.is_none()).count();
    let quiet = checks.iter().flat_map(|check| std::iter::repeat_n((*check, true), welcome));
    fires.into_iter().chain(quiet).collect()
}
