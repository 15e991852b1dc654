//! Saved and loaded: the same catalog, and no trust in rows.

use bartizan_catalog::{Catalog, CatalogLimits, CatalogRow};
use proptest::prelude::*;

use crate::build::{answered, catalog, learned};

fn busy() -> Catalog {
    let mut catalog = catalog();
    for number in 0..200 {
        let path = match number % 5 {
            0 => format!("/users/{number}/orders"),
            1 => format!("/tags/name{}x", "abcdefghij".get(number % 10..).unwrap()),
            2 => "/health".to_owned(),
            3 => format!("/repos/o{}wner/r{number}epo/pulls", number % 7),
            _ => format!("/admin/{number}"),
        };
        let status = if number % 5 == 4 { 401 } else { 200 };
        catalog.observe(&answered("GET", &path, &format!("actor {}", number % 80), status));
    }
    catalog
}

fn reload(rows: Vec<CatalogRow>) -> Catalog {
    Catalog::load(CatalogLimits::default(), rows)
}

#[test]
fn a_catalog_survives_saving() {
    let mut catalog = busy();
    let mut again = reload(catalog.save());
    assert_eq!(again.save(), catalog.save());
    assert_eq!(again.endpoints(), catalog.endpoints());
    assert_eq!(again.learned(), catalog.learned());
    assert_eq!(again.stats().bad_rows, 0);
    for path in ["/users/9/orders", "/fresh", "/tags/zzyzx", "/health"] {
        let event = answered("GET", path, "late", 200);
        assert_eq!(again.observe(&event), catalog.observe(&event));
    }
    assert_eq!(again.save(), catalog.save());
}

#[test]
fn keys_are_unique_and_in_order() {
    let rows = busy().save();
    assert!(rows.is_sorted_by(|a, b| a.key < b.key));
}

#[test]
fn the_same_events_give_the_same_rows() {
    assert_eq!(busy().save(), busy().save());
}

#[test]
fn a_missing_or_unreadable_row_costs_only_itself() {
    let rows = busy().save();
    for left_out in 0..rows.len() {
        let mut some = rows.clone();
        let gone = some.remove(left_out);
        let catalog = reload(some.clone());
        if gone.key.starts_with("endpoint:") {
            assert_eq!(catalog.learned().len(), busy().learned().len() - 1, "{}", gone.key);
        } else {
            assert!(catalog.learned().is_empty());
        }
        some.push(CatalogRow { key: gone.key, json: "{".into() });
        assert!(reload(some).stats().bad_rows > 0);
    }
}

#[test]
fn a_catalog_with_missing_rows_learns_on() {
    let mut rows = busy().save();
    rows.retain(|row| !row.key.ends_with('1'));
    let mut catalog = reload(rows);
    for number in 0..50 {
        assert!(catalog.observe(&answered("GET", &format!("/users/{number}/orders"), "a", 200)).is_some());
    }
    assert!(learned(&catalog).contains(&"GET /users/{userId}/orders".to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_rows_never_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with in "[0-9a-z\\[\\]{}\",:]{0,3}") {
        let mut rows = busy().save();
        let row = which.get(&rows).clone();
        let cut = at.index(row.json.len());
        if row.json.is_char_boundary(cut) {
            let json = format!("{}{with}{}", &row.json[..cut], row.json[cut..].chars().skip(1).collect::<String>());
            rows.iter_mut().filter(|known| known.key == row.key).for_each(|known| known.json.clone_from(&json));
            let mut catalog = reload(rows);
            for path in ["/users/1/orders", "/users/x/orders", "/tags/neu", "/repos/a/b/pulls", "/admin/1"] {
                catalog.observe(&answered("GET", path, "a", 200));
            }
            let _ = (catalog.endpoints(), catalog.learned(), catalog.save());
        }
    }
}
