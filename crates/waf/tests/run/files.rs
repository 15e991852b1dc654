//! Uploaded files: what is in them, for rules that ask.

use super::{Sent, post, seen};

const RULES: &str = r#"
SecRequestBodyAccess On
SecRule FILES_TMP_CONTENT "@contains runs" "id:1,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
SecRule ARGS "@contains runs" "id:2,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
"#;

const MULTIPART: &[(&str, &str)] = &[("Content-Type", "multipart/form-data; boundary=b")];

fn upload(disposition: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n--b--\r\n")
}

#[test]
fn what_is_in_a_file_is_a_value_of_its_own() {
    let body = upload("name=\"picture\"; filename=\"a.png\"", "GIF89a\n<?php runs();");
    let seen = seen(RULES, post(MULTIPART, &body));
    assert_eq!((seen.rules(), seen.data()), (vec![1], vec!["FILES_TMP_CONTENT:picture".to_owned()]));
}

#[test]
fn a_field_is_no_file() {
    let body = upload("name=\"note\"", "runs");
    assert_eq!(seen(RULES, post(MULTIPART, &body)).rules(), [2]);
}

#[test]
fn a_file_that_is_cut_off_is_looked_at_as_far_as_it_is_there() {
    let body = upload("name=\"f\"; filename=\"a\"", "it runs and goes on");
    let body = body.split("goes").next().unwrap_or_default();
    let sent = Sent { is_body_cut: true, ..post(MULTIPART, body) };
    assert_eq!(seen(RULES, sent).rules(), [1]);
}
