//! Paths in, templates out: the table of what the catalog makes of traffic.
//!
//! A line of traffic is `[METHOD] [STATUS] path`; `*N` behind it repeats it from N different actors. Every other line is
//! from an actor of its own.

use crate::build::{answered, catalog, learned};

fn check(name: &str, traffic: &str, expected: &str) {
    let mut catalog = catalog();
    for (number, line) in traffic.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let times = words.last().and_then(|word| word.strip_prefix('*')?.parse::<usize>().ok());
        words.truncate(words.len() - usize::from(times.is_some()));
        let path = words.pop().unwrap();
        let status = words.iter().find_map(|word| word.parse::<u16>().ok()).unwrap_or(200);
        let method = words.iter().find(|word| word.parse::<u16>().is_err()).copied().unwrap_or("GET");
        for time in 0..times.unwrap_or(1) {
            catalog.observe(&answered(method, path, &format!("{number}-{time}"), status));
        }
    }
    let mut expected: Vec<String> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| if line.starts_with('/') { format!("GET {line}") } else { line.to_owned() })
        .collect();
    let mut found = learned(&catalog);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "{name}");
}

macro_rules! cases {
    ($($name:ident: $traffic:expr => $expected:expr;)*) => {
        $(#[test] fn $name() { check(stringify!($name), $traffic, $expected); })*
    };
}

cases! {
    a_number_is_a_parameter_at_once: "/users/42" => "/users/{userId}";
    a_uuid_is_a_parameter_at_once:
        "/orders/550e8400-e29b-41d4-a716-446655440000" => "/orders/{orderId}";
    an_object_id_is_a_parameter_at_once: "/carts/507f1f77bcf86cd799439011" => "/carts/{cartId}";
    a_date_is_named_date: "/reports/2026-01-31" => "/reports/{date}";
    a_date_range_gets_two_names: "/reports/2026-01-31/2026-02-28" => "/reports/{date}/{date2}";
    an_email_is_named_email: "/users/jane@example.com" => "/users/{email}";
    a_masked_segment_is_a_parameter: "/sessions/{jwt}/refresh" => "/sessions/{token}/refresh";
    two_ids_after_one_noun_are_numbered: "/orders/12/34" => "/orders/{orderId}/{orderId2}";
    ids_after_two_nouns_have_two_names:
        "/users/12/orders/99" => "/users/{userId}/orders/{orderId}";
    an_action_after_an_id_is_a_literal:
        "POST /orders/42/cancel\nPOST /orders/43/cancel\nPOST /orders/44/refund"
        => "POST /orders/{orderId}/cancel\nPOST /orders/{orderId}/refund";
    a_literal_beside_a_parameter_is_kept: // optic#425
        "/users/1\n/users/2\n/users/me\n/users/3\n/users/search"
        => "/users/{userId}\n/users/me\n/users/search";
    a_literal_after_many_values_is_kept:
        "/users/alwyn\n/users/brunhild\n/users/cosmina\n/users/dietlind\n/users/eoghan\n/users/fenella\n/users/me *5"
        => "/users/{user}\n/users/me";
    camel_case_names_stay_apart: // metlo#151
        "/org/onboardingStatus\n/org/billingAddress\n/org/memberCount\n/org/apiKeys\n/org/auditLog"
        => "/org/onboardingStatus\n/org/billingAddress\n/org/memberCount\n/org/apiKeys\n/org/auditLog";
    versions_never_merge:
        "/v1/users\n/v2/users\n/v3/users\n/v4/users\n/v5/users\n/v6/users"
        => "/v1/users\n/v2/users\n/v3/users\n/v4/users\n/v5/users\n/v6/users";
    dotted_versions_are_literals: "/2.0/users/7\n/v1.1/users/7" => "/2.0/users/{userId}\n/v1.1/users/{userId}";
    resources_of_an_api_stay_apart:
        "/api/users *2\n/api/orders\n/api/products\n/api/invoices\n/api/carts\n/api/payments\n/api/sessions"
        => "/api/users\n/api/orders\n/api/products\n/api/invoices\n/api/carts\n/api/payments\n/api/sessions";
    user_names_merge_within_ten_requests:
        "/users/alwyn\n/users/brunhild\n/users/cosmina\n/users/dietlind\n/users/eoghan\n/users/fenella"
        => "/users/{user}";
    owners_and_repositories_merge:
        "/repos/mueller/ravenscar/issues\n/repos/okonkwo/tideglass/issues\n/repos/szabo/kelpforge/pulls
         /repos/takeda/emberlyn/issues\n/repos/mueller/harrowgate/issues\n/repos/varga/quillmere/pulls
         /repos/dubois/fernhollow/issues\n/repos/larsen/skyloom/pulls"
        => "/repos/{repo}/{repo2}/issues\n/repos/{repo}/{repo2}/pulls";
    shared_sub_resources_prove_values:
        "/u/alwyn/posts\n/u/brunhild/posts\n/u/alwyn/likes\n/u/cosmina/likes\n/u/dietlind/posts"
        => "/u/{u}/posts\n/u/{u}/likes";
    slugs_merge:
        "/articles/ten-ways-to-brew-coffee\n/articles/why-cats-purr-at-night\n/articles/how-tides-shape-harbors
         /articles/notes-from-a-lighthouse\n/articles/seven-quiet-rivers-run"
        => "/articles/{article}";
    codes_merge:
        "/products/AB-1234\n/products/XK-9920\n/products/QQ-0071\n/products/ZT-5512" => "/products/{productId}";
    a_locale_stays_a_literal_while_there_are_few:
        "/en/home *3\n/de/home *3" => "/en/home\n/de/home";
    a_file_of_a_value_is_a_value: "/exports/42.json\n/exports/43.json" => "/exports/{exportId}";
    a_file_of_a_name_is_a_name: "/data/users.json\n/data/orders.json\n/data/products.json"
        => "/data/users.json\n/data/orders.json\n/data/products.json";
    the_root_is_an_endpoint: "/" => "/";
    a_trailing_slash_is_another_endpoint: "/users\n/users/" => "/users\n/users/";
    an_empty_segment_is_no_value: "/users/1\n/users//\n/users/" => "/users/{userId}\n/users//\n/users/";
    a_trailing_slash_after_an_id_is_kept: "/users/1/\n/users/2/" => "/users/{userId}/";
    percent_encoded_values_merge:
        "/cities/M%C3%BCnchen\n/cities/K%C3%B6ln\n/cities/Z%C3%BCrich\n/cities/S%C3%A3o%20Paulo" => "/cities/{city}";
    an_encoded_slash_stays_in_its_segment: "/files/a%2Fb%2Fc%2Fd%2Fe%2Ff1234567890abcdefA" => "/files/a%2Fb%2Fc%2Fd%2Fe%2Ff1234567890abcdefA";
    letter_case_matters: "/Users/1\n/users/1" => "/Users/{userId}\n/users/{userId}";
    methods_are_endpoints_of_their_own: "/users/1\nDELETE /users/2\nPUT /users/3"
        => "GET /users/{userId}\nDELETE /users/{userId}\nPUT /users/{userId}";
    a_path_of_thirty_two_segments_is_cataloged:
        "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f"
        => "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f";
    a_deeper_path_is_not: "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f/g" => "";
    a_path_without_slash_is_not_cataloged: "OPTIONS *" => "";
    braces_in_a_path_are_a_value: "/users/{userId}\n/users/a{b}c" => "/users/{userId}";
    date_paths_are_parameters: "/archive/2026/11/22\n/archive/2025/01/02"
        => "/archive/{archiveId}/{archiveId2}/{archiveId3}";
    not_found_is_no_endpoint: "404 /admin.php *9\n400 /x *9\n405 /y *9\n410 /z *9" => "";
    a_redirect_is_an_answer: "POST 302 /login" => "POST /login";
    unauthorized_waits_for_three_actors: "401 /admin *2\n403 /reports *3" => "/reports";
    unauthorized_from_one_actor_then_answered: "401 /admin\n/admin" => "/admin";
    words_of_one_actor_do_not_hide_numbers: "/tags/1\n/tags/2\n/tags/top" => "/tags/{tagId}\n/tags/top";
    values_by_name_merge: "/users/by-email/zed\n/users/by-email/yan\n/users/by-email/xiu" => "/users/by-email/{email}";
    rpc_names_stay_apart:
        "POST /rpc/GetUser\nPOST /rpc/ListUsers\nPOST /rpc/DeleteUser\nPOST /rpc/CreateOrder\nPOST /rpc/CancelOrder"
        => "POST /rpc/GetUser\nPOST /rpc/ListUsers\nPOST /rpc/DeleteUser\nPOST /rpc/CreateOrder\nPOST /rpc/CancelOrder";
}
