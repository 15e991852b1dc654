//! The endpoint list and one endpoint, over a catalog that learned from traffic.

use serde_json::{Value, json};

use crate::client::Client;
use crate::world::World;

fn templates(page: &Value) -> Vec<String> {
    let name = |item: &Value| {
        format!(
            "{} {}{}",
            item["method"].as_str().unwrap(),
            item["host"].as_str().unwrap(),
            item["template"].as_str().unwrap()
        )
    };
    page["items"].as_array().unwrap().iter().map(name).collect()
}

fn find(client: &Client, query: &str) -> Value {
    client.get(&format!("/endpoints?{query}")).expect(200).json
}

fn count(page: &Value, facet: &str, value: &str) -> Option<u64> {
    let counts = page["facets"][facet].as_array().unwrap();
    counts.iter().find(|count| count["value"] == value).map(|count| count["count"].as_u64().unwrap())
}

/// The id of `GET bank.example /v1/accounts/{…}`.
fn account(client: &Client) -> String {
    let page = find(client, "q=accounts&method=GET");
    let is_account = |item: &&Value| item["template"].as_str().unwrap().ends_with('}');
    page["items"].as_array().unwrap().iter().find(is_account).unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn endpoints_are_found_by_words_and_facets_that_repeat() {
    let world = World::new(1000);
    let admin = world.admin();
    let all = find(&admin, "");
    assert!(all["total"].as_u64().unwrap() >= 6, "{all}");
    let bank = find(&admin, "host=bank.example&method=GET&method=POST");
    assert!(templates(&bank).iter().all(|name| name.contains("bank.example")), "{bank}");
    assert!(count(&bank, "method", "GET").unwrap() >= 2);
    assert_eq!(
        count(&bank, "host", "shop.example"),
        Some(find(&admin, "host=shop.example&method=GET&method=POST")["total"].as_u64().unwrap()),
        "a facet ignores its own choice"
    );
    assert_eq!(templates(&find(&admin, "q=PAYMENTS%20post")), ["POST bank.example/v1/payments"]);
    assert_eq!(find(&admin, "q=nothing-like-it")["total"], 0);
    let failing = find(&admin, "status=5xx");
    assert!(templates(&failing).iter().all(|name| name.contains("checkout")), "{failing}");
    assert_eq!(find(&admin, "api=shop&auth=none")["total"], find(&admin, "api=shop")["total"]);
}

#[test]
fn endpoints_are_sorted_and_paged() {
    let world = World::new(1000);
    let admin = world.admin();
    let busiest = find(&admin, "sort=requests");
    let counts: Vec<u64> =
        busiest["items"].as_array().unwrap().iter().map(|item| item["requests"].as_u64().unwrap()).collect();
    assert!(counts.is_sorted_by(|a, b| a >= b), "{counts:?}");
    let ascending = find(&admin, "sort=requests&order=asc");
    let first_page = find(&admin, "sort=template&limit=2");
    let second_page = find(&admin, "sort=template&limit=2&offset=2");
    let both: Vec<String> = [templates(&first_page), templates(&second_page)].concat();
    assert_eq!(both, templates(&find(&admin, "sort=template&limit=4")));
    assert_eq!(templates(&ascending).len(), counts.len());
    for sort in ["last_seen", "first_seen", "errors", "callers"] {
        assert_eq!(find(&admin, &format!("sort={sort}"))["total"], busiest["total"]);
    }
    admin.get("/endpoints?sort=colour").expect(400);
    admin.get("/endpoints?limit=many").expect(400);
}

#[test]
fn one_endpoint_shows_parameters_statuses_callers_and_its_course() {
    let world = World::new(1000);
    let admin = world.admin();
    let id = account(&admin);
    let detail = admin.get(&format!("/endpoints/{id}")).expect(200).json;
    assert_eq!(detail["requests"], 200);
    assert_eq!(detail["status_counts"], json!([{"status": 200, "count": 200}]));
    assert_eq!(detail["parameter_list"][0]["place"], "path");
    assert_eq!(detail["parameter_list"][0]["type"], "integer");
    assert_eq!(detail["caller_list"].as_array().unwrap().len(), 7);
    assert_eq!(detail["auth"], json!(["bearer"]));

    let series = admin.get(&format!("/endpoints/{id}/series")).expect(200).json;
    let answered: u64 = series["series"].as_array().unwrap().iter().map(|step| step["2xx"].as_u64().unwrap()).sum();
    assert_eq!(answered, 200);
    admin.get("/endpoints/ffffffffffffffff").expect(404);
    admin.get("/endpoints/no-id").expect(404);
}

#[test]
fn a_merge_that_can_be_undone_is_undone_and_any_other_says_why_not() {
    let world = World::new(1000);
    let admin = world.admin();
    let id = account(&admin);
    let unmerge =
        |id: &str, position: usize| admin.post(&format!("/endpoints/{id}/unmerge"), &json!({"position": position}));
    unmerge("ffffffffffffffff", 0).expect(404);
    assert!(unmerge(&id, 0).expect(409).detail().contains("taken back"));
    let merges = admin.get(&format!("/endpoints/{id}")).expect(200).json["merges"].clone();
    let merge = merges.as_array().unwrap().iter().find(|merge| merge["position"] == 2).unwrap().clone();
    let answer = unmerge(&id, 2);
    assert_eq!(answer.status, if merge["undoable"] == true { 204 } else { 409 }, "{merge} {}", answer.text);
}
