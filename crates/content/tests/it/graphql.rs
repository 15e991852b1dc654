//! GraphQL: trees of documents, faults, and limits that follow fragments.

use bartizan_content::{Format, Limits, decode};

use crate::{faults, leaves, outline};

#[track_caller]
fn check(document: &str, expected: &[&str]) {
    let limits = Limits::default();
    let content = decode(Format::Graphql, document.as_bytes(), &limits);
    assert_eq!(faults(&content), expected, "{document}");
}

#[test]
fn a_document_becomes_a_tree() {
    let document = r#"
        # a comment
        query Q($id: [ID!]! = ["x"] @d, $n: Int) @live {
          u: user(id: $id, filter: {name: "a\u0062\u{63}", tags: [RED, null, 1.5], deep: {x: true}}) @include(if: $b) {
            ...F
            ... on Admin @skip(if: false) { rights }
            ... { name, bio(text: """block \""" text""") }
          }
        }
        fragment F on User { id }
    "#;
    let limits = Limits::default();
    let content = decode(Format::Graphql, document.as_bytes(), &limits);
    assert!(content.faults().is_empty(), "{:?}", content.faults());
    assert_eq!(
        outline(&content),
        r#"Operation Q = query
  VariableDefinition id = [ID!]!
    Array
      String 0 = x
    Directive d
  VariableDefinition n = Int
  Directive live
  Selection u = user
    Variable id = id
    Object filter
      String name = abc
      Array tags
        Enum 0 = RED
        Null 1 = null
        Number 2 = 1.5
      Object deep
        Bool x = true
    Directive include
      Variable if = b
    Spread F
    InlineFragment = Admin
      Directive skip
        Bool if = false
      Selection rights = rights
    InlineFragment
      Selection name = name
      Selection bio = bio
        String text = block \"\"\" text
Fragment F = User
  Selection id = id
"#
    );
    assert!(leaves(&content).contains("graphql.Q.u.filter.name = abc\n"));
    let user = content.roots().next().unwrap().child(b"u").unwrap();
    assert!(user.raw().starts_with(b"u: user(") && user.raw().ends_with(b"}"));
}

#[test]
fn valid_documents_have_no_faults() {
    for document in [
        "{a}",
        "query{a}",
        "mutation M{a(x:1)}",
        "subscription{a}",
        "{a,b c}",
        "{a{b{c}}}",
        "{a(b:\"\")}",
        "\u{feff}{a}",
        "{query fragment on: on true}",
        "query on{a}",
        "{a(x:[])b(y:{})}",
        "{a@b@c(x:1){d}}",
    ] {
        check(document, &[]);
    }
}

#[test]
fn documents_outside_the_grammar_are_refused() {
    for document in ["", " ", "# only a comment"] {
        check(document, &["empty_document"]);
    }
    for document in [
        "{",
        "{a",
        "{a(",
        "{a(b",
        "{a(b:",
        "{a(b:[",
        "{a(b:{c:1",
        "query",
        "query Q",
        "query Q(",
        "fragment F on T",
        "{a{b}",
        "{...",
        "{a(b:\"x",
    ] {
        check(document, &["unexpected_end"]);
    }
    for document in [
        "}",
        "a",
        "type T { a: Int }",
        "{a}}",
        "{a(b)}",
        "{a(1:1)}",
        "{a:}",
        "{1}",
        "{a(b:)}",
        "query(a:Int){a}",
        "fragment F T {a}",
        "query Q {a} {a} (",
        "{a(b:1)(c:1)}",
        "query @ {a}",
        "{a(b: $)}",
        "{a(b: $1)}",
        "{\"a\"}",
        "query($a:[Int){a}",
        "{a(b:\"\"\"x)}",
        "{a}\"\"\"x",
        "{a(b:?)}",
        "\0{a}",
    ] {
        check(document, &["unexpected_byte"]);
    }
    check("{a(b:\"\\x\")}", &["bad_escape"]);
    check("{a(b:\"\\u{110000}\")}", &["bad_escape"]);
}

#[test]
fn fragments_are_followed_for_depth_and_cost() {
    #[track_caller]
    fn check(document: &str, depth: u32, cost: u32) {
        for (limit, name) in [
            (Limits { graphql_depth: depth, graphql_cost: cost, ..Limits::default() }, None),
            (Limits { graphql_depth: depth - 1, ..Limits::default() }, Some("graphql_depth")),
            (Limits { graphql_cost: cost - 1, ..Limits::default() }, Some("graphql_cost")),
        ] {
            let content = decode(Format::Graphql, document.as_bytes(), &limit);
            assert_eq!(content.stopped().map(|fault| fault.name()), name, "{document}");
        }
    }
    check("{a b c}", 1, 3);
    check("{a{b{c}}}", 3, 3);
    check("{a{...F}} fragment F on T {b{c}}", 3, 3);
    check("{...F ...F} fragment F on T {a}", 1, 2);
    check("{...A} fragment A on T {...B ...B} fragment B on T {...C ...C} fragment C on T {x}", 1, 4);
    check("fragment F on T {x} {a(first:10){b c ... on T {d}}}", 2, 31);
    check("{a(first:10){b(limit:5){c}}}", 3, 61);
    check("{a(first:$n){b}}", 2, 2);
    check("{a{b}} query Q{c{d{e}}}", 3, 3);
}

#[test]
fn exponential_fragments_are_measured_in_linear_time() {
    let mut document = String::from("{...F0}");
    for fragment in 0..60 {
        document += &format!("fragment F{fragment} on T {{...F{next} ...F{next}}}", next = fragment + 1);
    }
    document += "fragment F60 on T {a}";
    check(&document, &["graphql_cost"]);
}

#[test]
fn circles_and_unknown_fragments_are_noted() {
    check("{...F}", &["graphql_unknown_fragment"]);
    check("{...F} fragment F on T {a ...F}", &["graphql_fragment_cycle"]);
    check("{...F} fragment F on T {...G} fragment G on T {...F}", &["graphql_fragment_cycle"]);
    check("{...F ...F} fragment F on T {a}", &[]);
}

#[test]
fn every_limit_stops_decoding() {
    #[track_caller]
    fn check(set: impl Fn(&mut Limits), name: &str) {
        let document =
            "query A{x:a(b:[[1]])@d @e{b{c}}} query B{y:__schema} {...F...G} fragment F on T {a} fragment G on T{b}";
        let mut limits = Limits::default();
        assert_eq!(decode(Format::Graphql, document.as_bytes(), &limits).faults(), []);
        set(&mut limits);
        let content = decode(Format::Graphql, document.as_bytes(), &limits);
        assert_eq!(content.stopped().map(|fault| fault.name()), Some(name));
    }
    check(|limits| limits.graphql_document_length = 10, "graphql_document_length");
    check(|limits| limits.graphql_token_count = 10, "graphql_token_count");
    check(|limits| limits.graphql_depth = 2, "graphql_depth");
    check(|limits| limits.graphql_value_depth = 1, "graphql_value_depth");
    check(|limits| limits.graphql_operation_count = 2, "graphql_operation_count");
    check(|limits| limits.graphql_fragment_count = 1, "graphql_fragment_count");
    check(|limits| limits.graphql_field_count = 3, "graphql_field_count");
    check(|limits| limits.graphql_alias_count = 1, "graphql_alias_count");
    check(|limits| limits.graphql_directive_count = 1, "graphql_directive_count");
    check(|limits| limits.graphql_cost = 2, "graphql_cost");
    check(|limits| limits.graphql_introspection_count = 0, "graphql_introspection_count");
}
