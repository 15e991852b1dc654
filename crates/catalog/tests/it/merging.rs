//! Merges and taking them back: nothing is lost, nothing counted twice, the decision holds.

use bartizan_catalog::{Catalog, UndoError};
use bartizan_model::EndpointId;
use proptest::prelude::*;

use crate::build::{answered, catalog, learned};

const NAMES: [&str; 8] = ["alwyn", "brunhild", "cosmina", "dietlind", "eoghan", "fenella", "gudrun", "hyacinth"];

fn id(catalog: &Catalog, template: &str) -> EndpointId {
    let found = catalog.learned().into_iter().find(|endpoint| endpoint.template.to_string() == template);
    found.unwrap_or_else(|| panic!("{template} in {:?}", learned(catalog))).id()
}

fn requests(catalog: &Catalog) -> u64 {
    catalog.endpoints().iter().map(|record| record.requests).sum()
}

fn merged() -> Catalog {
    let mut catalog = catalog();
    for (number, name) in NAMES.iter().enumerate() {
        for page in ["posts", "likes"] {
            catalog.observe(&answered("GET", &format!("/users/{name}/{page}"), &format!("actor {number}"), 200));
        }
    }
    assert_eq!(learned(&catalog), ["GET /users/{user}/likes", "GET /users/{user}/posts"]);
    catalog
}

#[test]
fn a_merge_adds_the_records_up() {
    let catalog = merged();
    let records = catalog.endpoints();
    assert_eq!(requests(&catalog), 16);
    assert!(records.iter().all(|record| record.requests == 8 && record.callers_distinct == 8), "{records:#?}");
    assert!(records.iter().all(|record| record.merges.len() == 1 && record.merges[0].undoable));
    assert_eq!(records[0].merges[0].values_seen, 8);
    assert_eq!(records[0].parameters[0].kinds.iter().map(|kind| kind.count).sum::<u64>(), 8);
}

#[test]
fn an_undone_merge_splits_the_records_again() {
    let mut catalog = merged();
    let restored = catalog.undo_merge(id(&catalog, "/users/{user}/posts"), 1).unwrap();
    assert!(restored.len() >= 4, "{restored:?}");
    assert_eq!(requests(&catalog), 16);
    assert!(learned(&catalog).iter().all(|template| !template.contains('{')), "{:?}", learned(&catalog));
}

#[test]
fn an_undone_merge_does_not_come_back() {
    let mut catalog = merged();
    catalog.undo_merge(id(&catalog, "/users/{user}/posts"), 1).unwrap();
    for name in ["ingeborg", "joachim", "kunigunde", "liutgard", "marten"] {
        catalog.observe(&answered("GET", &format!("/users/{name}/posts"), name, 200));
    }
    assert!(learned(&catalog).iter().all(|template| !template.contains('{')), "{:?}", learned(&catalog));
    let mut again = Catalog::load(Default::default(), catalog.save());
    again.observe(&answered("GET", "/users/77/posts", "x", 200));
    assert!(learned(&again).contains(&"GET /users/77/posts".to_owned()));
}

#[test]
fn a_number_can_be_made_a_literal() {
    let mut catalog = catalog();
    catalog.observe(&answered("GET", "/reports/2024", "a", 200));
    catalog.observe(&answered("GET", "/reports/2025", "a", 200));
    catalog.observe(&answered("GET", "/reports/2025", "b", 200));
    catalog.undo_merge(id(&catalog, "/reports/{reportId}"), 1).unwrap();
    assert_eq!(learned(&catalog), ["GET /reports/2025"]);
    catalog.observe(&answered("GET", "/reports/2024", "a", 200));
    assert_eq!(learned(&catalog), ["GET /reports/2024", "GET /reports/2025"]);
    assert_eq!(requests(&catalog), 4);
}

#[test]
fn a_parameter_with_countless_values_cannot_be_split() {
    let mut catalog = catalog();
    for number in 0..100 {
        catalog.observe(&answered("GET", &format!("/orders/{number}"), "a", 200));
    }
    let orders = id(&catalog, "/orders/{orderId}");
    assert_eq!(catalog.undo_merge(orders, 1), Err(UndoError::ValuesForgotten));
    assert_eq!(catalog.undo_merge(orders, 0), Err(UndoError::NotAParameter));
    assert_eq!(catalog.undo_merge(orders, 9), Err(UndoError::NotAParameter));
    assert!(!catalog.endpoints()[0].merges[0].undoable);
    let other = id(&merged(), "/users/{user}/posts");
    assert_eq!(catalog.undo_merge(other, 1), Err(UndoError::UnknownEndpoint));
}

#[test]
fn the_revision_rises_with_every_change_of_templates_only() {
    let mut catalog = merged();
    let before = catalog.revision();
    catalog.observe(&answered("GET", "/users/alwyn/posts", "z", 200));
    catalog.observe(&answered("GET", "/users/nepomuk/posts", "z", 200));
    catalog.observe(&answered("GET", "/nowhere", "z", 404));
    assert_eq!(catalog.revision(), before);
    catalog.observe(&answered("GET", "/health", "z", 200));
    assert!(catalog.revision() > before);
    let before = catalog.revision();
    catalog.undo_merge(id(&catalog, "/users/{user}/posts"), 1).unwrap();
    assert!(catalog.revision() > before);
}

#[test]
fn what_was_observed_resolves_to_the_same_endpoint() {
    let mut catalog = merged();
    let observed = catalog.observe(&answered("GET", "/users/nepomuk/posts", "z", 200)).unwrap();
    assert_eq!(catalog.resolve("GET", "api.example", "/users/nepomuk/posts"), Some(observed.clone()));
    assert_eq!(&*observed.template, "/users/{user}/posts");
    assert_eq!(catalog.resolve("PUT", "api.example", "/users/nepomuk/posts"), None);
    assert_eq!(catalog.resolve("GET", "b.example", "/users/nepomuk/posts"), None);
}

/// A path over a small alphabet of names, numbers and values, so that merges happen often.
fn paths() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        prop::sample::select(vec!["users", "orders", "me", "v1", ""]),
        prop::sample::select(NAMES.to_vec()),
        prop::sample::select(vec!["1", "22", "550e8400-e29b-41d4-a716-446655440000", "AB-12", "x%20y"]),
    ];
    prop::collection::vec(segment, 1..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_are_conserved_by_merges_and_undos(
        traffic in prop::collection::vec((paths(), 0..6_u8, any::<bool>()), 1..120),
        undos in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize), 0..6),
    ) {
        let mut catalog = catalog();
        for (path, actor, post) in &traffic {
            let method = if *post { "POST" } else { "GET" };
            let placed = catalog.observe(&answered(method, path, &actor.to_string(), 200));
            prop_assert!(placed.is_some());
            prop_assert_eq!(placed, catalog.resolve(method, "api.example", path));
        }
        prop_assert_eq!(requests(&catalog), traffic.len() as u64);
        for (which, position) in undos {
            let known = catalog.learned();
            let _ = catalog.undo_merge(which.get(&known).id(), position);
            prop_assert_eq!(requests(&catalog), traffic.len() as u64);
            let ids: std::collections::BTreeSet<_> = catalog.learned().iter().map(bartizan_model::Endpoint::id).collect();
            prop_assert_eq!(ids.len(), catalog.learned().len());
            prop_assert_eq!(Catalog::load(Default::default(), catalog.save()).save(), catalog.save());
        }
    }
}
