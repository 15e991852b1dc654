//! Attackers who know the profile: text of people, filters, placeholders and HTML beside an attack, and in front of it.
//!
//! `rules/api-profile.conf` takes rules of the Core Rule Set off values that are such text. Nobody may get an attack past
//! them by sending such a value as well; what begins like text itself is judged by fewer rules, and how many that leaves
//! is held here. The tuning set serves: the other two are for judging only.

use std::sync::Arc;

use anyhow::Result;
use bartizan_waf::{Gates, Plan};

use crate::encode::component;
use crate::engine::{self, Configuration};
use crate::sample::Sample;

/// Values that rules 9598010 to 9598050 take for what people, editors and query APIs send.
const LURES: [(&str, &str); 4] = [
    ("prose", "please have a look at this, thank you"),
    ("filter", "status eq 'open'"),
    ("placeholder", "{{ user.name }}"),
    ("html", "<p>fine</p>"),
];

/// Classes that text in front does not break: those that begin a value, as a token or a URL does, would be none any more.
const LED_CLASSES: [&str; 13] = [
    "code",
    "command-unix",
    "command-windows",
    "expression",
    "ldap",
    "log4shell",
    "php",
    "server-include",
    "sql-act",
    "sql-read",
    "template",
    "xpath",
    "xss",
];

/// Of attacks with a lure in front, in the same value: how many are stopped at least, in percent. To be raised, never
/// lowered.
const LED_PERCENT_MIN: [f64; 4] = [63.0, 96.0, 96.0, 96.0];

fn attacks() -> Result<Vec<Sample>> {
    let mut samples = crate::generate("tuning")?;
    samples.retain(|sample| sample.is_attack);
    Ok(samples)
}

/// The rules that a gateway runs, and those of the Core Rule Set behind the profile alone: what these catch must not hang
/// on whether our own rules catch it, too.
fn plans() -> Result<Vec<Arc<Plan>>> {
    let Some(rule_set) = engine::rule_set_folder() else {
        eprintln!("SKIPPED: no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`: evasion was NOT tested");
        return Ok(Vec::new());
    };
    [Configuration::Both, Configuration::Profile].map(|one| one.plan(&rule_set, Gates::All)).into_iter().collect()
}

fn is_stopped(plan: &Arc<Plan>, sample: &Sample) -> bool {
    engine::judge(plan, sample).is_stopped
}

/// The request with one more parameter in its query.
fn with_parameter(sample: &Sample, name: &str, value: &str, is_first: bool) -> Sample {
    let pair = format!("{name}={}", component(value));
    let target = match sample.target.split_once('?') {
        Some((path, query)) if is_first => format!("{path}?{pair}&{query}"),
        Some(_) => format!("{}&{pair}", sample.target),
        None => format!("{}?{pair}", sample.target),
    };
    Sample { target, ..sample.clone() }
}

#[test]
fn a_harmless_argument_beside_an_attack_hides_nothing() -> Result<()> {
    let attacks = attacks()?;
    for plan in plans()? {
        let caught: Vec<&Sample> = attacks.iter().filter(|sample| is_stopped(&plan, sample)).collect();
        assert!(caught.len() > 500, "{} attacks are caught", caught.len());
        for (number, (lure, value)) in LURES.iter().enumerate() {
            let is_first = number % 2 == 0;
            let lured = |sample: &Sample| with_parameter(sample, "about", value, is_first);
            let hidden: Vec<&&Sample> = caught.iter().filter(|sample| !is_stopped(&plan, &lured(sample))).collect();
            assert!(hidden.is_empty(), "{lure} hides {} attacks: {:#?}", hidden.len(), hidden.first());
        }
    }
    Ok(())
}

#[test]
fn a_harmless_argument_of_the_same_name_hides_nothing() -> Result<()> {
    let attacks = attacks()?;
    for plan in plans()? {
        for sample in attacks.iter().filter(|sample| sample.place == "query" && is_stopped(&plan, sample)) {
            let last = sample.target.rsplit(['?', '&']).next().unwrap_or_default();
            let Some((name, _)) = last.split_once('=') else { continue };
            for (lure, value) in LURES {
                for is_first in [false, true] {
                    let lured = with_parameter(sample, name, value, is_first);
                    assert!(is_stopped(&plan, &lured), "{lure} hides {sample:#?}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn harmless_arguments_are_let_through() -> Result<()> {
    let plans = plans()?;
    for (lure, value) in LURES {
        let sample = Sample { method: "GET".to_owned(), target: "/v1/items".to_owned(), ..Sample::default() };
        let sample = sample.with("Host", "api.example.com").with("User-Agent", "curl/8.9").with("Accept", "*/*");
        for plan in &plans {
            let verdict = engine::judge(plan, &with_parameter(&sample, "about", value, true));
            assert!(!verdict.is_stopped, "{lure}: {verdict:?}");
        }
    }
    Ok(())
}

#[test]
fn an_attack_that_begins_like_text_is_caught_as_often_as_before() -> Result<()> {
    let Some(plan) = plans()?.into_iter().next() else { return Ok(()) };
    let attacks = attacks()?;
    let attacks = attacks.iter().filter(|sample| {
        let is_led = LED_CLASSES.contains(&sample.class.as_str());
        is_led && sample.place == "query" && sample.encoding == "plain"
    });
    let attacks: Vec<&Sample> = attacks.filter(|sample| is_stopped(&plan, sample)).collect();
    let mut shares = Vec::new();
    for (lure, text) in LURES {
        let led = |sample: &&&Sample| {
            let (before, value) = sample.target.rsplit_once('=')?;
            Some(Sample { target: format!("{before}={}%20{value}", component(text)), ..(**sample).clone() })
        };
        let caught: Vec<bool> =
            attacks.iter().filter_map(|sample| led(&sample)).map(|led| is_stopped(&plan, &led)).collect();
        let stopped = caught.iter().filter(|is_caught| **is_caught).count();
        println!("{lure} in front: {stopped} of {} stopped", caught.len());
        let mut missed: Vec<&str> = attacks
            .iter()
            .zip(&caught)
            .filter(|(_, is_caught)| !**is_caught)
            .map(|(sample, _)| &*sample.class)
            .collect();
        missed.sort_unstable();
        for class in missed.chunk_by(|one, other| one == other) {
            println!("    missed: {} {}", class[0], class.len());
        }
        shares.push(100.0 * stopped as f64 / caught.len().max(1) as f64);
    }
    for ((share, min), (lure, _)) in shares.iter().zip(LED_PERCENT_MIN).zip(LURES) {
        assert!(*share >= min, "{lure} in front: {share:.1} % are stopped, {min} % were");
    }
    Ok(())
}
